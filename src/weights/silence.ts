/** What may never come is waited for within bounds. */

/** Rings after some time, unless it is called off by what it returns. */
export type Alarm = (ms: number, ring: () => void) => () => void;

export const alarmClock: Alarm = (ms, ring) => {
  const timer = setTimeout(ring, ms);
  return () => clearTimeout(timer);
};

/** The work's result, or, once `ms` have passed without one, the error that `late` makes; the work itself goes on. */
export function within<T>(ms: number, work: Promise<T>, late: () => Error, alarm: Alarm = alarmClock): Promise<T> {
  return new Promise((resolve, reject) => {
    const callOff = alarm(ms, () => reject(late()));
    work.then(resolve, reject).finally(callOff);
  });
}
