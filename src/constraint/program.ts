/**
 * A grammar as a program of nodes that read bytes: each rule is a piece of it that ends in `end`, and is entered by
 * `call`. What the states of an answer are (states.ts) is found from it while the answer comes.
 */
import { NibbleError } from '../errors';
import { intersection, keyOf, PLAIN, type Ranges } from './characters';
import type { Expression, Grammar } from './grammar';
import { END, FIRST_TOKEN, type Node } from './nodes';
import { seeProgress } from './progress';
import { Shortest } from './shortest';
import { byteTree, ENDS } from './utf8';

export interface Program {
  nodes: readonly Node[];
  start: number;
  /** names of control tokens, which are the symbols from 256 on */
  tokens: readonly string[];
  /** of each node, its shortest end */
  shortest: Shortest;
}

/** Nodes that a program may have: some 20 MB. */
const MAX_NODES = 400_000;
/** A repeat of a small part up to so many nodes is written out: it needs no count then. */
const UNROLLED = 12;

/** A set of more nodes than these is there once, and is called. */
const SHARED = 16;

const UTF_8 = new TextEncoder();
const isAscii = (text: string) => !/[^\0-\x7f]/.test(text);
const ALL_PLAIN = keyOf(PLAIN);
const isPlain = (byte: number) => byte >= 0x20 && byte !== 0x22 && byte !== 0x5c;

interface Shape {
  tree: ReturnType<typeof byteTree>;
  /** it has all plain characters, or none */
  alike: boolean;
}

const shapes = new WeakMap<Ranges, Shape>();
function shapeOf(set: Ranges): Shape {
  let shape = shapes.get(set);
  if (!shape) {
    const common = intersection(set, PLAIN);
    shape = { tree: byteTree(set), alike: common.length === 0 || keyOf(common) === ALL_PLAIN };
    shapes.set(set, shape);
  }
  return shape;
}

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
  /** of each rule that is called: by the node that its call goes on to, the call */
  const callers = new Map<string, Map<number, number>>();
  const waiting: string[] = [];

  const add = (node: Node): number => {
    if (nodes.length >= MAX_NODES) throw tooLarge(option);
    return nodes.push(node) - 1;
  };
  /** an expression before one node, once */
  const built = new Map<object, Map<number, number>>();
  const once = (of: object, next: number, make: () => number): number => {
    let known = built.get(of);
    if (!known) {
      known = new Map();
      built.set(of, known);
    }
    let node = known.get(next);
    if (node === undefined) {
      node = make();
      known.set(next, node);
    }
    return node;
  };

  const readSet = (set: Ranges, next: number): number => {
    const { tree, alike } = shapeOf(set);
    if (tree.length > SHARED && next !== END)
      return add({ kind: 'call', rule: '', target: once(set, END, () => readSet(set, END)), next });
    if (tree.length === 0) return add({ kind: 'split', targets: [] });
    const numbers: number[] = [];
    tree.forEach((ways, i) => {
      const edges = ways.map(({ from, to, target }) => ({
        from,
        to,
        target: target === ENDS ? next : numbers[target],
      }));
      // within a character no plain one begins
      numbers.push(add({ kind: 'read', edges, alike: alike && i === tree.length - 1 }));
    });
    return numbers[tree.length - 1];
  };

  /** by what follows and the byte, the node that reads it */
  const readers = new Map<number, number>();
  const readByte = (byte: number, next: number): number => {
    const key = next * 256 + byte;
    let node = readers.get(key);
    if (node === undefined) {
      node = add({ kind: 'read', edges: [{ from: byte, to: byte, target: next }], alike: !isPlain(byte) });
      readers.set(key, node);
    }
    return node;
  };

  const readText = (value: string, next: number): number => {
    const bytes = isAscii(value) ? value : UTF_8.encode(value);
    let at = next;
    for (let i = bytes.length - 1; i >= 0; i--) {
      const byte = typeof bytes === 'string' ? bytes.charCodeAt(i) : bytes[i];
      at = readByte(byte, at);
    }
    return at;
  };

  const build = (expression: Expression, next: number): number => {
    switch (expression.type) {
      case 'text':
        return readText(expression.text, next);
      case 'set':
        return once(expression.set, next, () => readSet(expression.set, next));
      case 'all':
        return expression.parts.reduceRight((at, part) => build(part, at), next);
      case 'any':
        return once(expression, next, () => {
          const targets = [...new Set(expression.parts.map((part) => build(part, next)))];
          return targets.length === 1 ? targets[0] : add({ kind: 'split', targets });
        });
      case 'repeat':
        return once(expression, next, () => buildRepeat(expression, next));
      case 'rule': {
        const { name } = expression;
        if (!grammar.rules.has(name))
          throw new NibbleError('invalid-option', `The ${option} names the rule "${name}", which it does not have.`, {
            option,
            rule: name,
          });
        let called = callers.get(name);
        if (!called) {
          called = new Map();
          callers.set(name, called);
          waiting.push(name);
        }
        let node = called.get(next);
        if (node === undefined) {
          node = add({ kind: 'call', rule: name, target: -1, next });
          called.set(next, node);
        }
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
    const before = nodes.length;
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
    if (nodes.length - before > MAX_NODES) throw tooLarge(option);
    return node;
  };

  const start = build(grammar.start, END);
  const starts = new Map<string, number>();
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop())
    starts.set(name, build(grammar.rules.get(name)!, END));
  for (const [name, called] of callers)
    for (const node of called.values()) (nodes[node] as Extract<Node, { kind: 'call' }>).target = starts.get(name)!;
  const shortest = new Shortest(nodes);
  // a part that may be nothing is repeated from 0 times on, which is the same
  for (const node of nodes) if (node.kind === 'count' && shortest.bytes[node.body] === 0) node.least = 0;
  seeProgress(nodes, shortest, option);
  return { nodes, start, tokens, shortest };
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
