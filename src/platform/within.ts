/** What may never come is waited for within bounds. */

/** Rings after some time, unless it is called off by what it returns. */
export type Alarm = (ms: number, ring: () => void) => () => void;

export const alarmClock: Alarm = (ms, ring) => {
  const timer = setTimeout(ring, ms);
  return () => clearTimeout(timer);
};

const TICK_MS = 250;

/**
 * Counts time in steps: a page that was frozen, asleep or busy itself has not listened meanwhile, and one overdue timer
 * does not mean that what it waits for is late.
 */
export const wakingClock: Alarm = (ms, ring) => {
  let timer: ReturnType<typeof setTimeout>;
  const tick = (left: number) => {
    if (left <= 0) return ring();
    timer = setTimeout(tick, Math.min(left, TICK_MS), left - TICK_MS);
  };
  tick(ms);
  return () => clearTimeout(timer);
};

/** The work's result, or, once `ms` have passed without one, the error that `late` makes; the work itself goes on. */
export function within<T>(ms: number, work: Promise<T>, late: () => Error, alarm: Alarm = alarmClock): Promise<T> {
  return new Promise((resolve, reject) => {
    const callOff = alarm(ms, () => reject(late()));
    work.then(resolve, reject).finally(callOff);
  });
}
