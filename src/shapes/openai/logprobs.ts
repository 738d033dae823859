/** Log-probabilities as /chat/completions and /responses tell them. */
import type { TokenAlternative, TokenLogprob } from '../../index';

/** A token, as OpenAI has it. */
export interface ToldToken {
  token: string;
  bytes: number[];
  logprob: number;
}

const told = ({ text, bytes, logprob }: TokenAlternative): ToldToken => ({ token: text, bytes: bytes ?? [], logprob });

/** Tokens with what might have come in their place. */
export const logprobsTold = (tokens: readonly TokenLogprob[]): (ToldToken & { top_logprobs: ToldToken[] })[] =>
  tokens.map((token) => ({ ...told(token), top_logprobs: token.top.map(told) }));
