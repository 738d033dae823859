/** How much memory the index of a vocabulary takes, for those that tell of memory: constrain.ts makes it. */
import type { Tokenizer } from '../text/tokenizer';

const bytesOf = new WeakMap<Tokenizer, number>();

export const keepIndexBytes = (tokenizer: Tokenizer, bytes: number) => void bytesOf.set(tokenizer, bytes);

/** Bytes of JavaScript's memory; 0 where no answer was constrained yet. */
export const indexBytes = (tokenizer?: Tokenizer | null): number => (tokenizer && bytesOf.get(tokenizer)) ?? 0;
