/**
 * The SentencePiece BPEs of GGUF (`tokenizer.ggml.model` = llama): tokens with scores, and no merges. SentencePiece
 * joins the two neighbours whose token has the best score; tokenizer.json wants the pairs in the order in which they
 * are joined. That order is transformers' own (convert_slow_tokenizer, generate_merges), so that ids are equal.
 */
import type { JsonObject } from './json';

const SPACE = '▁';

export interface Pieces {
  tokens: readonly string[];
  scores: readonly number[];
  /** tokens that text may be joined to; control tokens and bytes are not */
  joinable: (id: number) => boolean;
  /** tokens that are found before all others, such as Gemma's runs of spaces */
  first: (id: number) => boolean;
}

/**
 * Every way to make a joinable token of two others, best score first; of equal scores the one with the longer left
 * part, then the longer right part (in characters), then the smaller number of token, left part and right part.
 */
export function mergesFromScores({ tokens, scores, joinable, first }: Pieces): [left: string, right: string][] {
  const ids = new Map<string, number>();
  for (let id = 0; id < tokens.length; id++) if (joinable(id)) ids.set(tokens[id], id);
  const score = (id: number) => (first(id) ? Number.POSITIVE_INFINITY : scores[id] + 0);
  const order = [...ids.values()].sort((a, b) => (score(a) === score(b) ? a - b : score(b) > score(a) ? 1 : -1));
  const merges: [string, string][] = [];
  for (let i = 0; i < order.length; ) {
    const equal = order.slice(i, i + 1);
    while (++i < order.length && score(order[i]) === score(equal[0])) equal.push(order[i]);
    const pairs = equal.flatMap((id) => waysToMake(tokens[id], ids));
    pairs.sort((a, b) => b.leftLength - a.leftLength || b.rightLength - a.rightLength);
    for (const { left, right } of pairs) merges.push([tokens[left], tokens[right]]);
  }
  return merges;
}

interface Way {
  left: number;
  right: number;
  leftLength: number;
  rightLength: number;
}

function waysToMake(token: string, ids: ReadonlyMap<string, number>): Way[] {
  const ways: Way[] = [];
  const characters = [...token];
  for (let n = 1, at = 0; n < characters.length; n++) {
    at += characters[n - 1].length;
    const left = ids.get(token.slice(0, at));
    const right = left === undefined ? undefined : ids.get(token.slice(at));
    if (right !== undefined) ways.push({ left: left!, right, leftLength: n, rightLength: characters.length - n });
  }
  return ways.sort((a, b) => a.left - b.left || a.right - b.right);
}

/**
 * @param spacePrefix whether a text begins with a space of its own (`tokenizer.ggml.add_space_prefix`); not in Gemma
 * @returns the parts of tokenizer.json as transformers writes them for Llama 2 and for Gemma
 */
export function sentencePiece(
  vocab: Record<string, number>,
  merges: [string, string][],
  unknown: string | null,
  spacePrefix: boolean,
): JsonObject {
  const spaces = { type: 'Replace', pattern: { String: ' ' }, content: SPACE };
  const decoders: JsonObject[] = [
    { type: 'Replace', pattern: { String: SPACE }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
  ];
  if (spacePrefix) decoders.push({ type: 'Strip', content: ' ', start: 1, stop: 0 });
  return {
    normalizer: spacePrefix ? { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: SPACE }, spaces] } : spaces,
    pre_tokenizer: null,
    decoder: { type: 'Sequence', decoders },
    model: {
      type: 'BPE',
      unk_token: unknown,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab,
      merges,
    },
  };
}
