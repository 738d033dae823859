/** What loading the model that a page offers would cost, found out before any of its weights are downloaded. */
import type { HubOptions, ModelInput } from '../../engine';
import type { LoadAttempt } from '../../protocol';
import type { ModelChoice } from '../models/model-choice';

export interface ModelPreview {
  /** bytes of the whole model; null where there is no manifest to tell */
  bytes: number | null;
  /** all of it is on this device already */
  here: boolean;
  /** the last load, if the tab died under it: this one waits for the person's click */
  lastAttempt?: LoadAttempt | null;
}

/**
 * Asks the browser's storage first, and then the model's folder for its manifest (a few KB).
 * @param stored the engine's isStored()
 */
export async function previewModel(
  { model, name: _, options: __, ...hub }: ModelChoice,
  stored: (model: ModelInput, hub: HubOptions) => Promise<Omit<ModelPreview, 'here'> | null>,
): Promise<ModelPreview> {
  const kept = await stored(model, hub).catch(() => null);
  if (kept) return { ...kept, here: true };
  if (typeof model !== 'string' || !/^https?:/.test(model)) return { bytes: null, here: false };
  const folder = model.endsWith('/') ? model : `${model}/`;
  try {
    const response = await fetch(new URL('manifest.json', folder));
    const manifest: { totalBytes?: unknown } = response.ok ? await response.json() : {};
    return { bytes: typeof manifest.totalBytes === 'number' ? manifest.totalBytes : null, here: false };
  } catch {
    return { bytes: null, here: false };
  }
}
