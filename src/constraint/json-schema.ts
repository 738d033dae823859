/**
 * A JSON Schema (2020-12) as a grammar. Answers are written as json-text.ts says, properties in the schema's order,
 * those that are not required present or not; other properties only where the schema speaks of them, or names none at
 * all.
 */
import { all, any, type Expression, type Grammar, NEVER, oneOf, optional, repeat, rule, text } from './grammar';
import { ANY_JSON, contentOf, IN_STRING, INTEGER, JSON_RULES, listed, NUMBER, string, valueText } from './json-text';
import {
  ALL,
  ANY,
  asExpression,
  both,
  chain,
  EMPTY,
  either,
  forgetExpressions,
  literals,
  MAX_STATES,
  mustExpress,
  not,
  PLAINLY,
  type Regular,
  times,
} from './regular';
import { regularExpression } from './regular-expression';
import { type Cell, Cells, type Claim, claimsOf } from './schema-cells';
import { refuse, type Schema, SchemaDocument } from './schema-document';
import { numbers } from './schema-numbers';

type CellOf<T extends Cell['type']> = Extract<Cell, { type: T }>;

const ENDLESS = Number.POSITIVE_INFINITY;
/** Where lengths and patterns together take too many states, texts are no longer than the least and this many more. */
const SHORTER = [512, 128, 32, 8, 0];

/** A part of a list, behind so many others. */
const before = (at: number, part: Expression) => (at > 0 ? all(', ', part) : part);

/** @throws invalid-option, with the place, for a schema that cannot be followed */
export function schemaGrammar(schema: unknown): Grammar {
  forgetExpressions();
  return new SchemaGrammar(schema).grammar();
}

class SchemaGrammar {
  readonly #given: SchemaDocument;
  readonly #cells: Cells;
  readonly #rules = new Map<string, Expression>(JSON_RULES);
  readonly #numbers = new Map<Schema, number>();
  readonly #languages = new Map<string, Regular>();

  constructor(schema: unknown) {
    this.#given = new SchemaDocument(schema);
    this.#cells = new Cells(this.#given);
  }

  grammar(): Grammar {
    const start = this.#value([{ schema: this.#given.root, holds: true }]);
    return { start, rules: this.#rules };
  }

  /** Claims without what says nothing, and a name for all of them together. */
  #normal(claims: readonly Claim[]): { name: string; claims: Claim[] } {
    const kept = new Map<string, Claim>();
    for (const claim of claims) {
      if (claim.schema === claim.holds) continue;
      const empty = typeof claim.schema === 'object' && Object.keys(claim.schema).length === 0;
      if (empty && claim.holds) continue;
      const schema = empty ? true : claim.schema;
      const number = this.#numbers.get(schema) ?? this.#numbers.size;
      this.#numbers.set(schema, number);
      kept.set(`${claim.holds ? '' : '!'}${number}`, claim);
    }
    const names = [...kept.keys()].sort();
    return { name: names.join('&'), claims: names.map((name) => kept.get(name)!) };
  }

  /** A value that meets all claims. */
  #value(given: readonly Claim[]): Expression {
    const { name, claims } = this.#normal(given);
    if (claims.length === 0) return rule(ANY_JSON.value);
    const key = `value ${name}`;
    if (!this.#rules.has(key)) {
      // a schema may come back to itself
      this.#rules.set(key, NEVER);
      const cells = this.#cells.of(claims);
      const values = cells.flatMap((cell) => (cell.type === 'value' ? [valueText(cell.value)] : []));
      const parts = cells.flatMap((cell) => (cell.type === 'value' ? [] : [this.#cell(cell)]));
      this.#rules.set(key, any(...parts, ...(values.length ? [oneOf(values)] : [])));
    }
    return rule(key);
  }

  #cell(cell: Exclude<Cell, { type: 'value' }>): Expression {
    switch (cell.type) {
      case 'null':
        return text('null');
      case 'boolean':
        return any('true', 'false');
      case 'number':
        return this.#number(cell);
      case 'string':
        return this.#string(cell);
      case 'array':
        return this.#array(cell);
      case 'object':
        return this.#object(cell);
    }
  }

  #number(cell: CellOf<'number'>): Expression {
    const bounded = cell.least > -ENDLESS || cell.most < ENDLESS || cell.multiples.length || cell.noMultiples.length;
    if (!bounded && cell.not.length === 0) return cell.whole ? INTEGER : NUMBER;
    const found = numbers(cell);
    return 'kind' in found ? mustExpress(found, this.#rules, PLAINLY, 'schema') : oneOf(found);
  }

  /** The texts of a cell, as the value has them. */
  #language({ least, most, patterns, not: excluded }: CellOf<'string'>): Regular {
    const parts = patterns.map(({ source, search, holds }) => {
      const key = `${search}${source}`;
      const known = this.#languages.get(key) ?? regularExpression(source, search, 'schema');
      this.#languages.set(key, known);
      return holds ? known : not(known);
    });
    if (excluded.length > 0) parts.push(not(literals(excluded)));
    if (least > 0 || most < ENDLESS) parts.push(times(ANY, least, most));
    return both(...parts);
  }

  #string(cell: CellOf<'string'>): Expression {
    if (cell.patterns.length === 0 && cell.not.length === 0)
      return cell.least === 0 && cell.most === ENDLESS ? rule(ANY_JSON.string) : string(cell.least, cell.most);
    return all('"', this.#content(this.#language(cell), cell.least), '"');
  }

  /** A language between quotation marks; where it takes too many states, its shorter texts. */
  #content(language: Regular, least: number): Expression {
    const whole = asExpression(language, this.#rules, IN_STRING, MAX_STATES);
    if (whole) return whole;
    for (const more of SHORTER) {
      const short = both(language, times(ANY, 0, least + more));
      const found = asExpression(short, this.#rules, IN_STRING, MAX_STATES);
      if (found) return found;
    }
    return mustExpress(language, this.#rules, IN_STRING, 'schema');
  }

  #array({ least, most, items, unique, path }: CellOf<'array'>): Expression {
    if (unique && most > 1) throw refuse(`${path}/uniqueItems`, 'that no item is there twice cannot be held to.');
    const length = Math.max(0, ...items.map(({ first }) => first.length));
    const item = (at: number) => this.#value(items.flatMap(({ first, rest }) => first[at] ?? rest));
    const rest = this.#value(items.flatMap(({ rest }) => rest));
    // from the end: what may follow so many items
    const tail = (at: number): Expression => {
      const [low, high] = [Math.max(0, least - at), most - at];
      return at > 0 && high > 0 ? repeat(all(', ', rest), low, high) : listed(rest, low, high);
    };
    let after = tail(length);
    for (let at = length - 1; at >= 0; at--) {
      const here = at < most ? before(at, all(item(at), after)) : NEVER;
      after = at >= least ? optional(here) : here;
    }
    return all('[', after, ']');
  }

  #object(cell: CellOf<'object'>): Expression {
    const { fields, required, forbidden, names } = cell;
    const known = [...new Set([...fields.flatMap(({ named }) => [...named.keys()]), ...required])];
    const writes = known.filter((name) =>
      names.every(({ schema, holds }) => this.#cells.accepts(schema, name) === holds),
    );
    if (required.some((name) => forbidden.includes(name) || !writes.includes(name))) return NEVER;
    const properties = writes
      .filter((name) => !forbidden.includes(name))
      .map((name) => ({
        must: required.includes(name),
        pair: all(`"${contentOf(name)}": `, this.#value(fields.flatMap((field) => claimsOf(field, name)))),
      }));
    // how many there are counts only as far as it is asked for
    const counted = cell.least > 0 || cell.most < ENDLESS;
    const most = cell.most;
    const clamp = (count: number) =>
      counted && (most < ENDLESS || count < cell.least) ? count : Math.min(count, Math.max(1, cell.least));
    const others = this.#others(cell, known);
    const prefix = `object ${this.#rules.size} `;
    const from = (at: number, count: number): Expression => {
      if (at === properties.length) return this.#tail(others, count, cell.least, most);
      const key = `${prefix}${at} ${count}`;
      if (!this.#rules.has(key)) {
        this.#rules.set(key, NEVER);
        const { must, pair } = properties[at];
        const parts: Expression[] = [];
        if (count < most) parts.push(all(...(count > 0 ? [', '] : []), pair, from(at + 1, clamp(count + 1))));
        if (!must) parts.push(from(at + 1, count));
        this.#rules.set(key, any(...parts));
      }
      return rule(key);
    };
    return all('{', from(0, 0), '}');
  }

  /** Properties that are not named: of each kind, the texts of its names, and its values. */
  #others({ fields, names, required, least, forbidden }: CellOf<'object'>, known: readonly string[]) {
    const open =
      fields.length === 0 || fields.every(({ named, patterns }) => named.size === 0 && patterns.length === 0);
    const needed = least > known.length;
    const offers = fields.some((field) => field.offers) || (open && required.length === 0) || needed;
    const patterns = [...new Set(fields.flatMap((field) => field.patterns.map(({ pattern }) => pattern)))];
    const languages = patterns.map((pattern) => regularExpression(pattern, true, 'schema'));
    let free = both(...([...known, ...forbidden].length ? [not(literals([...known, ...forbidden]))] : []));
    for (const { schema, holds } of names) free = both(free, this.#names(schema, holds));
    const kinds: { names: Regular; value: Expression }[] = [];
    patterns.forEach((pattern, i) => {
      const claims = fields.flatMap((field) => {
        const own = field.patterns.filter((one) => one.pattern === pattern);
        return own.length ? own.flatMap((one) => one.claims) : field.others;
      });
      const rest = languages.filter((_, j) => j !== i).map(not);
      kinds.push({ names: both(free, languages[i], ...rest), value: this.#value(claims) });
    });
    if (offers) {
      const claims = fields.flatMap((field) => field.others);
      kinds.push({ names: both(free, ...languages.map(not)), value: this.#value(claims) });
    }
    return kinds;
  }

  /** The texts that a schema takes as names. */
  #names(schema: Schema, holds: boolean): Regular {
    const cells = this.#cells.of([{ schema, holds }]);
    return either(
      ...cells.map((cell) => {
        if (cell.type === 'string') return this.#language(cell);
        return cell.type === 'value' && typeof cell.value === 'string' ? literals([cell.value]) : not(ALL);
      }),
    );
  }

  /** What may follow so many properties. */
  #tail(
    kinds: readonly { names: Regular; value: Expression }[],
    count: number,
    least: number,
    most: number,
  ): Expression {
    if (count >= most) return text('');
    const low = Math.max(0, least - count);
    if (kinds.length === 0) return low > 0 ? NEVER : text('');
    /** @param within where several are needed, they differ by how long their names are */
    const pair = (within: Regular) =>
      any(
        ...kinds.map(({ names, value }) => {
          const language = both(names, within);
          const name = language.key === ALL.key ? rule(ANY_JSON.string) : all('"', this.#content(language, 0), '"');
          return all(name, ': ', value);
        }),
      );
    const more = pair(ALL);
    const parts = Array.from({ length: low }, (_, i) =>
      before(count + i, low === 1 ? more : pair(chain(times(times(ANY, low, low), 0), i ? times(ANY, i, i) : EMPTY))),
    );
    const rest = count + low > 0 ? repeat(all(', ', more), 0, most - count - low) : listed(more, 0, most);
    return all(...parts, rest);
  }
}
