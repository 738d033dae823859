/** Bytes that a source lets others look at. */
import { release } from '../platform/release';

/** Bytes that stay another's, and as they are: none may be looked at once they have been given back. */
export interface Lent {
  readonly bytes: Uint8Array;
  giveBack(): void;
}

/** Bytes that were read for it alone: their memory is free once they are given back. */
export const lentWhole = (bytes: Uint8Array): Lent => ({ bytes, giveBack: () => release(bytes) });
