/**
 * tokenizer.json before a tokenizer is made of it: checked, since a broken one would hang or fail in the middle of an
 * answer, and rewritten to fewer kinds of parts, each as Rust's tokenizers (0.23), which defines the format, reads it.
 * What no decoder-only family uses is refused by name.
 */
import { AddedToken } from '@huggingface/tokenizers';
import { GPT2_SPLIT } from './published-splits';

type JsonObject = { [key: string]: unknown };

/** A part of known type, whose fields are checked. */
export type Part = JsonObject & { type: string };

/** What a tokenizer is made of; lists of parts are in their order, and empty where there are none. */
export interface TokenizerParts {
  addedTokens: AddedToken[];
  normalizers: Part[];
  /** Split (Isolated, or Removed: only matches stay), Metaspace, PrefixSpace and Bytes */
  preTokenizers: Part[];
  postProcessors: Part[];
  decoders: Part[];
  /** its merges are checked where they are read */
  model: JsonObject & { merges: unknown[] };
  /** the model's own tokens */
  vocab: ReadonlyMap<string, number>;
}

/** A vocabulary's largest id: several times what is in use. */
const MAX_ID = 4_000_000;
/** The longest tokens in use are runs of spaces: 128 in cl100k's descendants, 1,024 in Claude's. */
const MAX_TOKEN = 1024;
/** Gemma 3 has 6,415 added tokens, of 73,000 characters. */
const MAX_ADDED = 100_000;
const MAX_ADDED_CHARACTERS = 2_000_000;
/** What a replacement or a prefix puts is a character or two; Sequences in use have up to five parts. */
const MAX_CONTENT = 100;
const MAX_PARTS = 32;

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function need(condition: unknown, why: string): asserts condition {
  if (!condition) throw new Error(why);
}

/** What is wrong, short enough for a sentence. */
const show = (value: unknown) => (JSON.stringify(value) ?? String(value)).slice(0, 80);

/** A text of a file that must not be longer than `most` characters. */
function needShort(text: string, most: number, what: string): void {
  need(text.length <= most, `${what} has ${text.length} characters; ${most} are allowed`);
}

/**
 * @returns the parts; the merges are not copied
 * @throws Error with the reason, for a tokenizer.json that is broken, that has an unknown part, or more of something
 * than any in use
 */
export function prepareTokenizerJson(json: JsonObject): TokenizerParts {
  const { model, vocab } = checkModel(json.model);
  return {
    addedTokens: addedTokens(json.added_tokens),
    normalizers: parts(json.normalizer, NORMALIZERS, 'normalizers'),
    preTokenizers: parts(json.pre_tokenizer, PRE_TOKENIZERS, 'pretokenizers'),
    postProcessors: parts(json.post_processor, POST_PROCESSORS, 'processors'),
    decoders: parts(json.decoder, DECODERS, 'decoders'),
    model,
    vocab,
  };
}

function checkModel(model: unknown): Pick<TokenizerParts, 'model' | 'vocab'> {
  need(isObject(model), 'it has no model');
  need(model.type === 'BPE' || (model.type ?? null) === null, `its model is a ${show(model.type)}, not a BPE`);
  const { vocab, merges, continuing_subword_prefix: prefix } = model;
  need(isObject(vocab) && Array.isArray(merges), 'its vocabulary or its merges are missing');
  need(!prefix, 'it has a continuing_subword_prefix, which no decoder-only family uses');
  const ids = new Map<string, number>();
  for (const token of Object.keys(vocab)) {
    const id = vocab[token];
    need(isId(id), `the token ${show(token)} has no number`);
    needShort(token, MAX_TOKEN, 'a token');
    ids.set(token, id);
  }
  need(ids.size, 'it has no vocabulary');
  return { model: { ...model, merges }, vocab: ids };
}

const isId = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_ID;

function addedTokens(list: unknown): AddedToken[] {
  need((list ?? null) === null || Array.isArray(list), 'its added tokens are no list');
  const tokens = (list ?? []) as unknown[];
  need(tokens.length <= MAX_ADDED, `it has ${tokens.length} added tokens; ${MAX_ADDED} are allowed`);
  let characters = 0;
  for (const token of tokens) {
    const valid = isObject(token) && isId(token.id) && typeof token.content === 'string' && token.content !== '';
    need(valid, `the added token ${show(token)} has no number or no text`);
    const content = token.content as string;
    needShort(content, MAX_TOKEN, 'an added token');
    characters += content.length;
  }
  const most = MAX_ADDED_CHARACTERS;
  need(characters <= most, `its added tokens have ${characters} characters together; ${most} are allowed`);
  return (tokens as ConstructorParameters<typeof AddedToken>[0][]).map((token) => new AddedToken(token));
}

type Rewrite = (part: Part) => Part | Part[];
const same: Rewrite = (value) => value;

/** A normaliser, pre-tokenizer, post-processor or decoder; `list` is where its Sequence keeps the parts. */
function parts(value: unknown, known: Record<string, Rewrite>, list: string): Part[] {
  let count = 0;
  const flatten = (value: unknown): Part[] => {
    need(isObject(value), `one of its ${list} is no object`);
    need(++count <= MAX_PARTS, `it has more than ${MAX_PARTS} ${list}`);
    if (value.type === 'Sequence') {
      const inner = value[list];
      need(Array.isArray(inner), `its ${list} are no list`);
      need(inner.length <= MAX_PARTS, `it has ${inner.length} ${list}; ${MAX_PARTS} are allowed`);
      return inner.flatMap(flatten);
    }
    const rewrite = typeof value.type === 'string' && Object.hasOwn(known, value.type) ? known[value.type] : null;
    need(rewrite, `${show(value.type)} is unknown among its ${list}`);
    return [rewrite(value as Part)].flat();
  };
  return (value ?? null) === null ? [] : flatten(value);
}

function checkPattern({ pattern }: JsonObject): JsonObject {
  need(isObject(pattern), 'a pattern is missing');
  const { Regex: regex, String: text } = pattern;
  need(typeof (regex ?? text) === 'string', 'a pattern is no text');
  return pattern;
}

const split = (regex: string): Part => ({
  type: 'Split',
  pattern: { Regex: regex },
  behavior: 'Isolated',
  invert: false,
});

const replace: Rewrite = (value) => {
  checkPattern(value);
  need(typeof value.content === 'string', 'a replacement is no text');
  needShort(value.content, MAX_CONTENT, "a Replace's content");
  return value;
};

const text = (key: string): Rewrite => {
  return (value) => {
    const content = value[key];
    need(typeof content === 'string', `the ${key} of a ${value.type} is no text`);
    needShort(content, MAX_CONTENT, `the ${key} of a ${value.type}`);
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
    if (behavior === 'Isolated') return { ...value, invert: false };
    if (behavior === 'Removed' && invert === true) return value;
    const character = pattern.String;
    const single = typeof character === 'string' && [...character].length === 1;
    need(behavior === 'MergedWithPrevious' && single, `a split of the behaviour ${show(behavior)} is unknown`);
    const c = escapeForClass(character);
    return split(`[^${c}]*[${c}]|[^${c}]+`);
  },
  ByteLevel({ use_regex, add_prefix_space }) {
    const prefix = add_prefix_space === true ? [{ type: 'PrefixSpace' }] : [];
    return [...prefix, ...(use_regex === false ? [] : [split(GPT2_SPLIT)]), { type: 'Bytes' }];
  },
  Digits: (value) => split(value.individual_digits === true ? '\\p{N}' : '\\p{N}+'),
  Metaspace(value) {
    const { replacement = '▁' } = value;
    need(typeof replacement === 'string' && [...replacement].length === 1, "a Metaspace's replacement is no character");
    const whole = { ...value, prepend_scheme: prependScheme(value) };
    const c = escapeForClass(replacement);
    return value.split === false ? whole : [whole, split(`[${c}][^${c}]*|[^${c}]+`)];
  },
};

const POST_PROCESSORS: Record<string, Rewrite> = {
  ByteLevel: same,
  TemplateProcessing(value) {
    const { single } = value;
    need(Array.isArray(single) && single.every(isObject), 'its template is no list');
    need(single.length <= MAX_PARTS, `its template has ${single.length} parts; ${MAX_PARTS} are allowed`);
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
    // no space is dropped where none was put
    if (prependScheme(value) !== 'never') return value;
    return { type: 'Replace', pattern: { String: value.replacement ?? '▁' }, content: ' ' };
  },
};
