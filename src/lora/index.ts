/** LoRA adapters: loaded by the worker only when one is asked for. */
export { openAdapters, type WantedAdapter } from './open';
