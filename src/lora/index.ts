/** LoRA adapters: loaded by the worker only when one is asked for. */
export { openAdapters } from './open';
