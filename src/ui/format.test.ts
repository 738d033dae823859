import { describe, expect, test } from 'vitest';
import { formatBytes, formatBytesOf, formatMemory, formatRate, formatSeconds } from './format';
import { formatAgo, formatCount } from './models/model-words';

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
    expect(formatBytesOf(1_200_000, 84_600_000)).toEqual({ loaded: '1', total: '85 MB' });
    expect(formatBytesOf(4000, 9000)).toEqual({ loaded: '4.0', total: '9.0 KB' });
    expect(formatBytesOf(5e8, 4.5e9)).toEqual({ loaded: '0.5', total: '4.5 GB' });
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
    expect([4.25, 38.2].map((rate) => formatRate(rate))).toEqual(['4.3', '38']);
  });

  // spaces that do not break are spaces here
  const plain = (text: string) => text.replace(/\s/g, ' ');
  test.each([
    ['de', '0,3 MB', '9,4 MB/s', '4,38 GiB', '40 Sek.', '1 Std. 5 Min.', '135 Mio.', '4,3'],
    ['fr', '0,3 Mo', '9,4 Mo/s', '4,38 Gio', '40 s', '1 h 5 min', '135 M', '4,3'],
    ['es', '0,3 MB', '9,4 MB/s', '4,38 GiB', '40 s', '1 h 5 min', '135 M', '4,3'],
    ['zh', '0.3 MB', '9.4 MB/秒', '4.38 GiB', '40秒', '1小时 5分钟', '1.35亿', '4.3'],
    ['ar', '0.3 م.ب', '9.4 م.ب/ث', '\u20664.38 GiB\u2069', '40 ث', '1 س 5 د', '135 مليون', '4.3'],
    ['en-GB', '0.3 MB', '9.4 MB/s', '4.38 GiB', '40 s', '1 h 5 min', '135 M', '4.3'],
  ])('in %s as that is written', (language, size, speed, memory, short, long, count, rate) => {
    const said = [
      formatBytes(263_785, language),
      formatBytes(9.4e6, language, '-per-second'),
      formatMemory(4.375 * 2 ** 30, language),
      formatSeconds(40, language),
      formatSeconds(3900, language),
      formatCount(134_515_008, language),
      formatRate(4.25, language),
    ];
    expect(said.map(plain)).toEqual([size, speed, memory, short, long, count, rate]);
  });

  test('progress and days are said in the language, too', () => {
    const { loaded, total } = formatBytesOf(5e8, 4.5e9, 'fr');
    expect([loaded, plain(total)]).toEqual(['0,5', '4,5 Go']);
    const now = new Date(2026, 2, 9, 8).getTime();
    expect(formatAgo(new Date(2026, 2, 8).getTime(), now, 'de')).toBe('gestern');
  });
});
