/**
 * Whether a model that nobody has looked at yet would fit this device, and how fast it would answer: careful guesses
 * from its card, which the look at its headers replaces. Pure.
 */
import type { ModelCard } from './cards';

/** What is known of the device. */
export interface DeviceFacts {
  /** bytes that a model may probably take; null: not known */
  bytes: number | null;
  /** weights that it reads in a second while it answers, bytes; null: not known */
  bytesPerSecond: number | null;
  /** `bytesPerSecond` is of answers that were given here, and no assumption */
  measured: boolean;
}

export const UNKNOWN_DEVICE: DeviceFacts = { bytes: null, bytesPerSecond: null, measured: false };

/** the chat that a card speaks of, tokens */
export const CARD_TOKENS = 2048;
/** intermediate values of a model of these sizes, bytes */
const SCRATCH = 48 << 20;
/** What a weight of 16 bits takes once it is NF4: 4 bits, and one number of 32 for each 64. */
const NF4_BYTES = 4.5 / 8;
/** Above this part of what a device probably allows, little may go wrong; as in memory-words.ts. */
const TIGHT = 0.75;
/** people read about so many tokens a second */
const SLOW = 5;
/** Two shared cores of a server's CPU: 43 tokens a second of 86 MB (README). Assumed where nothing was measured. */
export const CPU_BYTES_PER_SECOND = 43 * 86e6;

/** bytes of weights as they lie in memory */
const weightsOf = ({ bytes, stored, parameters }: ModelCard) =>
  bytes === undefined || stored === 'BF16' ? parameters * NF4_BYTES : bytes;

/** bytes that a chat of CARD_TOKENS takes, about */
export const memoryOf = (card: ModelCard): number => weightsOf(card) + CARD_TOKENS * card.cacheBytes + SCRATCH;

export type Fit = 'fits' | 'tight' | 'over' | 'unknown';

export function fitOf(card: ModelCard, { bytes }: DeviceFacts): Fit {
  if (bytes === null) return 'unknown';
  const part = memoryOf(card) / bytes;
  return part > 1 ? 'over' : part > TIGHT ? 'tight' : 'fits';
}

/** tokens a second, where that is known and fewer than people read; else null */
export function slownessOf(card: ModelCard, { bytesPerSecond }: DeviceFacts): number | null {
  if (bytesPerSecond === null) return null;
  const rate = bytesPerSecond / weightsOf(card);
  return rate < SLOW ? rate : null;
}
