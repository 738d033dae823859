/**
 * JSON while it comes: what of it is certain, with its open texts, lists and objects closed. A number or a word is
 * certain once something follows it, a property once its value has begun.
 */
import { NibbleError } from '../errors';
import type { AnswerPart, GenerateResult } from '../protocol';

/** What of an answer's text is certain, each time that it is more. */
export async function* partialJson(parts: AsyncIterable<AnswerPart>): AsyncGenerator<unknown> {
  const json = new PartialJson();
  for await (const { type, text } of parts) if (type === 'text' && json.push(text)) yield json.value();
  if (json.end()) yield json.value();
}

/** @throws invalid-option where the answer is no whole JSON */
export function wholeJson({ text, finish }: Pick<GenerateResult, 'text' | 'finish'>): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const why = finish === 'stop' ? 'Ask with a schema.' : 'Give it more tokens (maxNewTokens), or take its objects.';
    const words = `The answer is no whole JSON: it ended with "${finish}". ${why}`;
    throw new NibbleError('invalid-option', words, { finish }, { cause });
  }
}

const WORD = /[^\s,:{}[\]"]/;

export class PartialJson {
  #text = '';
  /** characters that were looked at */
  #read = 0;
  /** what is open, the innermost last */
  readonly #open: ('{' | '[')[] = [];
  /** so much of the text is certain, where what is open is closed behind it */
  #certain = 0;
  #inText = false;
  /** the text is a property's name, or a name is what comes next */
  #isName = false;
  /** characters of an escape that are to come */
  #escape = 0;
  #inWord = false;

  /** @returns whether more is certain than before */
  push(text: string): boolean {
    const before = this.#certain;
    this.#text += text;
    for (; this.#read < this.#text.length; this.#read++) this.#next(this.#text[this.#read]);
    return this.#certain > before;
  }

  /** Nothing more comes. @returns whether more is certain than before: a number at the end */
  end(): boolean {
    return this.#inWord && this.push(' ');
  }

  /** What is certain; undefined: nothing yet. */
  value(): unknown {
    if (this.#certain === 0) return undefined;
    const closed = this.#open.map((sign) => (sign === '{' ? '}' : ']')).reverse();
    const quote = this.#inText && !this.#isName ? '"' : '';
    return JSON.parse(this.#text.slice(0, this.#certain) + quote + closed.join(''));
  }

  #next(sign: string): void {
    const end = this.#read + 1;
    if (this.#inText) {
      if (this.#escape > 0) this.#escape = sign === 'u' && this.#text[this.#read - 1] === '\\' ? 4 : this.#escape - 1;
      else if (sign === '\\') this.#escape = 1;
      else if (sign === '"') this.#inText = false;
      if (!this.#isName && this.#escape === 0) this.#certain = end;
      return;
    }
    const word = WORD.test(sign);
    if (this.#inWord && !word) this.#certain = this.#read;
    this.#inWord = word;
    if (sign === '"') {
      this.#inText = true;
      if (!this.#isName) this.#certain = end;
    } else if (sign === '{' || sign === '[') {
      this.#open.push(sign);
      this.#isName = sign === '{';
      this.#certain = end;
    } else if (sign === '}' || sign === ']') {
      this.#open.pop();
      this.#isName = false;
      this.#certain = end;
    } else if (sign === ',') this.#isName = this.#open.at(-1) === '{';
    else if (sign === ':') this.#isName = false;
  }
}
