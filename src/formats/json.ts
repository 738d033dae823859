/** JSON as it is found in checkpoints: parsed, never trusted. */
import { cut, NibbleError } from '../errors';
import { BLOCK_TYPE_NAMES } from './matrix';

/** config.json, generation_config.json and friends, parsed but not trusted. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * What Python's json writes and reads and JSON does not have, and the quotes that say whether it stands in a string.
 */
const PYTHON = /\\.|"|-?\bInfinity\b|\bNaN\b(?!\s*:)/gs;

/**
 * JSON as Python writes it: with Infinity, -Infinity and NaN as numbers. There is no way to write NaN in JSON: it
 * becomes the text "NaN", which no field that wants a number takes.
 * @throws SyntaxError
 */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!/Infinity|NaN/.test(text)) throw error;
    let inString = false;
    const plain = (token: string) => {
      if (token === '"') inString = !inString;
      if (inString || /["\\]/.test(token)) return token;
      return token === 'NaN' ? '"NaN"' : token.replace(/I.*/, '1e999');
    };
    return JSON.parse(text.replace(PYTHON, plain));
  }
}

/** Deeper than any file of a model: V8 takes 50 bytes for each bracket that is open. */
const MAX_DEPTH = 100;
/** Commas and opening brackets, each of which may cost 50 bytes: five times what DeepSeek-V3's index has. */
const MAX_VALUES = 1 << 19;

export interface ParseLimits {
  /** told of each key of the outermost object, by its place among the bytes, quotes included */
  onKey?: (start: number, end: number) => void;
  /** commas and opening brackets at most */
  values?: number;
}

/**
 * Looks over a text of JSON before anything is made of it.
 * @returns what there is too much of, or null
 */
function tooMuch(bytes: Uint8Array, { onKey, values: most = MAX_VALUES }: ParseLimits): string | null {
  let depth = 0;
  let values = 0;
  let [start, end] = [0, 0];
  for (let at = 0; at < bytes.length; at++) {
    const character = bytes[at];
    if (character === 0x22) {
      start = at;
      while (++at < bytes.length && bytes[at] !== 0x22) if (bytes[at] === 0x5c) at++;
      end = at + 1;
    } else if (character === 0x2c) values++;
    else if (character === 0x5b || character === 0x7b) {
      values++;
      if (++depth > MAX_DEPTH) return `nests more than ${MAX_DEPTH} deep`;
    } else if (character === 0x5d || character === 0x7d) depth--;
    else if (character === 0x3a && depth === 1) onKey?.(start, end);
    if (values > most) return `holds more than ${most} values`;
  }
  return null;
}

/**
 * Parses UTF-8 bytes that must hold one JSON object, in memory of a few times their size.
 * @param what names the bytes in the error, e.g. a path
 * @throws NibbleError corrupt-checkpoint
 */
export function parseObject(
  bytes: Uint8Array,
  what: string,
  details: NibbleError['details'] = { path: what },
  limits: ParseLimits = {},
): JsonObject {
  const excess = tooMuch(bytes, limits);
  if (excess) throw corrupt(`${what} ${excess}`, { ...details, bytes: bytes.length });
  let value: unknown;
  try {
    value = parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw corrupt(`${what} is not valid JSON (${cut((cause as Error).message)})`, { ...details, bytes: bytes.length });
  }
  if (!isObject(value)) throw corrupt(`${what} holds no JSON object`, details);
  return value;
}

/** what follows, that which helps, is never cut */
const SENTENCE = 600;

/** The error of every file that is not what it says: the sentence ends with what to do. */
export function corrupt(what: string, details: NibbleError['details'] = {}): NibbleError {
  return new NibbleError(
    'corrupt-checkpoint',
    `${cut(what, SENTENCE)}. Download the file again, or choose another model.`,
    details,
  );
}

/** The error of every number format that is valid but that Nibble cannot read. */
export function unsupported(what: string, details: NibbleError['details'] = {}): NibbleError {
  const types = BLOCK_TYPE_NAMES.join(', ').replace(/, (\w+)$/, ' or $1');
  const advice = `Choose a version of the model in 16 bits, bitsandbytes NF4 or LLM.int8, or GGUF in ${types}.`;
  return new NibbleError('unsupported-quantization', `${cut(what, SENTENCE)}. ${advice}`, details);
}
