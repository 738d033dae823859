/** Tokens back to text: the decoders of a tokenizer.json. */
import { BYTE_OF } from './bytes';
import { checkGrowth, replacer } from './normalizer';
import type { Part } from './tokenizer-json';

interface Limits {
  /** tokens whose text is as it is written */
  isAdded(token: string): boolean;
  /** told how many characters there will be, before they are made */
  check(length: number): void;
}
type Step = (tokens: string[], limits: Limits) => string[];

/** A byte order mark is text. Bytes that are no UTF-8 become U+FFFD. */
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** Joins the bytes of neighbours, and decodes them; what `bytesOf` finds no bytes for stays as it is. */
function joinBytes(tokens: readonly string[], bytesOf: (token: string) => readonly number[] | null): string[] {
  const out: string[] = [];
  let waiting: number[] = [];
  const flush = () => {
    if (waiting.length) out.push(utf8.decode(Uint8Array.from(waiting)));
    waiting = [];
  };
  for (const token of tokens) {
    const bytes = bytesOf(token);
    if (bytes) for (const byte of bytes) waiting.push(byte);
    else {
      flush();
      out.push(token);
    }
  }
  flush();
  return out;
}

/** The bytes that a token of ByteLevel stands for; one that is not in that alphabet is its own text (as in Rust). */
function byteLevel(token: string): readonly number[] {
  const bytes: number[] = [];
  for (let i = 0; i < token.length; i++) {
    const byte = BYTE_OF.get(token.charCodeAt(i));
    if (byte === undefined) return [...new TextEncoder().encode(token)];
    bytes.push(byte);
  }
  return bytes;
}

const byteFallback = (token: string) =>
  /^<0x[\dA-Fa-f]{2}>$/.test(token) ? [Number.parseInt(token.slice(3, 5), 16)] : null;

const lengthOf = (tokens: readonly string[]) => tokens.reduce((sum, { length }) => sum + length, 0);

function replace(part: Part): Step {
  const change = replacer(part);
  return (tokens, { check }) => {
    let done = 0;
    return tokens.map((token) => {
      const made = change(token, (length) => check(done + length));
      done += made.length;
      return made;
    });
  };
}

/** Takes a character away from both ends of each token, `start` and `stop` times at most. */
function strip({ content, start, stop }: Part): Step {
  return (tokens) =>
    tokens.map((token) => {
      let [from, to] = [0, token.length];
      while (from < (start as number) && token[from] === content) from++;
      while (token.length - to < (stop as number) && token[to - 1] === content) to--;
      return token.slice(from, to);
    });
}

function step(part: Part): Step {
  switch (part.type) {
    case 'ByteLevel':
      return (tokens, { isAdded }) => joinBytes(tokens, (token) => (isAdded(token) ? null : byteLevel(token)));
    case 'ByteFallback':
      return (tokens) => joinBytes(tokens, byteFallback);
    case 'Fuse':
      return (tokens) => [tokens.join('')];
    case 'Strip':
      return strip(part);
    case 'Metaspace':
      return (tokens) => {
        const mark = (part.replacement as string | undefined) ?? '▁';
        const [first = '', ...rest] = tokens.map((token) => token.replaceAll(mark, ' '));
        return [first.startsWith(' ') ? first.slice(1) : first, ...rest];
      };
    default:
      return replace(part);
  }
}

/**
 * @param parts as decoder() takes them
 * @returns the bytes that one token stands for within a text, as characters U+0000 to U+00FF
 */
export function byteDecoder(parts: readonly Part[], isAdded: (token: string) => boolean): (token: string) => string {
  const types = new Set(parts.map(({ type }) => type));
  const steps = parts.filter(({ type }) => type === 'Replace').map(step);
  const mark = parts.find(({ type }) => type === 'Metaspace')?.replacement ?? '▁';
  const check = () => {};
  const isByte = (unit: string) => BYTE_OF.get(unit.charCodeAt(0)) !== undefined;
  const encoder = new TextEncoder();
  return (token) => {
    const alone = types.has('ByteFallback') ? byteFallback(token) : null;
    if (alone) return String.fromCharCode(...alone);
    if (types.has('ByteLevel') && !isAdded(token) && Array.from(token).every(isByte)) {
      let bytes = '';
      for (let i = 0; i < token.length; i++) bytes += String.fromCharCode(BYTE_OF.get(token.charCodeAt(i))!);
      return bytes;
    }
    const replaced = steps.reduce((now, next) => next(now, { isAdded, check }), [token])[0] ?? '';
    const text = types.has('Metaspace') ? replaced.replaceAll(mark as string, ' ') : replaced;
    return /^[\0-\x7f]*$/.test(text) ? text : String.fromCharCode(...encoder.encode(text));
  };
}

/**
 * @param parts of the types that prepareTokenizerJson() knows; none: tokens are joined by spaces
 * @returns what decodes tokens, and throws GrowthError
 */
export function decoder(parts: readonly Part[], isAdded: (token: string) => boolean): (tokens: string[]) => string {
  const steps = parts.map(step);
  if (!steps.length) return (tokens) => tokens.join(' ');
  return (tokens) => {
    const before = lengthOf(tokens);
    const check = (length: number) => checkGrowth('its decoder', before, length);
    return steps.reduce((now, next) => next(now, { isAdded, check }), tokens).join('');
  };
}
