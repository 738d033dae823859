/** What an answer takes that nothing on this device gave. */
import type { MemoryInfo } from '../protocol';

/** Nothing is held. */
export const NO_MEMORY: MemoryInfo = {
  weights: 0,
  kv: 0,
  scratch: 0,
  staging: 0,
  index: 0,
  total: 0,
  peak: 0,
  kvFullContext: 0,
  conversations: 0,
  kvSlots: { global: null, sliding: null },
};
