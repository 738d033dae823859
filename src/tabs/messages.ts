/** What the tab that has the model says to the others over their ports, beside comlink's answers. */
export type Told =
  /** first of all: it is there for as long as it has the lock `life` */
  | { told: 'here'; life: string }
  /** so many answers of other tabs come before the one that this tab waits for */
  | { told: 'ahead'; answers: number }
  /** it serves no longer: why, as Worker's error event would say it, or MOVED */
  | { told: 'end'; reason: string };

/** A message of this kind, or null. */
export const told = (data: unknown): Told | null =>
  typeof (data as Told | null)?.told === 'string' ? (data as Told) : null;
