/**
 * A grammar as a program of nodes that read bytes: each rule is a piece of it that ends in `end`, and is entered by
 * `call`. What the states of an answer are (states.ts) is found from it while the answer comes.
 */
import { NibbleError } from '../errors';
import { intersection, keyOf, PLAIN } from './characters';
import type { Expression, Grammar } from './grammar';
import { byteSequences } from './utf8';

/** A symbol is a byte, or from here on a control token, by its place in Program.tokens. */
export const FIRST_TOKEN = 256;

export type Node =
  /** reads a symbol; `alike`: all plain characters (characters.ts) lead to one node, or none leads anywhere */
  | { kind: 'read'; edges: Edge[]; alike: boolean }
  | { kind: 'split'; targets: number[] }
  | { kind: 'call'; rule: string; target: number; next: number }
  /** runs `body` (which ends in `end`) least to most times */
  | { kind: 'count'; body: number; least: number; most: number; next: number }
  | { kind: 'end' };

export interface Edge {
  from: number;
  to: number;
  target: number;
}

export interface Program {
  nodes: readonly Node[];
  start: number;
  /** names of control tokens, which are the symbols from 256 on */
  tokens: readonly string[];
}

/** Nodes that a program may have: some 20 MB. */
const MAX_NODES = 400_000;
/** A repeat of a small part up to so many nodes is written out: it needs no count then. */
const UNROLLED = 12;

export const END = 0;

const ALL_PLAIN = keyOf(PLAIN);
const isPlain = (byte: number) => byte >= 0x20 && byte !== 0x22 && byte !== 0x5c;

function tooLarge(option: string): NibbleError {
  return new NibbleError(
    'invalid-option',
    `The ${option} is too large to follow: as a grammar it has more than ${MAX_NODES} parts. Make it simpler or shorter.`,
    { option, parts: MAX_NODES },
  );
}

/**
 * @param isToken whether the tokenizer has a control token of that name
 * @param option what the caller gave, as errors name it
 * @throws invalid-option for a rule that is missing, that begins with itself, or a grammar that is too large
 */
export function compile(grammar: Grammar, isToken: (name: string) => boolean, option: string): Program {
  const nodes: Node[] = [{ kind: 'end' }];
  const tokens: string[] = [];
  const starts = new Map<string, number>();
  const waiting: string[] = [];
  const calls: { node: number; rule: string }[] = [];

  const add = (node: Node): number => {
    if (nodes.length >= MAX_NODES) throw tooLarge(option);
    return nodes.push(node) - 1;
  };
  /** one set before one node, once */
  const sets = new Map<object, Map<number, number>>();

  const readSet = (expression: Extract<Expression, { type: 'set' }>, next: number): number => {
    const known = sets.get(expression.set) ?? new Map<number, number>();
    sets.set(expression.set, known);
    const found = known.get(next);
    if (found !== undefined) return found;
    // sequences that share their end share its nodes, those with the same first byte are beside each other
    const tails = new Map<string, number>();
    const tail = (sequence: readonly (readonly [number, number])[], from: number): number => {
      if (from === sequence.length) return next;
      const key = sequence.slice(from).join(';');
      const made = tails.get(key);
      if (made !== undefined) return made;
      const [low, high] = sequence[from];
      const node = add({
        kind: 'read',
        edges: [{ from: low, to: high, target: tail(sequence, from + 1) }],
        alike: false,
      });
      tails.set(key, node);
      return node;
    };
    const edges = byteSequences(expression.set).map(
      (sequence): Edge => ({ from: sequence[0][0], to: sequence[0][1], target: tail(sequence, 1) }),
    );
    const common = intersection(expression.set, PLAIN);
    const alike = common.length === 0 || keyOf(common) === ALL_PLAIN;
    const node = add({ kind: 'read', edges, alike });
    known.set(next, node);
    return node;
  };

  const readText = (value: string, next: number): number => {
    const bytes = new TextEncoder().encode(value);
    let at = next;
    for (let i = bytes.length - 1; i >= 0; i--)
      at = add({ kind: 'read', edges: [{ from: bytes[i], to: bytes[i], target: at }], alike: !isPlain(bytes[i]) });
    return at;
  };

  const build = (expression: Expression, next: number): number => {
    switch (expression.type) {
      case 'text':
        return readText(expression.text, next);
      case 'set':
        return readSet(expression, next);
      case 'all':
        return expression.parts.reduceRight((at, part) => build(part, at), next);
      case 'any': {
        const targets = [...new Set(expression.parts.map((part) => build(part, next)))];
        return targets.length === 1 ? targets[0] : add({ kind: 'split', targets });
      }
      case 'repeat':
        return buildRepeat(expression, next);
      case 'rule': {
        const { name } = expression;
        if (!grammar.rules.has(name))
          throw new NibbleError('invalid-option', `The ${option} names the rule "${name}", which it does not have.`, {
            option,
            rule: name,
          });
        if (!starts.has(name)) {
          starts.set(name, -1);
          waiting.push(name);
        }
        const node = add({ kind: 'call', rule: name, target: -1, next });
        calls.push({ node, rule: name });
        return node;
      }
      case 'token': {
        const { name } = expression;
        if (!isToken(name)) return readText(name, next);
        if (!tokens.includes(name)) tokens.push(name);
        const symbol = FIRST_TOKEN + tokens.indexOf(name);
        return add({ kind: 'read', edges: [{ from: symbol, to: symbol, target: next }], alike: true });
      }
    }
  };

  const buildRepeat = ({ part, least, most }: Extract<Expression, { type: 'repeat' }>, next: number): number => {
    if (most <= 0) return next;
    if (least <= 1 && most === Number.POSITIVE_INFINITY) {
      const back: Node = { kind: 'split', targets: [] };
      const loop = add(back);
      const body = build(part, loop);
      back.targets = [body, next];
      return least === 0 ? loop : body;
    }
    const once = nodes.length;
    const many = most === Number.POSITIVE_INFINITY ? least + 1 : most;
    let at = next;
    if (many <= UNROLLED && isSmall(part, UNROLLED / many)) {
      if (most === Number.POSITIVE_INFINITY) at = buildRepeat({ type: 'repeat', part, least: 0, most }, next);
      for (let i = most === Number.POSITIVE_INFINITY ? least : most; i > 0; i--) {
        const body = build(part, at);
        at = i > least ? add({ kind: 'split', targets: [body, next] }) : body;
      }
      return at;
    }
    const count: Node = { kind: 'count', body: -1, least, most, next };
    const node = add(count);
    count.body = build(part, END);
    if (nodes.length - once > MAX_NODES) throw tooLarge(option);
    return node;
  };

  const startNode = build(grammar.start, END);
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop())
    starts.set(name, build(grammar.rules.get(name)!, END));
  for (const { node, rule } of calls) (nodes[node] as Extract<Node, { kind: 'call' }>).target = starts.get(rule)!;
  const program = { nodes, start: startNode, tokens };
  emptyPaths(program, option);
  return program;
}

/** Whether an expression makes so few nodes that it may be written out. */
function isSmall(expression: Expression, most: number): boolean {
  switch (expression.type) {
    case 'text':
      return expression.text.length <= most;
    case 'set':
      return expression.set.length <= 2 * most && (expression.set.at(-1)?.[1] ?? 0) < 0x80;
    case 'rule':
    case 'token':
      return most >= 1;
    case 'repeat':
      return expression.most <= 1 && isSmall(expression.part, most);
    default:
      return expression.parts.length <= most && expression.parts.every((part) => isSmall(part, most / 2));
  }
}

/**
 * Finds which nodes reach `end` without reading anything: a part that may be nothing is repeated from 0 times on, which
 * is the same. And sees that no rule comes back to itself before it has read: no reader from left to right could follow
 * that.
 * @throws invalid-option
 */
function emptyPaths({ nodes }: Program, option: string): void {
  const empty = new Uint8Array(nodes.length);
  empty[END] = 1;
  for (let changed = true; changed; ) {
    changed = false;
    for (let i = nodes.length - 1; i >= 0; i--) {
      if (empty[i]) continue;
      const node = nodes[i];
      const is =
        (node.kind === 'split' && node.targets.some((target) => empty[target])) ||
        (node.kind === 'call' && empty[node.target] && empty[node.next]) ||
        (node.kind === 'count' && (node.least === 0 || empty[node.body]) && empty[node.next]);
      if (!is) continue;
      empty[i] = 1;
      changed = true;
    }
  }
  for (const node of nodes) if (node.kind === 'count' && empty[node.body]) node.least = 0;
  // what a node goes on to without reading; a circle is one only where it passes through a call
  const next = (at: number): { to: number; calls: boolean }[] => {
    const node = nodes[at];
    switch (node.kind) {
      case 'split':
        return node.targets.map((to) => ({ to, calls: false }));
      case 'call':
        return [
          { to: node.target, calls: node.next !== END },
          ...(empty[node.target] ? [{ to: node.next, calls: false }] : []),
        ];
      case 'count':
        return [
          { to: node.body, calls: true },
          ...(node.least === 0 || empty[node.body] ? [{ to: node.next, calls: false }] : []),
        ];
      default:
        return [];
    }
  };
  for (const [at, circle] of components(nodes.length, (i) => next(i).map(({ to }) => to))) {
    const within = next(at).find(({ to, calls }) => calls && circle.has(to));
    if (!within) continue;
    const node = nodes[at];
    const name = node.kind === 'call' ? node.rule : '';
    throw new NibbleError(
      'invalid-option',
      `The ${option} never gets to its first character: ${name ? `the rule "${name}" begins with itself` : 'it repeats what may be nothing'}. Let each way round begin with something that is written.`,
      { option, rule: name },
    );
  }
}

/** Each node of a circle with the nodes that are in a circle with it (Tarjan 1972), without recursion. */
function* components(size: number, next: (at: number) => number[]): Generator<[number, ReadonlySet<number>]> {
  const index = new Int32Array(size).fill(-1);
  const low = new Int32Array(size);
  const open = new Uint8Array(size);
  const stack: number[] = [];
  let count = 0;
  for (let root = 0; root < size; root++) {
    if (index[root] >= 0) continue;
    const way: { at: number; to: number[]; i: number }[] = [];
    const enter = (at: number) => {
      index[at] = low[at] = count++;
      open[at] = 1;
      stack.push(at);
      way.push({ at, to: next(at), i: 0 });
    };
    enter(root);
    while (way.length > 0) {
      const top = way[way.length - 1];
      if (top.i < top.to.length) {
        const to = top.to[top.i++];
        if (index[to] < 0) enter(to);
        else if (open[to]) low[top.at] = Math.min(low[top.at], index[to]);
        continue;
      }
      way.pop();
      if (way.length > 0) {
        const below = way[way.length - 1].at;
        low[below] = Math.min(low[below], low[top.at]);
      }
      if (low[top.at] !== index[top.at]) continue;
      const circle = new Set<number>();
      for (let at = -1; at !== top.at; ) {
        at = stack.pop()!;
        open[at] = 0;
        circle.add(at);
      }
      if (circle.size > 1 || next(top.at).includes(top.at)) for (const at of circle) yield [at, circle];
    }
  }
}
