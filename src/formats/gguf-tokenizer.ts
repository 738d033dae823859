/** tokenizer.json and tokenizer_config.json from a GGUF's metadata, as the model's own files have them. */
import { NibbleError } from '../errors';
import { controlNames } from '../text/control-names';
import { bytePairs, isBpeRule } from './gguf-bpe';
import type { Metadata } from './gguf-metadata';
import { mergesFromScores, sentencePiece } from './gguf-sentencepiece';
import { corrupt, type Json, type JsonObject } from './json';

/** llama.cpp's token types */
const NORMAL = 1;
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;
const BYTE = 6;

interface Vocabulary {
  tokens: string[];
  types: readonly number[];
}

/** Numbers of the special tokens where the file is silent, as llama.cpp has them for SentencePiece. */
const SENTENCEPIECE_DEFAULTS: Record<string, number> = { bos: 1, eos: 2, unknown: 0 };

/**
 * @returns null when the file has no tokenizer
 * @throws NibbleError unsupported-architecture (tokenizer model or `pre` unknown), corrupt-checkpoint
 */
export function ggufTokenizer(metadata: Metadata, path: string): { json: JsonObject; config: JsonObject } | null {
  const model = metadata.string('tokenizer.ggml.model');
  if (model === undefined) return null;
  if (model !== 'gpt2' && model !== 'llama') throw refuse(`The tokenizer model ${JSON.stringify(model)}`, path);
  const tokens = metadata.list<string>('tokenizer.ggml.tokens', 'string');
  if (!tokens?.length) throw corrupt(`${path}: the tokenizer has no tokens`, { path });
  const types = tokenTypes(metadata, tokens);
  return model === 'gpt2'
    ? fromBytePairs(metadata, { tokens, types }, path)
    : fromSentencePiece(metadata, { tokens, types }, path);
}

/** The types as the file has them; what is a control token by its name is one, which some conversions overlook. */
function tokenTypes(metadata: Metadata, tokens: readonly string[]): number[] {
  const types = metadata.list<number>('tokenizer.ggml.token_type', 'number') ?? [];
  const all = new Set(tokens);
  // what merges make is text: Qwen 3 has a <s> that is no more than HTML
  const merges = metadata.list<string>('tokenizer.ggml.merges', 'string') ?? [];
  const made = new Set(merges.map((pair) => pair.replace(' ', '')));
  const known = new Set(controlNames((name) => all.has(name) && !made.has(name)));
  // marks that the template writes could not be read as text
  const template = JSON.stringify(chatTemplate(metadata)) ?? '';
  const isMark = (token: string) => /^<\|.+\|>$/.test(token) && template.includes(token);
  return tokens.map((token, id) => {
    const type = types[id] ?? NORMAL;
    return known.has(token) || (type === NORMAL && isMark(token)) ? CONTROL : type;
  });
}

function fromBytePairs(metadata: Metadata, { tokens, types }: Vocabulary, path: string) {
  const pre = metadata.string('tokenizer.ggml.pre') ?? 'default';
  if (!isBpeRule(pre)) throw refuse(`The pre-tokenizer ${JSON.stringify(pre)}`, path);
  const merges = metadata.list<string>('tokenizer.ggml.merges', 'string');
  if (!merges) throw corrupt(`${path}: the tokenizer has no merges`, { path });
  // text must not become a control token, even where a whole word may be taken as it stands
  const vocab = numbered(tokens, (id) => types[id] !== CONTROL);
  const { json, bos } = bytePairs(pre, vocab, merges, path);
  return {
    json: { ...json, added_tokens: addedTokens({ tokens, types }, false) },
    config: tokenizerConfig(metadata, tokens, { bos, defaults: {} }, path),
  };
}

function fromSentencePiece(metadata: Metadata, { tokens: written, types }: Vocabulary, path: string) {
  const scores = metadata.list<number>('tokenizer.ggml.scores', 'number');
  if (scores?.length !== written.length || scores.some(Number.isNaN)) {
    throw corrupt(`${path}: ${written.length} tokens with ${scores?.length ?? 0} scores`, { path });
  }
  // GGUF writes spaces in user-defined tokens, such as Gemma's runs of them; in the vocabulary they are ▁
  const tokens = written.map((token, id) => (types[id] === USER_DEFINED ? token.replaceAll(' ', '▁') : token));
  const merges = mergesFromScores({
    tokens,
    scores,
    joinable: (id) => types[id] !== CONTROL && types[id] !== UNKNOWN && types[id] !== BYTE,
    first: (id) => types[id] === USER_DEFINED,
  });
  const config = tokenizerConfig(metadata, tokens, { bos: true, defaults: SENTENCEPIECE_DEFAULTS }, path);
  const vocab = numbered(tokens, (id) => types[id] !== CONTROL);
  const unknown = typeof config.unk_token === 'string' && config.unk_token in vocab ? config.unk_token : null;
  const spacePrefix = metadata.boolean('tokenizer.ggml.add_space_prefix') ?? true;
  // Phi 3's end-of-turn tokens swallow the spaces after them, which GGUF cannot say
  const rstrip = metadata.string('general.architecture') === 'phi3';
  const json = sentencePiece(vocab, merges, unknown, spacePrefix);
  return { json: { ...json, added_tokens: addedTokens({ tokens, types }, rstrip) }, config };
}

const numbered = (tokens: string[], keep: (id: number) => boolean): Record<string, number> =>
  Object.fromEntries(tokens.map((token, id) => [token, id] as const).filter(([, id]) => keep(id)));

/** Phi 3's tokens that leave the spaces after them: those of Llama 2 and the end of a text. */
const PHI3_KEEPS_SPACES = ['<unk>', '<s>', '<|endoftext|>'];

function addedTokens({ tokens, types }: Vocabulary, rstrip: boolean): JsonObject[] {
  return tokens.flatMap((content, id) => {
    const type = types[id];
    if (content === '' || (type !== CONTROL && type !== USER_DEFINED && type !== UNKNOWN)) return [];
    const token = { id, content, single_word: false, lstrip: false, normalized: false, special: type !== USER_DEFINED };
    return [{ ...token, rstrip: rstrip && !PHI3_KEEPS_SPACES.includes(content) }];
  });
}

function tokenizerConfig(
  metadata: Metadata,
  tokens: string[],
  { bos, defaults }: { bos: boolean; defaults: Record<string, number> },
  path: string,
): JsonObject {
  const config: JsonObject = {
    add_bos_token: metadata.boolean('tokenizer.ggml.add_bos_token') ?? bos,
    ...(metadata.boolean('tokenizer.ggml.add_eos_token') && { add_eos_token: true }),
    clean_up_tokenization_spaces: false,
    tokenizer_class: 'PreTrainedTokenizerFast',
  };
  for (const [kind, key] of Object.entries({ bos: 'bos', eos: 'eos', unk: 'unknown', pad: 'padding' })) {
    const said = metadata.number(`tokenizer.ggml.${key}_token_id`);
    const id = said ?? defaults[key];
    if (said !== undefined && !(said in tokens))
      throw corrupt(`${path}: the ${kind} token is number ${said} of ${tokens.length}`, { path, id: said });
    if (id in tokens) config[`${kind}_token`] = tokens[id];
  }
  const template = chatTemplate(metadata);
  if (template !== null) config.chat_template = template;
  return config;
}

/** One template, or the named ones, which GGUF lists beside the default one. */
function chatTemplate(metadata: Metadata): Json {
  const key = 'tokenizer.chat_template';
  const template = metadata.string(key) ?? null;
  const names = metadata.list<string>('tokenizer.chat_templates', 'string') ?? [];
  const named = names.flatMap((name) => {
    const text = metadata.string(`${key}.${name}`);
    return text === undefined ? [] : [{ name, template: text }];
  });
  if (!named.length) return template;
  return template === null ? named : [{ name: 'default', template }, ...named];
}

function refuse(what: string, path: string): NibbleError {
  return new NibbleError(
    'unsupported-architecture',
    `${what} of ${path} is not known. Choose the model's safetensors version, which has its tokenizer.json.`,
    { path, what },
  );
}
