/** What applications import of the engine. */
export type { Answer } from './answer';
export type { Conversation } from './conversation';
export {
  deleteStored,
  Engine,
  type GenerateOptions,
  type HubOptions,
  isStored,
  type LoadOptions,
  type LoraInput,
  load,
  type WorkerOptions,
} from './engine';
export type { ModelInput } from './model-source';
