/** Texts of single tokens, for log-probabilities and for rules that read a token's text. */
import type { Logprobs } from '../execute/sampler/options';
import type { TokenAlternative, TokenLogprob } from '../protocol';
import type { Tokenizer } from '../text/tokenizer';

export interface TokenTexts {
  /** '' without a tokenizer, and of an id that is no token's */
  textOf(id: number): string;
  /** what the sampler told of a draw, with texts */
  told(logprobs: Logprobs): TokenLogprob;
}

/** @param tokenizer null: ids only */
export function createTokenTexts(tokenizer: Pick<Tokenizer, 'bytesOf'> | null): TokenTexts {
  const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
  const bytesOf = (id: number) => Uint8Array.from(tokenizer?.bytesOf(id) ?? '', (byte) => byte.charCodeAt(0));
  const textOf = (id: number) => utf8.decode(bytesOf(id));
  const token = ({ id, logprob }: { id: number; logprob: number }): TokenAlternative => ({
    id,
    text: textOf(id),
    bytes: tokenizer && [...bytesOf(id)],
    logprob,
  });
  return { textOf, told: (draw) => ({ ...token(draw), top: draw.top.map(token) }) };
}

export const NO_TEXTS = createTokenTexts(null);
