/** From each node of a program, the shortest text that its rule can still end with. */
import { END, eachUse, type Node } from './nodes';

const NEVER = Number.POSITIVE_INFINITY;

export class Shortest {
  /** bytes from a node to the end of its rule; Infinity: it has no end */
  readonly bytes: Float64Array;
  readonly #nodes: readonly Node[];

  constructor(nodes: readonly Node[]) {
    this.#nodes = nodes;
    this.bytes = new Float64Array(nodes.length).fill(NEVER);
    this.bytes[END] = 0;
    // who has to be looked at again when a node's length falls
    const users = nodes.map((): number[] => []);
    for (let i = 0; i < nodes.length; i++) eachUse(nodes[i], (use) => users[use].push(i));
    // first come, first served: a length falls few times then
    const waiting: number[] = [END];
    for (const use of waiting)
      for (const at of users[use]) {
        const length = this.#length(nodes[at]);
        if (length >= this.bytes[at]) continue;
        this.bytes[at] = length;
        waiting.push(at);
      }
  }

  #length(node: Node): number {
    const { bytes } = this;
    let least = NEVER;
    switch (node.kind) {
      case 'read':
        for (const { target } of node.edges) if (bytes[target] < least) least = bytes[target];
        return 1 + least;
      case 'split':
        for (const target of node.targets) if (bytes[target] < least) least = bytes[target];
        return least;
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
