/** JSON as it is found in checkpoints: parsed, never trusted. */
import { NibbleError } from '../errors';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Strings, and between them what Python's json writes and reads and JSON does not have. A string that
 * does not end is taken whole too: else each of its quotes would be tried as the beginning of one.
 */
const PYTHON = /"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?$)|-?\bInfinity\b|\bNaN\b(?!\s*:)/gs;

/**
 * JSON as Python writes it: with Infinity, -Infinity and NaN as numbers. There is no way to write NaN in JSON: it becomes
 * the text "NaN", which no field that wants a number takes.
 * @throws SyntaxError
 */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!/Infinity|NaN/.test(text)) throw error;
    const plain = (token: string) =>
      token[0] === '"' ? token : token === 'NaN' ? '"NaN"' : token.replace(/I.*/, '1e999');
    return JSON.parse(text.replace(PYTHON, plain));
  }
}

/**
 * Parses UTF-8 bytes that must hold one JSON object.
 * @param what names the bytes in the error, e.g. a path
 * @throws NibbleError corrupt-checkpoint
 */
export function parseObject(
  bytes: Uint8Array,
  what: string,
  details: NibbleError['details'] = { path: what },
): JsonObject {
  let value: unknown;
  try {
    value = parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw corrupt(`${what} is not valid JSON (${(cause as Error).message})`, { ...details, bytes: bytes.length });
  }
  if (!isObject(value)) throw corrupt(`${what} holds no JSON object`, details);
  return value;
}

/** The error of every file that is not what it says: the sentence ends with what to do. */
export function corrupt(what: string, details: NibbleError['details'] = {}): NibbleError {
  return new NibbleError('corrupt-checkpoint', `${what}. Download the file again, or choose another model.`, details);
}

/** The error of every number format that is valid but that Nibble cannot read. */
export function unsupported(what: string, details: NibbleError['details'] = {}): NibbleError {
  const advice =
    'Choose a version of the model in 16 bits, bitsandbytes NF4 or LLM.int8, or GGUF in Q4_0, Q4_1, Q4_K, IQ4_NL, Q5_0, Q5_1, Q5_K, Q6_K or Q8_0.';
  return new NibbleError('unsupported-quantization', `${what}. ${advice}`, details);
}
