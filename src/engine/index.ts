/** What applications import of the engine. */
export type { Answer, GenerateOptions } from './answer';
export type {
  ChatTemplateOptions,
  Conversation,
  ConversationOptions,
  ConversationQuery,
  MessageQuery,
} from './conversation';
export {
  deleteSavedCache,
  deleteStored,
  Engine,
  type HubOptions,
  type Inspection,
  type InspectOptions,
  inspectModel,
  isStored,
  type LoadOptions,
  type LoraInput,
  load,
  openInspection,
  type StoredInput,
  savedCaches,
  storedModels,
  verifyStored,
} from './engine';
export { type ModelFiles, modelFromDrop } from './model-files';
export type { ModelInput } from './model-source';
export type { WorkerOptions } from './worker-options';
