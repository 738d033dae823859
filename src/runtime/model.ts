/** A loaded model: what loading it made (open-model.ts), and what everything that is asked of it works with. */

import type { Checkpoint } from '../checkpoint/checkpoint';
import type { Executor } from '../execute/executor';
import type { Sequences } from '../generate/sequences';
import type { Gpu } from '../gpu/device';
import type { LayoutTarget } from '../memory/layout';
import type { ModelGraph, PlanLimits } from '../memory/plan';
import type { DeviceEstimate, LoraInfo, ModelInfo } from '../protocol';
import type { ModelStore } from '../store/chunk-store';
import type { ChatTemplate } from '../text/chat-template';
import type { Tokenizer } from '../text/tokenizer';
import type { OwnForm } from '../text/tools/response-template';

/** load()'s options, completed to what is in effect. */
export type EffectiveEngineOptions = ModelInfo['options'];

/** The store, or null and one sentence for the person: why there is none. */
export interface StoreOrReason {
  store: ModelStore | null;
  reason: string;
}

/** The first bytes of every slice that was loaded, by its place; see fingerprint.ts. */
export type Fingerprint = Map<string, Uint8Array>;

/** What memory plans are made from: a loaded model, or one of which only the headers are known. */
export interface Plannable {
  graph: ModelGraph;
  limits: PlanLimits;
  target: LayoutTarget;
  options: EffectiveEngineOptions;
  checkpoint: Pick<Checkpoint, 'tensors'>;
  sequences?: Sequences;
}

export interface Model extends Plannable {
  /** tensors and configs; the tokenizer's files are let go */
  checkpoint: Checkpoint;
  gpu: Gpu | null;
  backendReason: string;
  activationsReason?: string;
  storageReason: string;
  deviceEstimate: DeviceEstimate;
  executor: Executor;
  tuning: ModelInfo['tuning'];
  tokenizer: Tokenizer | null;
  template: ChatTemplate | null;
  /** for prompts with tools, where that is another one */
  toolTemplate: ChatTemplate | null;
  /** what the tokenizer's response_template says of answers */
  ownForm: OwnForm | null;
  stopIds: ReadonlySet<number>;
  /** see ModelInfo */
  notes: readonly string[];
  sequences: Sequences;
  /** the active adapters, in order */
  lora: readonly LoraInfo[];
  /** what the model is kept under, where it is */
  key: string;
  /** of the weights as they were loaded, and of the active adapters */
  fingerprint: Fingerprint;
  loraFingerprint: Fingerprint;
  openStore(): Promise<StoreOrReason>;
  /** Frees the executor and the device, and lets other tabs delete what is kept of the model. */
  dispose(): Promise<void>;
}
