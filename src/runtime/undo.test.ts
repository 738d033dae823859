/** What was done is undone the last first, once. */
import { expect, it } from 'vitest';
import { type UndoList, undo } from './undo';

it('undoes the last first, waits for each step, and does none twice', async () => {
  const done: string[] = [];
  const slow = (name: string) => async () => {
    await new Promise((resolve) => setTimeout(resolve));
    done.push(name);
  };
  const steps: UndoList = [slow('lock'), () => done.push('file'), slow('executor')];
  await undo(steps);
  expect(done).toEqual(['executor', 'file', 'lock']);
  await undo(steps);
  expect(done).toHaveLength(3);
});

it('leaves what comes after a step that fails to be undone', async () => {
  const done: string[] = [];
  const steps: UndoList = [
    () => done.push('lock'),
    () => {
      throw new Error('no');
    },
  ];
  await expect(undo(steps)).rejects.toThrow('no');
  await undo(steps);
  expect(done).toEqual(['lock']);
});
