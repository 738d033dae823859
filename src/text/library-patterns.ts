/** Our patterns in the place of those that @huggingface/tokenizers would make, which backtrack. */
import type { Tokenizer } from '@huggingface/tokenizers';
import { compile, type Pattern } from './pattern';

type JsonObject = { [key: string]: unknown };

/** Of a normalizer, pre-tokenizer or decoder: the part itself and those of its Sequence. */
interface LibraryPart {
  config?: { found?: Pattern };
  pattern?: unknown;
  normalizers?: LibraryPart[];
  tokenizers?: LibraryPart[];
  decoders?: LibraryPart[];
}

/** What the library does with a RegExp: match(), matchAll() and replaceAll(), the content as it is. */
const asRegExp = (pattern: Pattern) => ({
  flags: 'g',
  *[Symbol.matchAll](text: string) {
    const found = pattern(text);
    while (found.next()) yield { 0: text.slice(found.start, found.end), index: found.start };
  },
  [Symbol.match](text: string) {
    return Array.from(this[Symbol.matchAll](text), ({ 0: match }) => match);
  },
  [Symbol.replace](text: string, content: string) {
    let [result, end] = ['', 0];
    for (const { 0: match, index } of this[Symbol.matchAll](text)) {
      result += text.slice(end, index) + content;
      end = index + match.length;
    }
    return result + text.slice(end);
  },
});

/** @returns a tokenizer.json's part as the library may have it; its pattern is kept beside it, for ourPatterns() */
function hidden(part: JsonObject): JsonObject {
  const entries = Object.entries(part).map(([key, value]) => [
    key,
    Array.isArray(value) && typeof value[0] === 'object' ? value.map(hidden) : value,
  ]);
  const shown = Object.fromEntries(entries);
  return part.pattern ? { ...shown, pattern: { String: ' ' }, found: compile(part.pattern) } : shown;
}

/** @throws Error for a pattern that cannot be used */
export function hidePatterns(json: JsonObject): JsonObject {
  const { normalizer, pre_tokenizer, decoder } = json;
  const hide = (part: unknown) => part && hidden(part as JsonObject);
  return { ...json, normalizer: hide(normalizer), pre_tokenizer: hide(pre_tokenizer), decoder: hide(decoder) };
}

export function ourPatterns({ normalizer, pre_tokenizer, decoder }: Tokenizer): void {
  const set = (part: LibraryPart | null) => {
    if (!part) return;
    if (part.config?.found) part.pattern = asRegExp(part.config.found);
    for (const inner of part.normalizers ?? part.tokenizers ?? part.decoders ?? []) set(inner);
  };
  for (const part of [normalizer, pre_tokenizer, decoder]) set(part as LibraryPart | null);
}
