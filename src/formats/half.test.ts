import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { denseBytes, denseValues, f16Table, toBf16, toF16 } from './half';

const bits = new Uint32Array(1);
const asFloat = new Float32Array(bits.buffer);
const fromBits = (b: number) => {
  bits[0] = b;
  return asFloat[0];
};
const bf16Value = (b: number) => fromBits(b << 16);

describe('f16', () => {
  it('has the values of IEEE binary16', () => {
    const table = f16Table();
    const known: [number, number][] = [
      [0x0000, 0],
      [0x0001, 2 ** -24],
      [0x03ff, 1023 * 2 ** -24],
      [0x0400, 2 ** -14],
      [0x3c00, 1],
      [0x3555, 0.333251953125],
      [0x7bff, 65504],
      [0x7c00, Number.POSITIVE_INFINITY],
      [0xc000, -2],
    ];
    for (const [h, value] of known) expect(table[h]).toBe(value);
    expect(Object.is(table[0x8000], -0)).toBe(true);
    expect(table[0x7e00]).toBeNaN();
  });

  it('comes back from f32 for every bit pattern', () => {
    const table = f16Table();
    const wrong: number[] = [];
    for (let h = 0; h < 65536; h++) {
      const back = toF16(table[h]);
      if (Number.isNaN(table[h]) ? !Number.isNaN(table[back]) : back !== h) wrong.push(h);
    }
    expect(wrong).toEqual([]);
  });

  it('is the nearest, ties to even, between any two neighbours', () => {
    const table = f16Table();
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0x7bfe }), fc.double({ min: 0, max: 1, noNaN: true }), (h, t) => {
        const [low, high] = [table[h], table[h + 1]];
        const value = Math.fround(low + (high - low) * t);
        const middle = (low + high) / 2; // exact in f64
        const expected = value < middle ? h : value > middle ? h + 1 : h + (h & 1);
        expect(toF16(value)).toBe(expected);
        expect(toF16(-value)).toBe(expected | 0x8000);
      }),
      {
        examples: [
          [0, 0.5],
          [1, 0.5],
          [0x3ff, 0.5],
          [0x3fe, 0.5],
          [0x3c00, 0.5],
          [0x7bfe, 0.5],
        ],
      },
    );
    expect(toF16(65519.99)).toBe(0x7bff);
    expect(toF16(65520)).toBe(0x7c00);
    expect(toF16(1e30)).toBe(0x7c00);
    expect(toF16(2 ** -25)).toBe(0);
    expect(toF16(fromBits(0x33000001))).toBe(1); // just above half of the smallest
  });
});

describe('bf16', () => {
  it('comes back from f32 for every bit pattern', () => {
    const wrong: number[] = [];
    for (let h = 0; h < 65536; h++) {
      const value = bf16Value(h);
      if (Number.isNaN(value) ? !Number.isNaN(bf16Value(toBf16(value))) : toBf16(value) !== h) wrong.push(h);
    }
    expect(wrong).toEqual([]);
  });

  it('rounds ties to even', () => {
    expect(toBf16(fromBits(0x3f808000))).toBe(0x3f80);
    expect(toBf16(fromBits(0x3f818000))).toBe(0x3f82);
    expect(toBf16(fromBits(0x3f808001))).toBe(0x3f81);
    expect(toBf16(3.4028234e38)).toBe(0x7f80);
  });
});

it('reads bytes that start anywhere', () => {
  const values = Float32Array.of(1, -2.5, 0.125);
  for (const type of ['f32', 'f16', 'bf16'] as const) {
    const bytes = denseBytes(values, type);
    const shifted = new Uint8Array(bytes.length + 1);
    shifted.set(bytes, 1);
    expect(denseValues(shifted.subarray(1), type)).toEqual(values);
  }
});
