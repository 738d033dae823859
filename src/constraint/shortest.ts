/** From each node of a program, the shortest text that its rule can still end with. */
import { END, type Node, type Program } from './program';

const NEVER = Number.POSITIVE_INFINITY;

export class Shortest {
  /** bytes from a node to the end of its rule; Infinity: it has no end */
  readonly bytes: Float64Array;
  readonly #nodes: readonly Node[];

  constructor({ nodes }: Program) {
    this.#nodes = nodes;
    this.bytes = new Float64Array(nodes.length).fill(NEVER);
    this.bytes[END] = 0;
    // who has to be looked at again when a node's length falls
    const users: number[][] = Array.from(nodes, () => []);
    nodes.forEach((node, i) => {
      const uses =
        node.kind === 'read'
          ? node.edges.map(({ target }) => target)
          : node.kind === 'split'
            ? node.targets
            : node.kind === 'call'
              ? [node.target, node.next]
              : node.kind === 'count'
                ? [node.body, node.next]
                : [];
      for (const use of new Set(uses)) users[use].push(i);
    });
    const waiting = [...users[END]];
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      const length = this.#length(nodes[at]);
      if (length >= this.bytes[at]) continue;
      this.bytes[at] = length;
      waiting.push(...users[at]);
    }
  }

  #length(node: Node): number {
    const { bytes } = this;
    switch (node.kind) {
      case 'read':
        return 1 + Math.min(NEVER, ...node.edges.map(({ target }) => bytes[target]));
      case 'split':
        return Math.min(NEVER, ...node.targets.map((target) => bytes[target]));
      case 'call':
        return bytes[node.target] + bytes[node.next];
      case 'count':
        return (node.least ? node.least * bytes[node.body] : 0) + bytes[node.next];
      default:
        return 0;
    }
  }

  /**
   * The symbols of a shortest way from a node to the end of its rule.
   * @param most so many at most
   */
  symbols(from: number, most: number, out: number[] = []): number[] {
    const { bytes } = this;
    const least = (targets: readonly number[]) => targets.reduce((a, b) => (bytes[b] < bytes[a] ? b : a));
    for (let at = from; at !== END && out.length < most; ) {
      const node = this.#nodes[at];
      if (bytes[at] === NEVER) return out;
      switch (node.kind) {
        case 'read': {
          const edge = node.edges.reduce((a, b) => (bytes[b.target] < bytes[a.target] ? b : a));
          out.push(edge.from);
          at = edge.target;
          break;
        }
        case 'split':
          at = least(node.targets);
          break;
        case 'call':
          this.symbols(node.target, most, out);
          at = node.next;
          break;
        case 'count':
          for (let i = 0; i < node.least && out.length < most; i++) this.symbols(node.body, most, out);
          at = node.next;
          break;
        default:
          return out;
      }
    }
    return out;
  }
}
