/**
 * Templates that mean harm: each step that costs time is paid for. What one operation pays is looked at beside the size
 * of what it reads, so that a test which finds it too little ends at once, where the template itself would not.
 */
import { describe, expect, it } from 'vitest';
import { RUNS, SEED } from '../../formats/test/hostile';
import { hostileTemplates } from '../test/hostile-templates';
import { compile, LIMITS, Refusal, stepsTaken, TemplateError } from './index';

/** what a template has made before it begins */
const MADE = {
  dict: '{% set v = dict.fromkeys(range(20000)) %}',
  letters: "{% set v = 'abcdefgh' * 20000 %}",
  words: "{% set v = 'ab ' * 50000 %}",
  tags: "{% set v = '<>' * 80000 %}",
  entities: "{% set v = '&lt;' * 40000 %}",
  digits: "{% set v = '7' * 160000 %}",
  faces: "{% set v = '\u{1f600}' * 80000 %}",
  list: '{% set v = range(20000) | list %}',
  int: '{% set v = 10 ** 20000 + 7 %}',
  printed: '{% set v = 10 ** 4000 + 7 %}',
  path: "{% set v = 'real.' * 20000 ~ 'real' %}",
};

/** Steps that an expression takes, without what was made before it. */
function cost(made: keyof typeof MADE, expression: string): number {
  const steps = (template: string) => {
    try {
      compile(template).render({});
    } catch (thrown) {
      expect(thrown).toBeInstanceOf(TemplateError);
    }
    return stepsTaken();
  };
  return steps(`${MADE[made]}{% set x = ${expression} %}`) - steps(MADE[made]);
}

describe('an expression pays for what it reads', () => {
  // at least so many steps; a step is about a microsecond
  it.each<[keyof typeof MADE, string, number]>([
    ['dict', 'v == dict.fromkeys(range(1, 20001))', 5000],
    ['dict', 'v | items', 2500],
    ['dict', 'v | first', 2500],
    ['dict', 'v.items() | first', 2500],
    ['dict', 'v.copy()', 20_000],
    ['letters', "v.replace('', 'x')", 20_000],
    ['letters', "v.replace('', '', 3)", 300],
    ['letters', "'a'.strip(v)", 10_000],
    ['letters', 'v.isprintable()', 10_000],
    ['letters', 'v is lower', 5000],
    ['letters', 'v.expandtabs()', 20_000],
    ['letters', "'%.1s' % v", 600],
    ['letters', "'%1s' % v", 600],
    ['letters', "('b' ~ 'a' * 639) in v", 40_000],
    ['letters', '[1] | sort(attribute=v)', 600],
    ['words', 'v | wordcount', 10_000],
    ['words', 'v | wordwrap', 20_000],
    ['tags', 'v | striptags', 20_000],
    ['entities', 'v | striptags', 20_000],
    ['digits', 'v | int', 5000],
    ['digits', 'v | float', 5000],
    ['faces', 'v[0]', 10_000],
    ['list', 'v.index(1, 19999)', 2500],
    ['list', "v | map('string') | list", 80_000],
    ['list', 'v | unique | list', 30_000],
    ['int', 'v % (10 ** 9999 + 3)', 1000],
    ['int', 'v // (10 ** 9999 + 3)', 1000],
    ['int', '{v: 1}[v]', 60],
    ['int', 'v | round(-9999)', 1000],
    ['int', "'%.0f' % v", 1000],
    ['printed', 'v | string', 60],
    ['printed', "('f' * 4000) | int(0, 17)", 500],
    ['path', '[1] | map(attribute=v) | first', 9000],
    ['path', "[1, 2, 3, 4] | map(attribute=v) | join('')", 20_000],
    ['path', "('{0.' ~ v ~ '}').format(1)", 20_000],
  ])('of %s, %s', (made, expression, least) => {
    expect(cost(made, expression)).toBeGreaterThanOrEqual(least);
  });

  it('texts are compared by code points, each up to where they differ', () => {
    const texts = [
      '',
      'a',
      'ab',
      'b',
      '\uffff',
      '\u{10000}',
      '\u{1f600}',
      '\u{1f600}a',
      '\u{1f601}',
      '\ud83d',
      '\ud83da',
      '\ude00',
    ];
    const points = (text: string) => Array.from(text, (point) => point.codePointAt(0)!);
    for (const a of texts) {
      for (const b of texts) {
        const [p, q] = [points(`x${a}`), points(`x${b}`)];
        const at = p.findIndex((point, i) => point !== q[i]);
        const right = at < 0 ? p.length < q.length : at < q.length && p[at] < q[at];
        expect(compile("{{ 'x' ~ a < 'x' ~ b }}").render({ a, b }), JSON.stringify([a, b])).toBe(
          right ? 'True' : 'False',
        );
      }
    }
    const same = (length: number) => {
      compile("{{ v ~ 'a' < v ~ '\u{1f600}' }}").render({ v: 'x'.repeat(length) });
      return stepsTaken();
    };
    expect(same(80_000)).toBeGreaterThan(1.9 * same(40_000));
  });

  it('a macro pays for its parameters at each call', () => {
    const names = Array.from({ length: 5000 }, (_, i) => `a${i}`).join();
    const steps = (calls: string) => {
      compile(`{% macro f(${names}) %}{% endmacro %}${calls}`).render({});
      return stepsTaken();
    };
    expect(steps('{{ f() }}') - steps('')).toBeGreaterThan(2500);
  });

  it('a raw section pays for itself, not for all that follows', () => {
    const steps = (times: number) => {
      compile('{% raw %}x{% endraw %}'.repeat(times));
      return stepsTaken();
    };
    expect(steps(8000)).toBeLessThanOrEqual(2.05 * steps(4000));
  });

  it('twice the arguments of a call cost twice the work', () => {
    // each name is compared with those before it by looking it up: counted are the reads of one name
    const looked: string[] = [];
    const { has } = Set.prototype;
    Set.prototype.has = function (value) {
      if (typeof value === 'string' && /^a\d+$/.test(value)) looked.push(value);
      return has.call(this, value);
    };
    try {
      compile(`{{ f(${Array.from({ length: 200 }, (_, i) => `a${i}=1`).join()}) }}`);
    } finally {
      Set.prototype.has = has;
    }
    expect(looked).toHaveLength(200);
    expect(() => compile('{{ f(a=1, b=2, a=3) }}')).toThrow("the argument 'a' is given twice");
  });

  it('the items of a loop that asked for its length are not moved at each turn', () => {
    const { shift } = Array.prototype;
    let moved = 0;
    Array.prototype.shift = function () {
      moved++;
      return shift.call(this);
    };
    let text: string;
    try {
      text = compile(
        "{% for x in range(300) | map('string') %}{{ loop.revindex if loop.length == 300 }} {% endfor %}",
      ).render({});
    } finally {
      Array.prototype.shift = shift;
    }
    expect(text.split(' ', 3)).toEqual(['300', '299', '298']);
    expect(moved).toBe(0);
  });
});

describe('templates made at random', () => {
  /** ten times what the slowest took, on a machine that has other work */
  const WATCHDOG_MS = 20_000;

  it(`${RUNS} of them, from seed ${SEED}, end in a text or in what is wrong with them`, {
    timeout: RUNS * 2 * WATCHDOG_MS,
  }, () => {
    const ends = { texts: 0, refused: 0 };
    for (const { said, take } of hostileTemplates(SEED, RUNS)) {
      const started = performance.now();
      try {
        expect((take() as string).length, said).toBeLessThanOrEqual(LIMITS.characters);
        ends.texts++;
      } catch (thrown) {
        if (!(thrown instanceof TemplateError || thrown instanceof Refusal)) throw thrown;
        ends.refused++;
      }
      expect(stepsTaken(), said).toBeLessThanOrEqual(LIMITS.steps);
      expect(performance.now() - started, said).toBeLessThan(WATCHDOG_MS);
    }
    expect(Math.min(ends.texts, ends.refused)).toBeGreaterThan(RUNS / 20);
  });
});
