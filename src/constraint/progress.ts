/** That each way through a program reads: no reader from left to right could follow a rule that begins with itself. */
import { NibbleError } from '../errors';
import { END, eachUse, type Node } from './nodes';
import type { Shortest } from './shortest';

/**
 * Sees that nothing comes back to itself before it has read.
 * @param option what the caller gave, as errors name it
 * @throws invalid-option
 */
export function seeProgress(nodes: readonly Node[], { bytes }: Shortest, option: string): void {
  const passes = (at: number) => nodes[at].kind !== 'read' && at !== END;
  /** What a node goes on to without reading; a circle is one only where it passes through a call. */
  const follow = (at: number, visit: (to: number, calls: boolean) => void): void => {
    const node = nodes[at];
    let through = true;
    eachUse(node, (to, inner) => {
      if (through && passes(to))
        visit(to, inner && (node.kind === 'count' || (node.kind === 'call' && node.next !== END)));
      if (inner) through = bytes[to] === 0 || (node.kind === 'count' && node.least === 0);
    });
  };
  const ways = (at: number): number[] => {
    const found: number[] = [];
    follow(at, (to) => found.push(to));
    return found;
  };
  const roots = Array.from(nodes, (_, at) => at).filter(passes);
  for (const [at, circle] of components(nodes.length, roots, ways)) {
    let within = false;
    follow(at, (to, calls) => {
      within ||= calls && circle.has(to);
    });
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
function* components(
  size: number,
  roots: Iterable<number>,
  next: (at: number) => number[],
): Generator<[number, ReadonlySet<number>]> {
  const index = new Int32Array(size).fill(-1);
  const low = new Int32Array(size);
  const open = new Uint8Array(size);
  const stack: number[] = [];
  let count = 0;
  for (const root of roots) {
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
      if (circle.size > 1 || top.to.includes(top.at)) for (const at of circle) yield [at, circle];
    }
  }
}
