import type { Threads } from '../execute/cpu/team';
import type { DeviceFacts } from '../memory/device-estimate';
import type { StoreOrReason } from './model';
import type { OpenSource } from './open-source';

/** What differs between a browser's worker and Node. */
export interface Host {
  /** navigator.gpu, Dawn's, or null */
  gpu: GPU | null;
  openSource: OpenSource;
  /** @param onNote told what is waited for, and '' when it is no more */
  openStore(onNote?: (note: string) => void): Promise<StoreOrReason>;
  /** false: loads leave no mark, for they are often stopped without a word (store/load-attempt.ts) */
  marks?: false;
  /** that can share memory, as many as there are processors; absent: none can */
  threads?: Threads;
  /** what is known of the machine; absent: nothing is */
  machine?: Omit<DeviceFacts, 'touch'>;
}
