import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createStopMatcher } from './stop-strings';

function run(stops: string[], pieces: string[]) {
  const matcher = createStopMatcher(stops);
  let out = '';
  let stopped = false;
  for (const piece of pieces) {
    const next = matcher.push(piece);
    out += next.text;
    stopped = next.stopped;
  }
  return { text: out + matcher.flush(), stopped };
}

describe('golden cases', () => {
  // generated, stops, what is to come out (LitGPT's table, and the case that its matcher misses)
  const cases: [string, string[], string, boolean][] = [
    ['11111111', [], '11111111', false],
    ['1230', ['0'], '123', true],
    ['1230', ['9', '24', '1230'], '', true],
    ['12300', ['000', '00'], '123', true],
    ['312', ['12', '3'], '', true],
    ['12303210', ['4321', '24'], '12303210', false],
    ['1127', ['12'], '1', true],
    ['aabaabaab!', ['aabaab!'], 'aab', true],
  ];
  it.each(cases)('%s with %j gives %s', (generated, stops, text, stopped) => {
    expect(run(stops, [...generated])).toEqual({ text, stopped });
    expect(run(stops, [generated])).toEqual({ text, stopped });
  });
});

describe('createStopMatcher', () => {
  it('withholds only what may begin a stop string', () => {
    const matcher = createStopMatcher(['</s>', '\n\nUser:']);
    expect(matcher.push('Hi')).toEqual({ text: 'Hi', stopped: false });
    expect(matcher.push('\n')).toEqual({ text: '', stopped: false });
    expect(matcher.push('a<')).toEqual({ text: '\na', stopped: false });
    expect(matcher.push('b</s')).toEqual({ text: '<b', stopped: false });
    expect(matcher.push('> more')).toEqual({ text: '', stopped: true });
    expect(matcher.push('and more')).toEqual({ text: '', stopped: true });
    expect(matcher.flush()).toBe('');
  });

  it('flushes what was withheld', () => {
    const matcher = createStopMatcher(['abc']);
    expect(matcher.push('xab').text).toBe('x');
    expect(matcher.flush()).toBe('ab');
    expect(matcher.flush()).toBe('');
  });

  it('refuses an empty stop string', () => {
    expect(() => createStopMatcher(['a', ''])).toThrow(expect.objectContaining({ code: 'invalid-option' }));
  });

  it('ends where the first stop string is complete, however the text is cut', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 30 });
    const stop = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(
        letters,
        fc.array(stop, { maxLength: 3 }),
        fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 }),
        (text, stops, sizes) => {
          // by definition: the shortest beginning of the text that ends in a stop string, less the longest such one
          let expected = { text, stopped: false };
          for (let end = 1; end <= text.length; end++) {
            const found = stops.filter((s) => text.slice(0, end).endsWith(s)).sort((a, b) => b.length - a.length);
            if (!found.length) continue;
            expected = { text: text.slice(0, end - found[0].length), stopped: true };
            break;
          }
          const pieces: string[] = [];
          for (let at = 0, i = 0; at < text.length; i++) {
            pieces.push(text.slice(at, at + sizes[i % sizes.length]));
            at += sizes[i % sizes.length];
          }
          expect(run(stops, pieces)).toEqual(expected);
        },
      ),
      { numRuns: 2000 },
    );
  });
});
