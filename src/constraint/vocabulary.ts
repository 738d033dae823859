/**
 * A tokenizer's vocabulary, made ready once a model for masks: its tokens as tries over bytes, in the order of a walk,
 * so that a mask is one pass over arrays that leaves out what no way leads to. Tokens of plain characters only
 * (characters.ts), nine of ten, have a trie of their own: where all plain characters do the same, as in a JSON string,
 * the whole of it is known by how long its tokens are.
 */
import type { Tokenizer } from '../text/tokenizer';

/** Longer tokens of plain characters are with the others. */
const MAX_PLAIN = 32;

/** Nodes in the order of a walk, a node before what is under it. */
export interface Trie {
  bytes: Uint8Array;
  depths: Uint16Array;
  /** the first node that is not under this one */
  ends: Int32Array;
  /** the token that ends here; -1: none */
  ids: Int32Array;
}

export class Vocabulary {
  readonly plain: Trie;
  readonly others: Trie;
  /** which lengths tokens of plain characters have, and the longest */
  readonly plainLengths = new Uint8Array(MAX_PLAIN + 1);
  readonly longestPlain: number;
  /** bytes of the longest token */
  readonly longest: number;
  /** by token: another one of the same bytes; -1: none */
  readonly same: Int32Array;
  /** words of a mask */
  readonly words: number;
  readonly #lengths: Uint8Array;
  readonly #upTo: Uint32Array<ArrayBuffer>[] = [];

  /** @param rows of the model's head: what a token beyond them is, it cannot draw */
  constructor(tokenizer: Pick<Tokenizer, 'bytesOf' | 'isToken' | 'isSpecial'>, rows: number) {
    this.words = Math.ceil(rows / 32);
    this.same = new Int32Array(rows).fill(-1);
    this.#lengths = new Uint8Array(rows);
    const ids = new Map<string, number>();
    const [plain, others]: string[][] = [[], []];
    let longest = 0;
    for (let id = 0; id < rows; id++) {
      if (!tokenizer.isToken(id) || tokenizer.isSpecial(id)) continue;
      const bytes = tokenizer.bytesOf(id);
      if (bytes === '') continue;
      longest = Math.max(longest, bytes.length);
      this.#lengths[id] = plainLength(bytes);
      this.plainLengths[this.#lengths[id]] = 1;
      const first = ids.get(bytes);
      if (first === undefined) {
        ids.set(bytes, id);
        (this.#lengths[id] > 0 ? plain : others).push(bytes);
      } else {
        this.same[id] = this.same[first];
        this.same[first] = id;
      }
    }
    this.longest = longest;
    this.longestPlain = this.plainLengths.lastIndexOf(1);
    this.plain = trieOf(plain.sort(), ids);
    this.others = trieOf(others.sort(), ids);
  }

  /** What it takes, the masks of plainUpTo() included, which come as they are asked for. */
  get bytes(): number {
    const tries = [this.plain, this.others].flatMap(({ bytes, depths, ends, ids }) => [bytes, depths, ends, ids]);
    const arrays = [...tries, this.plainLengths, this.same, this.#lengths];
    const masks = (MAX_PLAIN + 1) * this.words * Uint32Array.BYTES_PER_ELEMENT;
    return arrays.reduce((sum, { byteLength }) => sum + byteLength, masks);
  }

  /** The mask of all tokens of up to so many plain characters, and no others. */
  plainUpTo(length: number): Uint32Array<ArrayBuffer> {
    const most = Math.min(length, MAX_PLAIN);
    let mask = this.#upTo[most];
    if (!mask) {
      mask = new Uint32Array(this.words);
      const lengths = this.#lengths;
      for (let id = 0; id < lengths.length; id++)
        if (lengths[id] > 0 && lengths[id] <= most) mask[id >> 5] |= 1 << (id & 31);
      this.#upTo[most] = mask;
    }
    return mask;
  }
}

/** How many plain characters a text of bytes is; 0: it is none, is cut within one, or is long. */
function plainLength(bytes: string): number {
  let length = 0;
  for (let i = 0; i < bytes.length; length++) {
    const byte = bytes.charCodeAt(i);
    if (byte < 0x20 || byte === 0x22 || byte === 0x5c || (byte > 0x7f && byte < 0xc2) || byte > 0xf4) return 0;
    const more = byte < 0x80 ? 0 : byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    for (let n = 1; n <= more; n++) if ((bytes.charCodeAt(i + n) & 0xc0) !== 0x80) return 0;
    const second = bytes.charCodeAt(i + 1);
    // what UTF-8 has no character for
    if ((byte === 0xe0 && second < 0xa0) || (byte === 0xed && second > 0x9f)) return 0;
    if ((byte === 0xf0 && second < 0x90) || (byte === 0xf4 && second > 0x8f)) return 0;
    i += 1 + more;
  }
  return length <= MAX_PLAIN ? length : 0;
}

/** @param sorted texts of bytes, each once */
function trieOf(sorted: readonly string[], idOf: ReadonlyMap<string, number>): Trie {
  let size = 0;
  let before = '';
  const shared = (text: string) => {
    let n = 0;
    while (n < before.length && n < text.length && before.charCodeAt(n) === text.charCodeAt(n)) n++;
    return n;
  };
  for (const text of sorted) {
    size += text.length - shared(text);
    before = text;
  }
  const trie = {
    bytes: new Uint8Array(size),
    depths: new Uint16Array(size),
    ends: new Int32Array(size).fill(size),
    ids: new Int32Array(size).fill(-1),
  };
  const open: number[] = [];
  let node = 0;
  before = '';
  for (const text of sorted) {
    const from = shared(text);
    while (open.length > from) trie.ends[open.pop()!] = node;
    for (let depth = from; depth < text.length; depth++) {
      trie.bytes[node] = text.charCodeAt(depth);
      trie.depths[node] = depth;
      open.push(node++);
    }
    trie.ids[node - 1] = idOf.get(text)!;
    before = text;
  }
  return trie;
}
