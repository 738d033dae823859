/**
 * tokenizer.json before @huggingface/tokenizers gets it: checked, since a broken one would hang or fail in the middle
 * of an answer, and rewritten where the library reads a part otherwise than Rust's tokenizers (0.23), which defines
 * the format. What no decoder-only family uses is refused by name.
 */
import { GPT2_SPLIT } from './published-splits';

type JsonObject = { [key: string]: unknown };

/** A vocabulary's largest id: several times what is in use. */
const MAX_ID = 4_000_000;

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function need(condition: unknown, why: string): asserts condition {
  if (!condition) throw new Error(why);
}

/** What is wrong, short enough for a sentence. */
const show = (value: unknown) => (JSON.stringify(value) ?? String(value)).slice(0, 80);

/**
 * @returns what the library gets; the vocabulary and the merges are not copied
 * @throws Error with the reason, for a tokenizer.json that is broken or that has an unknown part
 */
export function prepareTokenizerJson(json: JsonObject): JsonObject {
  checkModel(json.model);
  return {
    ...json,
    added_tokens: addedTokens(json.added_tokens),
    normalizer: part(json.normalizer, NORMALIZERS, 'normalizers'),
    pre_tokenizer: part(json.pre_tokenizer, PRE_TOKENIZERS, 'pretokenizers'),
    post_processor: part(json.post_processor, POST_PROCESSORS, 'processors'),
    decoder: part(json.decoder, DECODERS, 'decoders'),
    model: { ...json.model, type: 'BPE' },
  };
}

function checkModel(model: unknown): asserts model is JsonObject {
  need(isObject(model), 'it has no model');
  need(model.type === 'BPE' || (model.type ?? null) === null, `its model is a ${show(model.type)}, not a BPE`);
  const { vocab, merges } = model;
  need(isObject(vocab) && Array.isArray(merges), 'its vocabulary or its merges are missing');
  let tokens = 0;
  for (const token in vocab) {
    need(isId(vocab[token]), `the token ${show(token)} has no number`);
    tokens++;
  }
  need(tokens, 'it has no vocabulary');
  for (const merge of merges) {
    const pair: unknown[] = typeof merge === 'string' ? merge.split(' ') : merge;
    const [left, right] = Array.isArray(pair) && pair.length === 2 ? pair : [];
    const isToken = (text: unknown): text is string => typeof text === 'string' && Object.hasOwn(vocab, text);
    const known = isToken(left) && isToken(right) && isToken(left + right);
    need(known, `the merge ${show(merge)} is not one of two tokens to a third`);
  }
}

const isId = (value: unknown) => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_ID;

function addedTokens(list: unknown): JsonObject[] {
  need((list ?? null) === null || Array.isArray(list), 'its added tokens are no list');
  const tokens = (list ?? []) as unknown[];
  for (const token of tokens) {
    const valid = isObject(token) && isId(token.id) && typeof token.content === 'string' && token.content !== '';
    need(valid, `the added token ${show(token)} has no number or no text`);
  }
  return tokens as JsonObject[];
}

type Rewrite = (part: JsonObject) => JsonObject | JsonObject[];
const same: Rewrite = (value) => value;

/** A normaliser, pre-tokenizer, post-processor or decoder; `list` is where its Sequence keeps the parts. */
function part(value: unknown, known: Record<string, Rewrite>, list: string): JsonObject | null {
  if ((value ?? null) === null) return null;
  const parts = flatten(value, known, list);
  return parts.length === 1 ? parts[0] : { type: 'Sequence', [list]: parts };
}

function flatten(value: unknown, known: Record<string, Rewrite>, list: string): JsonObject[] {
  need(isObject(value), `one of its ${list} is no object`);
  if (value.type === 'Sequence') {
    const parts = value[list];
    need(Array.isArray(parts), `its ${list} are no list`);
    return parts.flatMap((inner) => flatten(inner, known, list));
  }
  const rewrite = typeof value.type === 'string' && Object.hasOwn(known, value.type) ? known[value.type] : null;
  need(rewrite, `${show(value.type)} is unknown among its ${list}`);
  return [rewrite(value)].flat();
}

function checkPattern({ pattern }: JsonObject): JsonObject {
  need(isObject(pattern), 'a pattern is missing');
  const { Regex: regex, String: text } = pattern;
  need(typeof (regex ?? text) === 'string', 'a pattern is no text');
  return pattern;
}

const split = (regex: string): JsonObject => ({
  type: 'Split',
  pattern: { Regex: regex },
  behavior: 'Isolated',
  invert: false,
});

const replace: Rewrite = (value) => {
  checkPattern(value);
  need(typeof value.content === 'string', 'a replacement is no text');
  return value;
};

const text = (key: string): Rewrite => {
  return (value) => {
    need(typeof value[key] === 'string', `the ${key} of a ${value.type} is no text`);
    return value;
  };
};

const NORMALIZERS: Record<string, Rewrite> = {
  NFC: same,
  NFD: same,
  NFKC: same,
  NFKD: same,
  Lowercase: same,
  Strip: same,
  Prepend: text('prepend'),
  Replace: replace,
};

const escapeForClass = (character: string) => character.replace(/[\\\]^[&-]/, '\\$&');

/** Older files have add_prefix_space in place of prepend_scheme. */
const prependScheme = ({ prepend_scheme, add_prefix_space }: JsonObject) =>
  prepend_scheme ?? (add_prefix_space === false ? 'never' : 'always');

const PRE_TOKENIZERS: Record<string, Rewrite> = {
  Split(value) {
    const pattern = checkPattern(value);
    const { behavior, invert } = value;
    // the library drops what lies between the matches of an inverted split, even of one that only isolates
    if (behavior === 'Isolated') return { ...value, invert: false };
    if (behavior === 'Removed' && invert === true) return value;
    // the library would isolate it
    const character = pattern.String;
    const single = typeof character === 'string' && [...character].length === 1;
    need(behavior === 'MergedWithPrevious' && single, `a split of the behaviour ${show(behavior)} is unknown`);
    const c = escapeForClass(character);
    return split(`[^${c}]*[${c}]|[^${c}]+`);
  },
  ByteLevel(value) {
    // the library's own pattern has JavaScript's \s, which counts U+FEFF and not U+0085
    if (value.use_regex === false || value.add_prefix_space === true) return value;
    return [split(GPT2_SPLIT), { ...value, use_regex: false }];
  },
  // the library's \d leaves out digits such as ½ and ٣
  Digits: (value) => split(value.individual_digits === true ? '\\p{N}' : '\\p{N}+'),
  Metaspace(value) {
    const { replacement = '▁' } = value;
    need(typeof replacement === 'string' && [...replacement].length === 1, "a Metaspace's replacement is no character");
    const whole = { ...value, prepend_scheme: prependScheme(value) };
    const c = escapeForClass(replacement);
    // the library never splits
    return value.split === false ? whole : [whole, split(`[${c}][^${c}]*|[^${c}]+`)];
  },
};

const POST_PROCESSORS: Record<string, Rewrite> = {
  ByteLevel: same,
  TemplateProcessing(value) {
    need(Array.isArray(value.single) && value.single.every(isObject), 'its template is no list');
    return value;
  },
};

const DECODERS: Record<string, Rewrite> = {
  ByteLevel: same,
  ByteFallback: same,
  Fuse: same,
  Replace: replace,
  Strip(value) {
    const counts = [value.start, value.stop].every((n) => Number.isInteger(n));
    need(counts && typeof value.content === 'string', 'a Strip has no counts');
    return value;
  },
  Metaspace(value) {
    // the library drops the first space even where none was put
    if (prependScheme(value) !== 'never') return value;
    return { type: 'Replace', pattern: { String: value.replacement ?? '▁' }, content: ' ' };
  },
};
