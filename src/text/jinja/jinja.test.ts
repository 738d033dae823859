/** Beside jinja2 3.1.6 as transformers sets it up: the right texts are made by reference/fixtures_templates.py. */
import { describe, expect, it } from 'vitest';
import { fixture, readJson } from '../../formats/test/files';
import { compile, LIMITS, Refusal, stepsTaken, TemplateError } from './index';
import { strftime } from './strftime';

type Case = [template: string, chat: number, text: string | null];

const made: {
  chats: Record<string, unknown>[][];
  start: string;
  fixed: Case[];
  random: Case[];
  dateFormats: string[];
  dates: [number[], string[]][];
} = readJson(fixture('tokenizer/jinja.json'));

const render = (template: string, variables: Record<string, unknown> = {}) => compile(template).render(variables);

/** null stands for an error, as in the fixtures. */
function outcome(template: string, chat: number): string | null {
  const variables = { tools: null, documents: null, bos_token: '<s>', eos_token: '</s>' };
  try {
    return render(template, { messages: made.chats[chat], add_generation_prompt: chat !== 1, ...variables });
  } catch (thrown) {
    expect(thrown instanceof TemplateError || thrown instanceof Refusal, String(thrown)).toBe(true);
    return null;
  }
}

function failure(template: string, variables: Record<string, unknown> = {}): TemplateError {
  try {
    render(template, variables);
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(TemplateError);
    return thrown as TemplateError;
  }
  throw new Error('nothing was thrown');
}

describe('as jinja2 renders', () => {
  it.each(made.fixed)('%j, chat %i', (template, chat, text) => {
    expect(outcome(template, chat)).toBe(text);
  });

  it('a thousand random templates', () => {
    const different = made.random.filter(([rest, chat, text]) => outcome(made.start + rest, chat) !== text);
    expect(different).toEqual([]);
    expect(made.random.length).toBeGreaterThanOrEqual(500);
    expect(made.random.filter(([, , text]) => text !== null).length).toBeGreaterThan(300);
  });

  it.each(made.dates)('the date %j', ([year, month, ...rest], texts) => {
    const moment = new Date(year, month - 1, rest[0], rest[1], rest[2], rest[3]);
    expect(made.dateFormats.map((format) => strftime(format, moment))).toEqual(texts);
  });

  it('the date of today', () => {
    const now = new Date();
    const day = Math.round(
      (new Date(now.getFullYear(), now.getMonth(), now.getDate(), 12).getTime() -
        new Date(now.getFullYear(), 0, 0, 12).getTime()) /
        86_400_000,
    );
    expect(render("{{ strftime_now('%j') }}")).toBe(String(day).padStart(3, '0'));
  });
});

describe('names of JavaScript', () => {
  const names = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__'];

  it.each(names)('%s means nothing', (name) => {
    for (const of of [
      'messages[0]',
      "'text'",
      '[1]',
      '{}',
      '1',
      '1.5',
      'none',
      'true',
      'messages',
      'range(2)',
      'namespace()',
      'range',
      'f',
    ]) {
      expect(
        render(`{% macro f() %}{% endmacro %}{{ (${of}).${name} is defined }}{{ (${of})['${name}'] is defined }}`, {
          messages: [{ role: 'user' }],
        }),
      ).toBe('FalseFalse');
    }
    expect(render(`{{ ${name} is defined }}{{ 'x' | default('${name}') }}`)).toBe('Falsex');
    for (const call of [
      `{{ 1 | ${name} }}`,
      `{{ 1 is ${name} }}`,
      `{{ [1] | map('${name}') | list }}`,
      `{{ '%(${name})s' % {} }}`,
    ])
      failure(call);
    expect(render(`{{ '{0.${name}}'.format(1) }}{{ strftime_now('%${name[0]}') | length > 0 }}`)).toBe('True');
  });

  it('are keys like others where a message has them', () => {
    const message = JSON.parse('{"__proto__": "a", "constructor": "b", "role": "c"}');
    expect(
      render("{{ m['__proto__'] }}{{ m.constructor }}{{ m | tojson }}{{ m.keys() | list | length }}", { m: message }),
    ).toBe('ab{"__proto__": "a", "constructor": "b", "role": "c"}3');
    expect(
      render("{% set ns = namespace(constructor=1) %}{{ ns.constructor }}{{ {'__proto__': 1}['__proto__'] }}"),
    ).toBe('11');
    expect(({} as { a?: unknown }).a).toBeUndefined();
  });
});

describe('characters that stand for others', () => {
  const mark = '\ufdd0\ufdef';

  it('pass every filter that keeps text', () => {
    const same = [
      'trim',
      'upper',
      'lower',
      'title',
      'capitalize',
      'string',
      'safe',
      'e',
      'indent',
      "replace('x', 'y')",
      'join',
      'list | join',
      'reverse | reverse',
      "tojson | replace('\"', '')",
      'truncate(99)',
      'wordwrap',
      "split('x') | first",
      'center(2)',
      "urlencode | length | string | replace('18', c)",
      'first ~ (c | last)',
      'striptags',
    ];
    for (const filter of same.filter((each) => !each.startsWith('split')))
      expect(render(`{{ c | ${filter} }}`, { c: mark }), filter).toBe(mark);
    for (const method of [
      'strip()',
      'split()[0]',
      "split('x')[0]",
      'splitlines()[0]',
      "removeprefix('<')",
      "replace('<', '')",
      '[0:2]',
      'title()',
      'format()',
      "join(['', ''])",
    ]) {
      const expected = method.startsWith('join') ? mark : mark;
      expect(render(`{{ c${method.startsWith('[') ? '' : '.'}${method} }}`, { c: mark }), method).toBe(expected);
    }
    expect(
      render(
        "{{ [c] }}{{ {'a': c} | tojson(indent=1) }}{{ '%s' % c }}{{ '{}'.format(c) }}{{ c | length }}{{ c.isspace() }}",
        { c: mark },
      ),
    ).toBe(`['${mark}']{\n "a": "${mark}"\n}${mark}${mark}2False`);
  });
});

describe('where it fails', () => {
  it.each([
    ['a\n{{ 1 / 0 }}\nb', 2],
    ['{% for x in [1] %}\n\n{% if true %}\n{{ x.y.z }}{% endif %}{% endfor %}', 4],
    ['{# \n\n #}\n{% macro f() %}\n{{ none + 1 }}\n{% endmacro %}\n\n{{ f() }}', 5],
    ['\n\n{% for in x %}', 3],
    ['\r\n{{ "\n\n" }}{{ a b }}', 4],
    ['\n{% if true %}\n\n', 2],
    ["\n{{ 'a", 2],
    ['{%- raw -%}\n{% endraw %}\n{{ 1 | nosuch }}', 3],
    ["\n{% include 'x' %}", 2],
    [`\n\n{{ ${'('.repeat(9999)} }}`, 3],
  ])('%j says line %i', (template, line) => {
    expect(failure(template).line).toBe(line);
  });

  it("tells the template's own refusal apart", () => {
    expect(() => render("{{ raise_exception('Roles must alternate') }}")).toThrow(new Refusal('Roles must alternate'));
    expect(() => render("{{ raise_exception('a') }}")).toThrow(Refusal);
  });

  it.each(["{% include 'x' %}", "{% import 'x' as y %}", "{% from 'x' import y %}", "{% extends 'x' %}"])(
    'names what is not there: %s',
    (template) => {
      expect(failure(template).message).toMatch(/include|import|from|extends/);
    },
  );
});

describe('limits', () => {
  const doubled = (of: string, times: number) =>
    `{% set ns = namespace(s=${of}) %}{% for i in range(${times}) %}{% set ns.s = ns.s + ns.s %}{% endfor %}`;
  const steps = `more than ${LIMITS.steps} steps`;
  const long = `at most ${LIMITS.characters} are allowed`;
  const deep = `more than ${LIMITS.nesting} levels deep`;

  it.each([
    ['turns', '{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}', steps],
    [
      'turns that a test passes over',
      '{% for i in range(99) %}{% for j in range(99999) if false %}{% endfor %}{% endfor %}',
      steps,
    ],
    ['a text that doubles', doubled("'ab'", 60), long],
    ['a list that doubles', doubled('[1]', 60), steps],
    ['a tuple that doubles', doubled('(1,)', 60), steps],
    ['a text repeated', "{{ 'a' * 10 ** 9 }}", long],
    ['a list repeated', '{{ [1] * 10 ** 9 }}', steps],
    ['an output', `${doubled("'abcdefgh'", 18)}{% for i in range(9) %}{{ ns.s }}{% endfor %}`, long],
    [
      'a block that is set',
      `${doubled("'abcdefgh'", 18)}{% set x %}{% for i in range(9) %}{{ ns.s }}{% endfor %}{% endset %}`,
      long,
    ],
    ['a replacement', `${doubled("'ab'", 15)}{{ ns.s.replace('a', ns.s) }}`, long],
    ['a join', `${doubled("'ab'", 15)}{{ range(9999) | join(ns.s) }}`, long],
    ['an indent', "{{ 'a\\nb' | indent(10 ** 9) }}", long],
    ['a width', "{{ '%1000000000s' % 'a' }}", long],
    ['a width of a format', "{{ '{:1000000000}'.format('a') }}", long],
    ['a precision', "{{ '%.1000000f' % 1.5 }}", 'at most 4300'],
    ['a centre', "{{ 'a'.center(10 ** 9) }}", long],
    ['tabs', "{{ '\\t'.expandtabs(10 ** 9) }}", long],
    ['a JSON indent', '{{ [1] | tojson(indent=10 ** 9) }}', long],
    ['an int', '{{ 10 ** (10 ** 9) }}', 'bits'],
    ['the digits of an int', '{{ 10 ** 9999 }}', '4300 digits'],
    [
      'an int that is squared',
      '{% set ns = namespace(n=3) %}{% for i in range(40) %}{% set ns.n = ns.n * ns.n %}{% endfor %}',
      'bits',
    ],
    [
      'lists that hold each other twice',
      '{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}',
      '',
    ],
    [
      'lists that are compared',
      '{% set ns = namespace(l=[1], m=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% set ns.m = [ns.m, ns.m] %}{% endfor %}{{ ns.l == ns.m }}',
      steps,
    ],
    ['a macro that calls itself', '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}', deep],
    ['a loop that calls itself', '{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}', deep],
    ['brackets', `{{ ${'('.repeat(50_000)}1${')'.repeat(50_000)} }}`, deep],
    ['a sum', `{{ 1${'+1'.repeat(50_000)} }}`, deep],
    ['filters', `{{ 'a'${'|upper'.repeat(50_000)} }}`, deep],
    ['blocks', `${'{% if true %}'.repeat(20_000)}${'{% endif %}'.repeat(20_000)}`, deep],
    ['slices', `${doubled("'abcdefgh'", 18)}{% for i in range(1000) %}{% set x = ns.s[::-1] %}{% endfor %}`, steps],
    [
      'searches',
      `${doubled("'aaaaaaaa'", 18)}{% for i in range(9999) %}{% set x = 'aaaab' in ns.s %}{% endfor %}`,
      steps,
    ],
    ['a search for a long text', `${doubled("'aaaaaaaa'", 18)}{{ ('b' ~ ns.s[9:]) in ns.s }}`, steps],
    [
      'strips',
      `${doubled("'aaaaaaaa'", 18)}{% for i in range(9999) %}{% set x = ns.s.strip('ba') %}{% endfor %}`,
      steps,
    ],
    ['what tojson reads', '{% for i in range(99999) %}{% set x = m | tojson %}{% endfor %}', steps],
    ['what a test reads', '{% for i in range(99999) %}{% set x = m is lower %}{% endfor %}', steps],
  ])('of %s', (_, template, message) => {
    const { message: said } = failure(template, { m: '"\n'.repeat(100_000) });
    expect(said).toContain(message);
    expect(stepsTaken()).toBeLessThanOrEqual(LIMITS.steps);
  });

  it.each([
    ['text', 'x', ''],
    ['spaces', ' ', ''],
    ['spaces before a tag', ' ', 'x{%- if true %}{% endif %}'],
    ['lines of spaces', '\n    ', '{% if true %}{% endif %}'],
    ['opening braces', '{', ''],
    ['print tags', '{{ ', ''],
    ['comments without an end', '{#', ''],
    ['comments', '{##}', ''],
    ['raw tags without an end', '{% raw %}', ''],
    ['tags in a raw block', '{% endra %}', ''],
    ['strings without an end', "{{ '", ''],
    ['escapes', '\\', ''],
    ['digits', '{{ 1_', ''],
    ['generation', '{% generation %}{% endgeneration %}', ''],
    ['prints', '{{ a }}\n', ''],
    ['lists', '{{ [1, 2] | length }}', ''],
  ])('the lexer and the parser read %s once', (_, part, end) => {
    const cost = (times: number) => {
      try {
        compile((part.startsWith('{% endra') ? '{% raw %}' : '') + part.repeat(times) + end);
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(TemplateError);
      }
      return stepsTaken();
    };
    // twice the text costs at most twice the steps, and a few
    expect(cost(8000)).toBeLessThanOrEqual(2.05 * cost(4000) + 20);
  });

  it('leave room for a chat of 2,000 messages', () => {
    const template =
      "{%- set ns = namespace(last=0) %}{%- for m in messages[::-1] %}{%- if m.role == 'user' and not ns.last %}{%- set ns.last = loop.revindex0 %}{%- endif %}{%- endfor %}" +
      "{%- for m in messages %}{%- set c = m.content %}{%- if '</think>' in c %}{%- set c = c.split('</think>')[-1].lstrip('\\n') %}{%- endif %}{{ '<|' + m.role + '|>' + c | trim }}{%- endfor %}";
    const messages = Array.from({ length: 2000 }, (_, i) => ({
      role: i % 2 ? 'assistant' : 'user',
      content: 'x'.repeat(1000),
    }));
    expect(render(template, { messages }).length).toBeGreaterThan(2_000_000);
    expect(stepsTaken()).toBeLessThan(LIMITS.steps / 5);
  });
});
