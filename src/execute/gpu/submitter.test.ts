/** What is left to the GPU at a time, on a device that is done when the test says so. */
import { expect, it, vi } from 'vitest';
import type { Gpu } from '../../gpu/device';
import { yieldToEvents } from '../../platform/yield-to-events';
import type { Bound } from './op';
import { SUBMIT_MS, Submitter } from './submitter';

const PASS = { tokens: 1, last: 0, slots: [] };

/** @param check of the device's health */
function lateGpu(check = () => {}) {
  const waiting: (() => void)[] = [];
  const dispatches: number[] = [];
  let encoded = 0;
  const pass = { setPipeline() {}, setBindGroup() {}, end() {}, dispatchWorkgroups: () => void encoded++ };
  const queue = {
    submit() {
      dispatches.push(encoded);
      encoded = 0;
    },
    onSubmittedWorkDone: () => new Promise<void>((resolve) => waiting.push(resolve)),
  };
  const device = { queue, createCommandEncoder: () => ({ beginComputePass: () => pass, finish() {} }) };
  const submitter = new Submitter({ device, health: { check } } as unknown as Gpu);
  /** The oldest submit is done. */
  const land = async () => {
    waiting.shift()!();
    await yieldToEvents();
  };
  return { submitter, dispatches, waiting, land };
}

const steps = (count: number, skipped = 0) =>
  Array.from({ length: count }, (_, i) => ({ op: { groups: () => [i < skipped ? 0 : 1] } })) as unknown as Bound[];

it('two submits are under way, the third follows when the first is done, and what is done is told then', async () => {
  const { submitter, dispatches, waiting, land } = lateGpu();
  const told: string[] = [];
  const running = (async () => {
    await submitter.inPieces(steps(64 * 3), PASS, undefined, () => told.push('first'));
    await submitter.inPieces(steps(5), PASS, undefined, () => told.push('second'));
    await submitter.settle();
    told.push('settled');
  })();
  await yieldToEvents();
  for (const [left, submitted, heard] of [
    [2, 2, []],
    [2, 3, []],
    // 64 dispatches that took no time were doubled, but these were all that was left
    [2, 4, []],
    [1, 4, ['first']],
    [0, 4, ['first', 'second', 'settled']],
  ] as const) {
    expect([waiting.length, dispatches.length, told]).toEqual([left, submitted, heard]);
    if (left > 0) await land();
  }
  await running;
  expect(dispatches).toEqual([64, 64, 64, 5]);
  expect(submitter.submits).toBe(4);
});

it('a stop is heard when the next submit is done, and leaves at most one', async () => {
  const { submitter, dispatches, waiting, land } = lateGpu();
  const stop = new AbortController();
  const running = submitter.inPieces(steps(1000), PASS, stop.signal);
  const stopped = expect(running).rejects.toMatchObject({ code: 'aborted' });
  await yieldToEvents();
  stop.abort();
  await land();
  await stopped;
  expect([dispatches.length, waiting.length]).toEqual([2, 1]);
});

it('a lost device is heard with the next submit that is done', async () => {
  let lost = false;
  const { submitter, land } = lateGpu(() => {
    if (lost) throw new Error('lost');
  });
  const running = submitter.inPieces(steps(1000), PASS);
  const failed = expect(running).rejects.toThrow('lost');
  await yieldToEvents();
  lost = true;
  await land();
  await failed;
});

it('a submit that takes long is followed by shorter ones, by the time that it had the GPU', async () => {
  const { submitter, dispatches, land } = lateGpu();
  let now = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  const running = submitter.inPieces(steps(64 * 2 + 32 + 100), PASS);
  await yieldToEvents();
  // the second was submitted with the first, and had the GPU after it
  for (const ms of [2, 1, 1, 1, 1].map((part) => part * SUBMIT_MS)) {
    now += ms;
    await land();
  }
  await running;
  expect(dispatches).toEqual([64, 64, 32, 32, 32, 32, 4]);
  vi.restoreAllMocks();
});

it('a dispatch of no workgroups is none', async () => {
  const { submitter, dispatches, land } = lateGpu();
  await submitter.inPieces(steps(10, 4), PASS);
  await land();
  expect([dispatches, submitter.dispatches]).toEqual([[6], 6]);
});
