/** What a load has found to be wrong with what it was given. */
import type { NibbleError } from '../errors';
import { isChange } from '../sources/versions';

export interface Faults {
  /** something was not what had been read before: everything that was made of that may be wrong */
  refuted: NibbleError | null;
  /** what had arrived was dropped, and another load may find it whole */
  dropped: boolean;
  /** it was the source that failed, not what it gave */
  readonly sourceFailed: boolean;
  /** files that have become others since this load began to read them */
  readonly changed: ReadonlySet<string>;
  /** Notes that a file has changed, if that is what an error says: all that was read of it counts no more. */
  noteChange(error: unknown): void;
  /** Notes that a read of the source has failed. */
  noteFailure(error: unknown): void;
}

export function createFaults(): Faults {
  let sourceFailed = false;
  const changed = new Set<string>();
  const faults: Faults = {
    refuted: null,
    dropped: false,
    get sourceFailed() {
      return sourceFailed;
    },
    changed,
    noteChange(error) {
      if (!isChange(error)) return;
      changed.add(String(error.details.path));
      faults.refuted ??= error;
      faults.dropped = true;
    },
    noteFailure(error) {
      sourceFailed = true;
      faults.noteChange(error);
    },
  };
  return faults;
}
