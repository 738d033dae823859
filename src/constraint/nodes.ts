/** What a grammar's program (program.ts) is made of. */

/** A symbol is a byte, or from here on a control token, by its place in Program.tokens. */
export const FIRST_TOKEN = 256;

export type Node =
  /** reads a symbol; `alike`: all plain characters (characters.ts) lead to one node, or none leads anywhere */
  | { kind: 'read'; edges: readonly Edge[]; alike: boolean }
  | { kind: 'split'; targets: number[] }
  /** runs `target` (which ends in `end`), then goes on; `rule`: its name, or '' for a part that others share */
  | { kind: 'call'; rule: string; target: number; next: number }
  /** runs `body` (which ends in `end`) least to most times */
  | { kind: 'count'; body: number; least: number; most: number; next: number }
  | { kind: 'end' };

export interface Edge {
  from: number;
  to: number;
  target: number;
}

/** The node that each rule, and the answer, ends in. */
export const END = 0;

/** The nodes that a node goes on to. @param visit `inner`: that one is run to its end first, and then the other */
export function eachUse(node: Node, visit: (use: number, inner: boolean) => void): void {
  if (node.kind === 'read') for (const { target } of node.edges) visit(target, false);
  else if (node.kind === 'split') for (const target of node.targets) visit(target, false);
  else if (node.kind !== 'end') {
    visit(node.kind === 'call' ? node.target : node.body, true);
    visit(node.next, false);
  }
}
