import { beforeAll, describe, expect, it } from 'vitest';
import { ofKind, tiny } from '../text/test/tokenizers';
import type { Tokenizer } from '../text/tokenizer';
import { Constraint } from './constraint';
import { gbnfGrammar } from './gbnf';
import { choice, type Grammar } from './grammar';
import { schemaGrammar } from './json-schema';
import { DEAD } from './states';
import { randomOf } from './test/random-schemas';
import { Vocabulary } from './vocabulary';
import { Written } from './written';

const SCHEMA = {
  type: 'object',
  properties: {
    name: { type: 'string', maxLength: 40 },
    size: { type: 'integer', minimum: -5, maximum: 300 },
    tags: { type: 'array', items: { type: 'string', pattern: '^[a-zé ]+$' } },
    next: { $ref: '#' },
  },
  required: ['name', 'size'],
};

const idsOf = (mask: Uint32Array) =>
  [...mask].flatMap((word, i) =>
    Array.from({ length: 32 }, (_, bit) => ((word >>> bit) & 1 ? 32 * i + bit : -1)).filter((id) => id >= 0),
  );

let tokenizer: Tokenizer;
let vocabulary: Vocabulary;
beforeAll(() => {
  tokenizer = tiny();
  vocabulary = new Vocabulary(tokenizer, tokenizer.vocabSize);
});

const END = [2];
const ready = (grammar: Grammar, of = tokenizer, index = vocabulary) =>
  new Constraint(grammar, { tokenizer: of, vocabulary: index, ends: END }, 'schema');

describe('a mask', () => {
  it.each<[string, () => Grammar]>([
    ['a schema', () => schemaGrammar(SCHEMA)],
    ['any JSON', () => schemaGrammar(true)],
    ['any text', () => gbnfGrammar('root ::= [^x]{0,70} "x"')],
    ['a choice', () => choice(['yes', 'yesterday', 'no', 'größer', '"q"'])],
  ])('has the tokens that may come, and no others: %s', (_, grammar) => {
    const constraint = ready(grammar());
    const random = randomOf(7);
    let tokens = 0;
    for (let n = 0; n < 4; n++) {
      const answer = new Written(constraint, false);
      let state = constraint.begin();
      for (let step = 0; step < 25 && !answer.mustEnd; step++) {
        const mask = idsOf(answer.mask(Number.POSITIVE_INFINITY));
        const expected = Array.from({ length: tokenizer.vocabSize }, (_, id) => id).filter(
          (id) => constraint.after(state, id) !== DEAD || (END.includes(id) && constraint.states.ends(state)),
        );
        expect(mask).toEqual(expected);
        const open = mask.filter((id) => !END.includes(id));
        if (open.length === 0) break;
        const id = open[Math.floor(random() * open.length)];
        expect(answer.push(id)).toBe(true);
        state = constraint.after(state, id);
        tokens++;
      }
    }
    expect(tokens).toBeGreaterThan(4);
  });

  it('with few tokens left, leads to the shortest end', () => {
    const constraint = ready(schemaGrammar(SCHEMA));
    const random = randomOf(11);
    for (let n = 0; n < 30; n++) {
      const answer = new Written(constraint, n % 2 === 0);
      const ids: number[] = [];
      for (let left = 60; left > 0 && !answer.mustEnd; left--) {
        const open = idsOf(answer.mask(left)).filter((id) => !END.includes(id));
        const id = open[Math.floor(random() * open.length)];
        ids.push(id);
        answer.push(id);
      }
      const text = tokenizer.decode(ids, { skipSpecial: false });
      expect([text, answer.mustEnd]).toEqual([text, true]);
      JSON.parse(text);
    }
  });

  it('of a state that was met before costs no walk, nor does one that is alike', () => {
    const constraint = ready(gbnfGrammar('root ::= "\\"" [^"\\\\\\x00-\\x1f]{0,5000} "\\""'));
    const answer = new Written(constraint, false);
    const [quote] = tokenizer.encode('"', { special: false, bos: false });
    const [letter] = tokenizer.encode('a', { special: false, bos: false });
    answer.push(quote);
    const first = answer.mask(9999);
    const before = constraint.states.steps;
    for (let n = 0; n < 100; n++) {
      answer.push(letter);
      expect(answer.mask(9999)).toBe(first);
    }
    // some for each character, and none for each token of the vocabulary
    expect(constraint.states.steps - before).toBeLessThan(2000);
  });

  it('goes on when states were forgotten', () => {
    const constraint = ready(schemaGrammar(SCHEMA));
    const random = randomOf(5);
    const answers = [false, true].map((forgets) => {
      const again = randomOf(6);
      let state = constraint.begin();
      const ids: number[] = [];
      while (ids.length < 40) {
        if (forgets && ids.length % 7 === 3) state = constraint.states.forget(state);
        const open = idsOf(constraint.mask(state, 99)).filter((id) => !END.includes(id));
        if (open.length === 0) break;
        ids.push(open[Math.floor(again() * open.length)]);
        state = constraint.after(state, ids[ids.length - 1]);
      }
      return ids;
    });
    expect(random()).toBeGreaterThan(0);
    expect(answers[1]).toEqual(answers[0]);
  });
});

describe('forced text', () => {
  it('is the tokenizer’s own encoding of it, all but the last token', () => {
    const schema = { type: 'object', properties: { description: { const: 'fixed text' }, b: { type: 'null' } } };
    const constraint = ready(schemaGrammar({ ...schema, required: ['description', 'b'] }));
    const whole = tokenizer.encode('{"description": "fixed text", "b": null}', { special: false, bos: false });
    const answer = new Written(constraint, true);
    expect(answer.next).toEqual(whole.slice(0, -1));
    for (const id of whole.slice(0, -1)) {
      expect(idsOf(answer.mask(99))).toEqual([id]);
      answer.push(id);
    }
    expect(answer.next).toEqual([]);
    expect(idsOf(answer.mask(99))).toContain(whole.at(-1));
    answer.push(whole.at(-1)!);
    expect(answer.mustEnd).toBe(true);
    expect(new Written(constraint, false).next).toEqual([]);
  });

  it('ends where there is a choice, and where a character is cut', () => {
    const forced = (texts: string[]) => {
      const constraint = ready(choice(texts));
      return tokenizer.decode([...constraint.forced(constraint.begin())], { skipSpecial: false });
    };
    expect('exactly the'.startsWith(forced(['exactly these', 'exactly those']))).toBe(true);
    expect('a ').toContain(forced(['a é', 'a è']));
  });
});

describe('a tokenizer that puts a space before a text', () => {
  it.each(["GPT-2's regex", 'Llama 2', 'Gemma', 'Metaspace, always', 'Metaspace, never'])(
    'has the bytes of its tokens as they stand within a text, and forces them: %s',
    (name) => {
      const of = ofKind(name);
      const text = 'Say "é" 12 times\n';
      const ids = of.encode(text, { special: false, bos: false });
      const bytes = ids.map((id) => of.bytesOf(id)).join('');
      const decoded = new TextDecoder().decode(Uint8Array.from(bytes, (c) => c.charCodeAt(0)));
      expect(decoded.replace(/^ /, '')).toBe(text);
      const index = new Vocabulary(of, of.vocabSize);
      const constraint = ready(choice(['{"a": 1}']), of, index);
      const forced = constraint.forced(constraint.begin());
      expect(forced.length).toBeGreaterThan(1);
      expect('{"a": 1}'.startsWith(forced.map((id) => of.bytesOf(id)).join(''))).toBe(true);
    },
  );
});
