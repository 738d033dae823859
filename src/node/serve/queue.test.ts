import { expect, it } from 'vitest';
import { Queue, QueueClosed } from './queue';

const NEVER = new AbortController().signal;
const settled = () => new Promise((resolve) => setImmediate(resolve));

it('lets in so many at once, and the rest in order', async () => {
  const queue = new Queue(2);
  const begun: number[] = [];
  const leave: (() => void)[] = [];
  for (let i = 0; i < 6; i++) {
    void queue.enter(NEVER).then((end) => {
      begun.push(i);
      leave[i] = end;
    });
  }
  await settled();
  expect([begun, queue.running, queue.waiting]).toEqual([[0, 1], 2, 4]);
  leave[1]();
  leave[1]();
  await settled();
  expect([begun, queue.running, queue.waiting]).toEqual([[0, 1, 2], 2, 3]);
  // who comes when one leaves is behind those that wait
  leave[0]();
  const late = queue.enter(NEVER).then(() => begun.push(6));
  for (const i of [2, 3, 4, 5]) {
    await settled();
    leave[i]();
  }
  await late;
  expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6]);
  expect([queue.running, queue.waiting]).toEqual([1, 0]);
});

it('lets go of who leaves', async () => {
  const queue = new Queue(1);
  const leave = await queue.enter(NEVER);
  const left = new AbortController();
  const [gone, next] = [queue.enter(left.signal), queue.enter(NEVER)];
  left.abort(new Error('gone'));
  await expect(gone).rejects.toThrow('gone');
  await expect(queue.enter(left.signal)).rejects.toThrow('gone');
  leave();
  (await next)();
  expect([queue.running, queue.waiting]).toEqual([0, 0]);
  // leaving after one's turn has come changes nothing
  const late = new AbortController();
  const end = await queue.enter(late.signal);
  late.abort();
  expect(queue.running).toBe(1);
  end();
});

it('ends when those that run have', async () => {
  const queue = new Queue(1);
  const leave = await queue.enter(NEVER);
  const waiting = queue.enter(NEVER);
  let closed = false;
  const closing = queue.close().then(() => {
    closed = true;
  });
  await expect(waiting).rejects.toThrow(QueueClosed);
  await expect(queue.enter(NEVER)).rejects.toThrow(QueueClosed);
  await settled();
  expect(closed).toBe(false);
  leave();
  await closing;
  await queue.close();
});
