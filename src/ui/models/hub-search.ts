/**
 * Asks the Hub, or what stands for it, for models by name, and a repository for what of it can be loaded. Nothing is
 * asked by itself. Paths and fields are those that @huggingface/hub 2.4 asks for (list-models.ts, list-files.ts) and
 * huggingface_hub 1.x (hf_api.py).
 */
import { NibbleError } from '../../errors';

export const HUB = 'https://huggingface.co';
const MOST = 20;

/** A repository that was found. */
export interface HubEntry {
  /** owner/name */
  id: string;
  downloads: number;
  likes: number;
  /** its terms have to be accepted with an account first */
  gated: boolean;
  licence: string | null;
}

/** Something of a repository that can be loaded. */
export interface HubVariant {
  /** as load() is given it */
  model: string;
  /** "Q4_K_M", "NF4", "safetensors" */
  label: string;
  /** of all its files; null: the Hub does not say */
  bytes: number | null;
}

const fieldsOf = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const countOf = (value: unknown): number => (typeof value === 'number' && value >= 0 ? value : 0);

/** @throws network, with what to do next */
async function ask(hub: string, path: string, signal?: AbortSignal): Promise<unknown> {
  const { host } = new URL(hub, location.href);
  const fail = (what: string, next: string, status = 0) =>
    new NibbleError('network', `${what}. ${next}`, { url: `${hub}${path}`, status });
  let answer: Response;
  try {
    answer = await fetch(`${hub.replace(/\/+$/, '')}${path}`, { signal, credentials: 'omit' });
  } catch {
    if (signal?.aborted) throw new NibbleError('aborted', 'The request was stopped.');
    throw navigator.onLine
      ? fail(
          `${host} gives no answer`,
          'Check the connection, and that this page may reach it (connect-src); then search again.',
        )
      : fail(
          'This device is offline',
          'What is kept here can be loaded all the same; search again when there is a connection.',
        );
  }
  const { status } = answer;
  if (status === 429) {
    const seconds = Number(answer.headers.get('retry-after')) || 60;
    throw fail(`${host} was asked too often (429)`, `Search again in ${seconds} s.`, status);
  }
  if (!answer.ok) throw fail(`${host} answered ${status}`, 'Search again later, or name the model by its id.', status);
  try {
    return await answer.json();
  } catch {
    throw fail(
      `${host} answered with no JSON`,
      'Something else answers in its place: check the address of the Hub.',
      status,
    );
  }
}

/**
 * The most downloaded repositories with these words in their names, 20 at most.
 * @param hub address of what stands for the Hub
 * @throws network, aborted
 */
export async function searchHub(words: string, hub = HUB, signal?: AbortSignal): Promise<HubEntry[]> {
  const query = new URLSearchParams({ search: words.trim(), limit: String(MOST), sort: 'downloads', direction: '-1' });
  const found = listOf(await ask(hub, `/api/models?${query}`, signal)).map(fieldsOf);
  return found.flatMap(({ id, downloads, likes, gated, tags }) => {
    if (typeof id !== 'string' || !/^[\w.-]+\/[\w.-]+$/.test(id)) return [];
    const licence = listOf(tags).find((tag) => typeof tag === 'string' && tag.startsWith('license:')) as
      | string
      | undefined;
    const told = { downloads: countOf(downloads), likes: countOf(likes), licence: licence?.slice(8) ?? null };
    return [{ id, ...told, gated: gated === 'auto' || gated === 'manual' || gated === true }];
  });
}

/** "Q4_K_M" of "name-Q4_K_M.gguf"; else what stands before the suffix */
const labelOf = (file: string): string =>
  /(?:^|[-._/])((?:UD-)?(?:I?Q\d\w*|BF16|F16|F32))(?:-\d{5}-of-\d{5})?\.gguf$/i.exec(file)?.[1].toUpperCase() ??
  file.replace(/\.gguf$/, '');

/** What a repository offers: each GGUF, and its safetensors as a whole. @throws network, aborted */
export async function variantsOf(id: string, hub = HUB, signal?: AbortSignal): Promise<HubVariant[]> {
  const listing = fieldsOf(await ask(hub, `/api/models/${id}/revision/main?blobs=true`, signal));
  const files = listOf(listing.siblings).map(fieldsOf);
  const named = files.flatMap(({ rfilename, size }) =>
    typeof rfilename === 'string' ? [{ name: rfilename, bytes: typeof size === 'number' ? size : null }] : [],
  );
  const sum = (some: typeof named) =>
    some.some(({ bytes }) => bytes === null) ? null : some.reduce((total, { bytes }) => total + bytes!, 0);
  const parts = (name: string) => name.replace(/-\d{5}-of-\d{5}(?=\.gguf$)/, '');
  // projectors and draft heads are no models
  const ggufs = named.filter(({ name }) => /\.gguf$/i.test(name) && !/(^|\/)(mmproj|mtp)[-_.]/i.test(name));
  const groups = new Map<string, typeof named>();
  for (const file of ggufs) {
    const whole = parts(file.name);
    groups.set(whole, [...(groups.get(whole) ?? []), file]);
  }
  const variants = [...groups.values()].map((group) => {
    const [first] = group.sort((a, b) => a.name.localeCompare(b.name));
    return { model: `${id}/${first.name}`, label: labelOf(first.name), bytes: sum(group) };
  });
  const weights = named.filter(({ name }) => /^[^/]*\.safetensors$/.test(name));
  if (weights.length > 0 && named.some(({ name }) => name === 'config.json')) {
    const label = /bnb-4bit|nf4/i.test(id) ? 'NF4' : 'safetensors';
    variants.push({ model: id, label, bytes: sum(weights) });
  }
  return variants.sort((a, b) => (a.bytes ?? Infinity) - (b.bytes ?? Infinity));
}
