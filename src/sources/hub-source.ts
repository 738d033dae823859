/**
 * A Source over a repository of the Hugging Face Hub. Its API resolves the revision to a commit, once, and lists that
 * commit's files with sizes and digests in the same answer (`?blobs=true`); the files are then read at that commit, so
 * a branch that moves meanwhile mixes nothing. In a browser this is the only way to the digests: they stand in headers
 * of a redirect that fetch() follows unseen. The token goes to the Hub and, by fetch's own rules, nowhere else.
 */
import type { NibbleError } from '../errors';
import { ggufParts } from '../formats/gguf-parts';
import { parseObject } from '../formats/json';
import { encodePath, networkError } from './http-errors';
import { createHttpRanges } from './http-ranges';
import type { HttpOptions } from './http-request';
import type { Listing, Source, SourceDescription } from './source';

export const HUB = 'https://huggingface.co';
/** where the Hub is, and where it redirects to */
const HUB_HOSTS = `${HUB} https://*.hf.co`;

/** a repository of half a million files */
const LISTED_VALUES = 1 << 22;

interface ApiAnswer {
  sha?: unknown;
  siblings?: { rfilename?: unknown; size?: unknown; blobId?: unknown; lfs?: { sha256?: unknown } }[];
}

const hexOf = (value: unknown) => (typeof value === 'string' && /^[0-9a-f]{40,64}$/.test(value) ? value : null);

/**
 * @returns the Source; nothing is fetched yet. Its errors are `network`, with `status`, `url` and the Hub's `reason`
 */
export function createHubSource(
  { id, revision = 'main', token, file: named, hub = HUB }: Extract<SourceDescription, { kind: 'hub' }>,
  options: HttpOptions = {},
): Source {
  const file = named && ggufParts(named)[0];
  const origin = hub.replace(/\/+$/, '');
  const page = `${origin}/${id}`;
  let commit = revision;
  let listing: Promise<Listing> | undefined;

  function refusal(path: string, answer: Response): NibbleError | null {
    const { status, headers } = answer;
    const said = headers.get('x-error-code');
    const where = path ? `${page}/resolve/${encodeURIComponent(commit)}/${encodePath(path)}` : page;
    const refuse = (what: string, next: string) => networkError(where, answer, what, next, { reason: said ?? '', id });
    if (said === 'RevisionNotFound') {
      return refuse(`${id} has no branch, tag or commit ${revision}`, 'Check the revision.');
    }
    if (said === 'EntryNotFound') return refuse(`${id} has no file ${path}`, 'Check its name.');
    if (said !== 'RepoNotFound' && (said === 'GatedRepo' || status === 403)) {
      const next = token
        ? `The token given may not read it: accept the model’s licence at ${page} with the account it belongs to.`
        : `Accept the model’s licence at ${page} and pass a token that may read it.`;
      return refuse(`${id} is gated: the Hub gives it only to those who accepted its terms`, next);
    }
    if (status === 401 || status === 404) {
      const next = token
        ? 'Check the name, and that the token may read it.'
        : 'Check the name; if the model is private, pass a token that may read it.';
      return refuse(`The Hub shows no model ${id}`, next);
    }
    return null;
  }

  const ranges = createHttpRanges(
    {
      url: (path) => `${origin}/${encodePath(id)}/resolve/${encodeURIComponent(commit)}/${encodePath(path)}`,
      hosts: origin === HUB ? HUB_HOSTS : origin,
      headers: token ? { Authorization: `Bearer ${token}` } : {},
      refusal,
    },
    options,
  );

  async function fetchListing(signal?: AbortSignal): Promise<Listing> {
    const address = `${origin}/api/models/${encodePath(id)}/revision/${encodeURIComponent(revision)}?blobs=true`;
    const files = filesIn(await ranges.fetchAll(address, signal), address);
    if (file && !files.files[file]) throw absent(`${id} has no file ${file}`, files);
    if (!file && !files.files['config.json']) throw absent(`${id} has no config.json`, files);
    commit = files.revision;
    return files;
  }

  function absent(what: string, { files }: Listing): NibbleError {
    const adapter = files['adapter_config.json'];
    const ggufs = Object.keys(files).filter((path) => path.endsWith('.gguf'));
    const next = adapter
      ? 'It is a LoRA adapter: load its base model, and give this as `lora`.'
      : ggufs.length > 0
        ? `Name one of its files, as in ${id}/${ggufs[0]}.`
        : 'Choose another model.';
    return networkError(page, 404, what, next, { files: ggufs.slice(0, 20) });
  }

  function list(signal?: AbortSignal): Promise<Listing> {
    listing ??= fetchListing(signal).catch((error) => {
      listing = undefined;
      throw error;
    });
    return listing;
  }

  return {
    name: file ? `${id}/${file}` : id,
    revision,
    gguf: file,
    list,
    names: async () => Object.keys((await list()).files),
    async size(path, signal) {
      return (await list(signal)).files[path]?.bytes ?? null;
    },
    async read(...all) {
      await list(all[3]);
      return ranges.read(...all);
    },
    inOrder: ranges.inOrder,
    close: ranges.close,
  };
}

/** @throws network when the answer is not what the Hub's API says */
function filesIn(bytes: Uint8Array, url: string): Listing {
  try {
    const { sha, siblings } = parseObject(bytes, 'It', {}, { values: LISTED_VALUES }) as ApiAnswer;
    const revision = hexOf(sha);
    if (!revision || !Array.isArray(siblings)) throw new Error('no commit or no files in it');
    const files: Listing['files'] = Object.create(null);
    for (const { rfilename, size, blobId, lfs } of siblings) {
      if (!Number.isSafeInteger(size) || (size as number) < 0) throw new Error(`the size of ${rfilename} is ${size}`);
      files[String(rfilename)] = { bytes: size as number, digest: hexOf(lfs ? lfs.sha256 : blobId) };
    }
    return { revision, files };
  } catch (cause) {
    throw networkError(
      url,
      200,
      `The answer is not the Hub’s (${(cause as Error).message})`,
      'Check the Hub’s address.',
    );
  }
}
