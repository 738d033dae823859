/** What applications import of the engine. */
export type { Answer, BatchInput, BatchOptions, CallOptions, GenerateOptions, Tool, ToolChoice } from './answer';
export type {
  ChatTemplateOptions,
  Conversation,
  ConversationOptions,
  ConversationQuery,
  MessageQuery,
} from './conversation';
export type { Engine, EngineTokenizer } from './engine';
export type { HubOptions } from './hub-options';
export { type Inspection, type InspectOptions, inspectModel, openInspection } from './inspect';
export { type DeviceOptions, load } from './load';
export type { LoraInput } from './lora-input';
export { type ModelFiles, modelFromDrop } from './model-files';
export type { ModelInput } from './model-source';
export type { Stoppable } from './stoppable';
export {
  deleteSavedCache,
  deleteStored,
  isStored,
  type StoredInput,
  savedCaches,
  storedModels,
  verifyStored,
} from './stored';
export type { WorkerOptions } from './worker-options';
