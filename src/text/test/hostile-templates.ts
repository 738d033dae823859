/** Hostile templates: values of some size, what Jinja can do to them, and loops around it. */
import fc from 'fast-check';
import type { Hostile } from '../../formats/test/hostile';
import { compile } from '../jinja';

const power = (most: number) => fc.nat(most).map((bits) => 2 ** bits);
/** A value, of a kind and a size that costs something. */
const values = fc
  .oneof(
    fc.tuple(fc.constantFrom("'a'", "'<>'", "'a '", "'\\n'", "'é'", "'😀'", "'7'", "'%s'", "'{0}'", "'-'"), power(18)),
    fc.tuple(fc.constantFrom('[1]', "['']", '(1,)', '[[]]', "['b']"), power(16)),
  )
  .map(([of, times]) => `(${of} * ${times})`);
const ready = fc.constantFrom(
  ...['range(100000)', 'dict.fromkeys(range(50000))', '10 ** 9999', '1.5e300', 'm', "m | map('string')", 'none', "'x'"],
);
const filters = fc.constantFrom(
  ...[
    'list',
    'string',
    'tojson',
    'e',
    'upper',
    'title',
    'trim',
    'sort',
    'unique',
    'length',
    'reverse',
    'items',
    'first',
  ],
  ...['last', 'striptags', 'wordcount', 'wordwrap(1)', 'wordwrap(79)', 'indent(3)', 'urlencode', 'int', 'float', 'abs'],
  ...[
    "join('ab')",
    "replace('a', 'bb')",
    "map('upper')",
    "map(attribute='real.real')",
    "select('in', m)",
    'batch(3, 1)',
  ],
  ...[
    'slice(7, 0)',
    'sum(start=[])',
    'dictsort',
    'xmlattr',
    'groupby(0)',
    'truncate(9)',
    'center(500000)',
    'min',
    'max',
  ],
);
const methods = fc.constantFrom(
  ...[
    "split('a')",
    'split()',
    "rsplit('a', 9)",
    'splitlines()',
    "strip('ab')",
    "find('aaaaaaab')",
    "count('a')",
    'title()',
  ],
  ...['swapcase()', 'isprintable()', 'isalnum()', 'expandtabs(9)', "join(['a', 'b'])", "partition('b')", 'format(1)'],
  ...["replace('', '-')", 'zfill(90000)', 'items()', 'keys()', 'copy()', 'index(0)', 'casefold()', "startswith('b')"],
);
const expressions = fc
  .tuple(
    fc.oneof(values, ready),
    fc.array(
      fc.oneof(
        filters.map((f) => ` | ${f}`),
        methods.map((m) => `.${m}`),
      ),
      { maxLength: 2 },
    ),
  )
  .map(([value, changes]) => changes.reduce((so, change) => `(${so}${change})`, value));
const statements = fc.oneof(
  expressions.map((value) => `{{ ${value} }}`),
  fc
    .tuple(expressions, expressions, fc.constantFrom('==', '<', 'in', '~', '+', '%', '*', 'and'))
    .map(([a, b, operator]) => `{% set x = ${a} ${operator} ${b} %}`),
  expressions.map((value) => `{% for i in ${value} %}{% if loop.last or loop.length %}{{ i }}{% endif %}{% endfor %}`),
  expressions.map((value) => `{% macro f(a) %}{{ a }}{{ f(a) if n }}{% endmacro %}{{ f(${value}) }}`),
  fc.constant('{% set ns = namespace(s=["a"]) %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}'),
  fc.constant(
    '{% set ns = namespace(t=(1,)) %}{% for i in range(60) %}{% set ns.t = (ns.t, ns.t) %}{% endfor %}{{ {}[ns.t] }}',
  ),
);
const templates = fc
  .array(fc.tuple(statements, fc.nat(3)), { minLength: 1, maxLength: 2 })
  .map((parts) =>
    parts.map(([part, again]) => (again === 0 ? `{% for n in range(99999) %}${part}{% endfor %}` : part)).join(''),
  );

/** So many of them, of a seed. */
export function hostileTemplates(seed: number, count: number): Hostile[] {
  return fc.sample(templates, { seed, numRuns: count }).map((template, i) => ({
    said: `seed ${seed}, number ${i}: ${template}`,
    bytes: template.length,
    take: () => compile(template).render({ m: [{ role: 'user', content: 'Hello, <you> \u{1f600}' }] }),
  }));
}
