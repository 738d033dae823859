/** Steps that undo what was done, in the order in which it was done. */
export type UndoList = (() => unknown)[];

/** Undoes what was done last first, each step once; a promise is waited for. */
export async function undo(steps: UndoList): Promise<void> {
  for (let step = steps.pop(); step; step = steps.pop()) await step();
}
