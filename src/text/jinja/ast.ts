/** What the parser makes of a template. */
import type { Value } from './values';

export interface Arguments {
  args: Expression[];
  keywords: [string, Expression][];
  /** *list and **dict */
  list: Expression | null;
  dict: Expression | null;
}

export type Expression =
  | { kind: 'constant'; value: Value }
  | { kind: 'name'; name: string }
  | { kind: 'list' | 'tuple' | 'concat'; items: Expression[] }
  | { kind: 'dict'; pairs: [Expression, Expression][] }
  | { kind: 'attribute'; of: Expression; name: string }
  | { kind: 'item'; of: Expression; key: Expression }
  | { kind: 'slice'; of: Expression; bounds: (Expression | null)[] }
  | { kind: 'call'; of: Expression; with: Arguments }
  /** `of` is null where a block's text is filtered */
  | { kind: 'filter'; name: string; of: Expression | null; with: Arguments }
  | { kind: 'test'; name: string; of: Expression; with: Arguments }
  | { kind: 'unary'; operator: string; of: Expression }
  | { kind: 'and' | 'or'; left: Expression; right: Expression }
  | { kind: 'binary'; operator: string; left: Expression; right: Expression }
  | { kind: 'compare'; first: Expression; rest: [operator: string, Expression][] }
  | { kind: 'if'; test: Expression; yes: Expression; no: Expression | null };

export type CallExpression = Extract<Expression, { kind: 'call' }>;
export type FilterExpression = Extract<Expression, { kind: 'filter' }>;

/** Where a value is put: a name, several, or an attribute of a namespace. */
export type Target =
  | { kind: 'name'; name: string }
  | { kind: 'several'; targets: Target[] }
  | { kind: 'attribute'; of: string; name: string };

export interface MacroParts {
  name: string;
  parameters: [name: string, otherwise: Expression | null][];
  body: Statement[];
  /** which of caller, varargs and kwargs its body asks for */
  uses: Set<string>;
}

export type Statement = { line: number } & (
  | { kind: 'text'; text: string }
  | { kind: 'print'; values: Expression[] }
  | { kind: 'if'; branches: [test: Expression, body: Statement[]][]; otherwise: Statement[] }
  | {
      kind: 'for';
      target: Target;
      over: Expression;
      test: Expression | null;
      recursive: boolean;
      body: Statement[];
      otherwise: Statement[];
    }
  | { kind: 'break' | 'continue' }
  | { kind: 'set'; target: Target; value: Expression }
  | { kind: 'setBlock'; target: Target; filter: Expression | null; body: Statement[] }
  | { kind: 'with'; pairs: [Target, Expression][]; body: Statement[] }
  | { kind: 'filter'; filter: FilterExpression; body: Statement[] }
  | { kind: 'macro'; macro: MacroParts }
  | { kind: 'call'; call: CallExpression; caller: MacroParts }
  | { kind: 'autoescape'; value: Expression; body: Statement[] }
  | { kind: 'block'; body: Statement[]; scoped: boolean }
  | { kind: 'refused'; tag: string }
);
