import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { submittedWorkDone } from './wait';

/**
 * A queue that knows that its work is done only when it looks, as Firefox's: every 100 ms, and at every submit.
 * @param workMs how long the work takes
 */
function lateQueue(workMs: number) {
  const began = performance.now();
  const waiting: (() => void)[] = [];
  let submits = 0;
  const look = () => {
    if (performance.now() - began >= workMs) for (const resolve of waiting.splice(0)) resolve();
  };
  const every = setInterval(look, 100);
  const queue = {
    submit: () => {
      submits++;
      look();
    },
    onSubmittedWorkDone: () => new Promise<void>((resolve) => waiting.push(resolve)),
  };
  return { device: { queue } as unknown as GPUDevice, submits: () => submits, end: () => clearInterval(every) };
}

/** How long a wait took on the clock of the test, and how often it submitted. */
async function waited(workMs: number, userAgent: string) {
  vi.stubGlobal('navigator', { userAgent });
  const { device, submits, end } = lateQueue(workMs);
  const began = performance.now();
  let took = Number.NaN;
  const done = submittedWorkDone(device).then(() => {
    took = performance.now() - began;
  });
  await vi.advanceTimersByTimeAsync(workMs + 200);
  await done;
  const atEnd = submits();
  await vi.advanceTimersByTimeAsync(1000);
  end();
  expect(submits()).toBe(atEnd);
  return { took, submits: atEnd };
}

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0';

beforeEach(
  () =>
    void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] }),
);
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it.each([1, 5, 30, 95, 250, 1500])('%d ms of work are known an eighth later at most, in Firefox', async (workMs) => {
  const { took, submits } = await waited(workMs, FIREFOX);
  expect(took).toBeGreaterThanOrEqual(workMs);
  expect(took).toBeLessThanOrEqual(workMs * 1.13 + 2);
  expect(submits).toBeLessThan(9 + 8 * Math.log(Math.max(8, workMs)));
});

it('work that takes a minute is not asked for more often than work of three seconds', async () => {
  const two = await waited(3000, FIREFOX);
  const { took, submits } = await waited(60_000, FIREFOX);
  expect(submits).toBe(two.submits);
  expect(took).toBeLessThanOrEqual(60_100);
});

it('elsewhere it only waits', async () => {
  const { submits } = await waited(250, 'Mozilla/5.0 Chrome/156.0');
  expect(submits).toBe(0);
});

it('a failure ends the submits, too', async () => {
  vi.stubGlobal('navigator', { userAgent: FIREFOX });
  const submit = vi.fn();
  const queue = { submit, onSubmittedWorkDone: () => Promise.reject(new Error('lost')) };
  await expect(submittedWorkDone({ queue } as unknown as GPUDevice)).rejects.toThrow('lost');
  await vi.advanceTimersByTimeAsync(1000);
  expect(submit).not.toHaveBeenCalled();
});

it('nobody else waits for the GPU', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter(
    (path) => path.endsWith('.ts') && !/\.test\.ts$|(^|\/)test\//.test(path),
  );
  const waits = files.filter((path) =>
    /\.(onSubmittedWorkDone|mapAsync)\(/.test(readFileSync(join('src', path), 'utf8')),
  );
  expect(waits).toEqual([join('gpu', 'wait.ts')]);
});
