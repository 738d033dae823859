/** Whether a model is used, by locks that a test stands in for. */
import { expect, it } from 'vitest';
import { isUnused, lockBy, lockUse } from './locks';

const held: { mode: string }[] = [];
lockBy(async (_, { mode = 'exclusive', ifAvailable }) => {
  expect(mode === 'shared' || ifAvailable).toBe(true);
  if (held.some((one) => one.mode === 'exclusive' || mode === 'exclusive')) return null;
  const own = { mode };
  held.push(own);
  // as between processes: it is there a moment before who asked hears of it
  await new Promise((resolve) => setTimeout(resolve, 5));
  return () => void held.splice(held.indexOf(own), 1);
});

it('a model that nobody uses is known as such to all who ask at the same time', async () => {
  expect(await Promise.all([isUnused('m'), isUnused('m'), isUnused('m')])).toEqual([true, true, true]);
});

it('one that somebody holds is used, until it is let go', async () => {
  const release = await lockUse('m');
  expect(await isUnused('m')).toBe(false);
  release();
  expect(await isUnused('m')).toBe(true);
});
