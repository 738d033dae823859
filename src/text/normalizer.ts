/** A text before tokens are looked for in it, and how far its replacements may make it longer. */
import { compile } from './pattern';
import type { Part } from './tokenizer-json';

/** As many times as long as it was may a text become; those of families in use double it at most. */
const MAX_GROWTH = 8;

export class GrowthError extends Error {}

/** @throws GrowthError where a text is longer than what it was made of allows */
export function checkGrowth(what: string, before: number, after: number): void {
  if (after <= MAX_GROWTH * before) return;
  throw new GrowthError(
    `${what} makes ${before} characters more than ${MAX_GROWTH} times as long (${after} at least); no model in use does`,
  );
}

/** @param check told how long the text will be, before it is made */
export type Replace = (text: string, check: (length: number) => void) => string;

/** @param part a Replace: its content stands for each match of its pattern */
export function replacer({ pattern, content }: Part): Replace {
  const { Regex: regex, String: wanted } = pattern as { Regex?: string; String?: string };
  const put = content as string;
  if (regex === undefined && typeof wanted === 'string') {
    return (text, check) => {
      let count = 0;
      for (let at = wanted ? text.indexOf(wanted) : -1; at >= 0; at = text.indexOf(wanted, at + wanted.length)) count++;
      check(text.length + count * (put.length - wanted.length));
      return count ? text.replaceAll(wanted, put.replaceAll('$', '$$$$')) : text;
    };
  }
  const matches = compile(pattern as object);
  return (text, check) => {
    let [out, done] = ['', 0];
    for (const found = matches(text); found.next(); done = found.end) {
      out += text.slice(done, found.start) + put;
      check(out.length);
    }
    out += text.slice(done);
    check(out.length);
    return out;
  };
}

type Step = (text: string, check: (length: number) => void) => string;

function step(part: Part): Step {
  switch (part.type) {
    case 'Replace':
      return replacer(part);
    case 'Prepend':
      return (text) => (part.prepend as string) + text;
    case 'Lowercase':
      return (text) => text.toLowerCase();
    case 'Strip': {
      const { strip_left: left, strip_right: right } = part;
      return (text) => {
        const rest = left ? text.trimStart() : text;
        return right ? rest.trimEnd() : rest;
      };
    }
    default:
      return (text) => text.normalize(part.type);
  }
}

/**
 * @param parts of the types that prepareTokenizerJson() knows
 * @returns what normalizes a text, and throws GrowthError
 */
export function normalizer(parts: readonly Part[]): (text: string) => string {
  const steps = parts.map(step);
  return (text) => {
    if (!text) return text;
    const check = (length: number) => {
      if (length <= MAX_GROWTH * text.length) return;
      // what Unicode's own forms make longer, such as U+FDFA to 18 characters, is no replacement's doing
      checkGrowth('its normalizer', text.normalize('NFKD').length, length);
    };
    return steps.reduce((now, next) => {
      const made = next(now, check);
      check(made.length);
      return made;
    }, text);
  };
}
