import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createDetokenizer } from './detokenizer';
import { ofKind, tiny } from './test/tokenizers';
import type { Tokenizer } from './tokenizer';

const tokenizer = tiny();
const encode = (text: string) => tokenizer.encode(text, { special: false, bos: false });

/** Everything that comes out, piece by piece, with the flush last. */
function stream(
  ids: readonly number[],
  sizes: readonly number[] = [1],
  by: Tokenizer = tokenizer,
  skipSpecial = true,
): string[] {
  const detokenizer = createDetokenizer(by, skipSpecial ? undefined : () => true);
  const out: string[] = [];
  for (let at = 0, i = 0; at < ids.length; i++) {
    const size = sizes[i % sizes.length];
    out.push(detokenizer.push(ids.slice(at, at + size)));
    at += size;
  }
  return [...out, detokenizer.flush()];
}

describe('createDetokenizer', () => {
  it('withholds a character until its last byte', () => {
    const ids = encode('🙂'); // the tiny vocabulary has it as four bytes
    expect(ids.length).toBe(4);
    expect(stream(ids)).toEqual(['', '', '', '🙂', '']);
    expect(stream(ids.slice(0, 3)).join('')).toBe('\uFFFD');
  });

  it('gives each character once, whatever the language', () => {
    const text = 'naïve “quotes” 👩‍👩‍👧‍👦 日本語\n  x = 1;\t\u0301';
    const pieces = stream(encode(text));
    expect(pieces.join('')).toBe(text);
    expect(pieces.some((piece) => piece.includes('\uFFFD'))).toBe(false);
  });

  it('leaves special tokens out, or keeps them', () => {
    const ids = [1, ...encode('hé'), 2];
    expect(stream(ids).join('')).toBe('hé');
    expect(stream(ids, [1], tokenizer, false).join('')).toBe('<|im_start|>hé<|im_end|>');
  });

  it('equals the whole decode for any ids in any pieces', () => {
    const id = fc.integer({ min: 0, max: 310 });
    const bytes = fc.integer({ min: 3, max: 258 }); // mostly single bytes: broken characters of every kind
    const ids = fc.oneof(fc.array(id, { maxLength: 80 }), fc.array(bytes, { maxLength: 120 }));
    const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(ids, sizes, fc.boolean(), (list, pieces, skipSpecial) => {
        const whole = tokenizer.decode(list, { skipSpecial });
        expect(stream(list, pieces, tokenizer, skipSpecial).join('')).toBe(whole);
      }),
      { numRuns: 2000 },
    );
  });

  it('equals the text for any text, and emits no broken character', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), (text) => {
        fc.pre(!text.includes('\uFFFD'));
        const pieces = stream(encode(text));
        expect(pieces.join('')).toBe(tokenizer.decode(encode(text), { skipSpecial: true }));
        expect(pieces.join('')).not.toContain('\uFFFD');
      }),
    );
  });

  it('decodes a window that does not grow with the answer', () => {
    let longest = 0;
    const spy: Tokenizer = {
      ...tokenizer,
      decode(ids, options) {
        longest = Math.max(longest, ids.length);
        return tokenizer.decode(ids, options);
      },
    };
    const broken = encode('é').slice(0, 1);
    const ids = [...encode('word '.repeat(300)), ...Array.from({ length: 500 }, () => broken[0]), ...encode('the end')];
    expect(stream(ids, [1], spy).join('')).toBe(tokenizer.decode(ids, { skipSpecial: true }));
    expect(longest).toBeLessThanOrEqual(40);
  });

  it('keeps the spaces of a sentencepiece decoder, and joins its byte tokens', () => {
    const tokenizer = ofKind('Llama 2');
    const encode = (text: string) => tokenizer.encode(text, { special: false, bos: false });
    const ids = encode('the men   in🙂🙂\n the');
    const pieces = stream(ids, [1], tokenizer);
    expect(pieces.join('')).toBe('the men   in🙂🙂\n the');
    expect(pieces.filter(Boolean).slice(0, 3)).toEqual(['the ', 'men', '   ']);
    expect(pieces.filter((piece) => piece.includes('🙂'))).toEqual(['🙂', '🙂']);
  });

  it.each(["GPT-2's regex", 'Llama 2', 'Gemma', 'Metaspace, first', 'Metaspace, never'])(
    'equals the whole decode for any ids of a tokenizer of the kind %s',
    (name) => {
      const tokenizer = ofKind(name);
      const size = tokenizer.vocabSize + 3; // a padded vocabulary
      const bytes = tokenizer.idOf('<0x00>') ?? 3;
      const any = fc.integer({ min: 0, max: size });
      const byte = fc.integer({ min: bytes, max: bytes + 255 });
      const spaces = fc.constantFrom(
        ...['▁', 'Ġ', '▁▁', '\n\n', '<tool>', '<s>'].flatMap((t) => tokenizer.idOf(t) ?? []),
        size,
      );
      const ids = fc.array(fc.oneof(any, byte, spaces), { maxLength: 90 });
      const runs = fc.array(fc.tuple(fc.oneof(any, byte, spaces), fc.integer({ min: 1, max: 40 })), { maxLength: 6 });
      const repeated = runs.map((list) => list.flatMap(([id, n]) => Array<number>(n).fill(id)));
      const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });
      fc.assert(
        fc.property(fc.oneof(ids, repeated), sizes, fc.boolean(), (list, pieces, skipSpecial) => {
          const whole = tokenizer.decode(list, { skipSpecial });
          expect(stream(list, pieces, tokenizer, skipSpecial).join('')).toBe(whole);
        }),
        { numRuns: 1000 },
      );
    },
  );

  it.each(['Llama 2', 'Gemma'])('gives whole characters for any text, of the kind %s', (name) => {
    const tokenizer = ofKind(name);
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
        fc.pre(!text.includes('\uFFFD'));
        const ids = tokenizer.encode(text, { special: false, bos: false });
        const pieces = stream(ids, [1], tokenizer);
        expect(pieces.join('')).toBe(tokenizer.decode(ids, { skipSpecial: true }));
        for (const piece of pieces) expect([piece.isWellFormed(), piece.includes('\uFFFD')]).toEqual([true, false]);
      }),
      { numRuns: 1000 },
    );
  });
});
