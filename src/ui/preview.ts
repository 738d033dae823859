/** What loading a model would cost, found out before any of its weights are downloaded. */

export interface ModelPreview {
  name: string;
  /** bytes of the whole model; null where there is no manifest to tell */
  bytes: number | null;
  /** all of it is kept in this browser already */
  stored: boolean;
}

/** The last part of a path or Hub id, without its ending slash. */
export const modelName = (model: string): string =>
  decodeURIComponent(model.replace(/\/+$/, '').split('/').at(-1) ?? model);

/**
 * Asks the browser's storage first, and then the model's folder for its manifest (a few KB).
 * @param stored the size and name of a model that is kept here, or null
 */
export async function previewModel(
  model: string,
  stored: (model: string) => Promise<{ bytes: number } | null>,
): Promise<ModelPreview> {
  const name = modelName(model);
  const kept = await stored(model).catch(() => null);
  if (kept) return { name, bytes: kept.bytes, stored: true };
  if (!/^https?:/.test(model)) return { name, bytes: null, stored: false };
  const folder = model.endsWith('/') ? model : `${model}/`;
  try {
    const response = await fetch(new URL('manifest.json', folder));
    const manifest: { totalBytes?: unknown } = response.ok ? await response.json() : {};
    return { name, bytes: typeof manifest.totalBytes === 'number' ? manifest.totalBytes : null, stored: false };
  } catch {
    return { name, bytes: null, stored: false };
  }
}
