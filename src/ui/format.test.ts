import { describe, expect, test } from 'vitest';
import { formatAgo, formatBytes, formatBytesOf, formatCount, formatMemory, formatRate, formatSeconds } from './format';

describe('format', () => {
  test.each([
    [0, '0 KB'],
    [8736, '9 KB'],
    [263_785, '0.3 MB'],
    [84_600_000, '85 MB'],
    [3_758_096_384, '3.8 GB'],
  ])('%d bytes is %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  test.each([
    [1000, '1 KiB'],
    [300_000, '0.3 MiB'],
    [8.4375 * 2 ** 20, '8.4 MiB'],
    [42 * 2 ** 20, '42 MiB'],
    [1023 * 2 ** 20, '1,023 MiB'],
    [2 ** 30, '1 GiB'],
    [4.375 * 2 ** 30, '4.38 GiB'],
  ])('%d bytes of memory is %s', (bytes, text) => expect(formatMemory(bytes)).toBe(text));

  test('progress uses the unit of the total', () => {
    expect(formatBytesOf(1_200_000, 84_600_000)).toBe('1 of 85 MB');
    expect(formatBytesOf(4000, 9000)).toBe('4.0 of 9.0 KB');
    expect(formatBytesOf(5e8, 4.5e9)).toBe('0.5 of 4.5 GB');
  });

  test.each([
    [0.2, '1 s'],
    [59, '59 s'],
    [150, '3 min'],
    [3900, '1 h 5 min'],
  ])('%d seconds is %s', (seconds, text) => expect(formatSeconds(seconds)).toBe(text));

  test.each([
    [106_816, '0.1 M'],
    [8200, '8.2 K'],
    [134_515_008, '135 M'],
    [7_241_732_096, '7.2 B'],
  ])('%d parameters are %s', (count, text) => expect(formatCount(count)).toBe(text));

  test.each([
    [new Date(2026, 2, 9, 0, 5), 'today'],
    [new Date(2026, 2, 8, 23, 55), 'yesterday'],
    [new Date(2026, 1, 9), '28 days ago'],
    [new Date(2025, 11, 1), '3 months ago'],
    [new Date(2026, 2, 10), 'today'],
  ])('%s is %s', (then, text) => expect(formatAgo(then.getTime(), new Date(2026, 2, 9, 8).getTime())).toBe(text));

  test('rates keep one decimal below ten', () => {
    expect([4.25, 38.2].map(formatRate)).toEqual(['4.3', '38']);
  });
});
