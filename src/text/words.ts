/** A text's words, one after the other: what the pre-tokenizers of a tokenizer.json make of it. */
import { inByteCharacters } from './bytes';
import { compile, type Pattern } from './pattern';
import type { Part } from './tokenizer-json';

type Step = (texts: Iterable<string>, first: boolean) => Iterable<string>;

/** @param rest whether what lies between the matches is kept */
function* split(texts: Iterable<string>, pattern: Pattern, rest: boolean): Generator<string> {
  for (const text of texts) {
    let done = 0;
    for (const found = pattern(text); found.next(); done = found.end) {
      if (rest && found.start > done) yield text.slice(done, found.start);
      if (found.end > found.start) yield text.slice(found.start, found.end);
    }
    if (rest && done < text.length) yield text.slice(done);
  }
}

function* each(texts: Iterable<string>, change: (text: string) => string): Generator<string> {
  for (const text of texts) yield change(text);
}

function step(part: Part): Step {
  if (part.type === 'Split') {
    const pattern = compile(part.pattern as object);
    return (texts) => split(texts, pattern, part.behavior === 'Isolated');
  }
  if (part.type === 'Metaspace') {
    const replacement = (part.replacement as string | undefined) ?? '▁';
    const scheme = part.prepend_scheme;
    return (texts, first) =>
      each(texts, (text) => {
        const spaced = text.replaceAll(' ', () => replacement);
        const prepends = scheme === 'always' || (scheme === 'first' && first);
        return prepends && !spaced.startsWith(replacement) ? replacement + spaced : spaced;
      });
  }
  if (part.type === 'PrefixSpace') return (texts) => each(texts, (text) => (text.startsWith(' ') ? text : ` ${text}`));
  return (texts) => each(texts, inByteCharacters);
}

/**
 * @param parts as prepareTokenizerJson() leaves them
 * @returns what gives the words of a text; `first`: whether the text is a prompt's first
 */
export function wordSplitter(parts: readonly Part[]): Step {
  const steps = parts.map(step);
  return (texts, first) => steps.reduce((all, next) => next(all, first), texts);
}
