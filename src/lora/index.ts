/** LoRA adapters: loaded by the worker only when one is asked for. */
export { combineAdapters, type ScaledAdapter } from './combine';
export { adaptableModules } from './modules';
export { type Adapter, openAdapter } from './peft';
