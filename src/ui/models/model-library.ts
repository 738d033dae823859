/** What the dialog of models asks of the engine, so that tests can put something else in its place. */
import type { HubOptions, Inspection, ModelInput } from '../../engine';
import type { EngineOptions, Progress, StoredModel, VerifyResult } from '../../protocol';
import type { ModelChoice } from './model-choice';

export interface ModelLibrary {
  /** the model that the page offers by itself */
  standard: ModelChoice;
  /** address of what stands for the Hub; absent: the Hub */
  hub?: string;
  inspect(model: ModelInput, options: EngineOptions & HubOptions & { sizes?: boolean }): Promise<Inspection>;
  /** Downloads it and keeps it, without loading it; what it is asked for at a click may ask for more room. */
  keep?(
    model: ModelInput,
    options: EngineOptions & HubOptions & { onProgress?: (progress: Progress) => void; signal?: AbortSignal },
  ): Promise<void>;
  /** the one used last first */
  stored(): Promise<StoredModel[]>;
  verify(model: Pick<StoredModel, 'key'>): Promise<VerifyResult | null>;
  remove(model: Pick<StoredModel, 'key'>): Promise<void>;
}
