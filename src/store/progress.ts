/** What a load has done so far, told at most ten times a second, with the speed and the time left. */
import type { Progress } from '../protocol';

const REPORT_MS = 100;
/** time constant of the speed's moving average */
const SMOOTH_MS = 3000;

/** In this order, each at most once. */
const PHASES: readonly Progress['phase'][] = ['header', 'download', 'upload', 'compile', 'ready'];

export interface ProgressMeter {
  /** goes on to a phase; one that has been passed is not told again */
  phase(phase: Progress['phase'], note?: string): void;
  /** one sentence on what is waited for, '' when it is no more */
  note(why: string): void;
  /** a file of the model, before its header is read: that may need much of it (bitsandbytes' quant_states lie about) */
  file(path: string, bytes: number): void;
  /** once the headers are read */
  total(bytes: number): void;
  network(path: string, bytes: number): void;
  stored(path: string, bytes: number): void;
  placed(bytes: number): void;
}

export const isWeights = (path: string) => /\.(safetensors|gguf)$/.test(path);

export function createProgress(report: (progress: Progress) => void, now = () => performance.now()): ProgressMeter {
  let phase: Progress['phase'] = 'header';
  let note: string | undefined;
  let [totalBytes, network, stored, placed] = [0, 0, 0, 0];
  let [reportedAt, measuredAt, measured] = [Number.NEGATIVE_INFINITY, now(), 0];
  let speed: number | null = null;
  let known = false;

  function tell(force = false) {
    const time = now();
    if (!force && time - reportedAt < REPORT_MS) return;
    const loadedBytes = Math.min(totalBytes, Math.round(Math.max(placed, network + stored)));
    const elapsed = time - measuredAt;
    if (elapsed >= REPORT_MS) {
      const current = ((loadedBytes - measured) / elapsed) * 1000;
      const weight = 1 - Math.exp(-elapsed / SMOOTH_MS);
      speed = speed === null ? current : speed + weight * (current - speed);
      [measuredAt, measured] = [time, loadedBytes];
    }
    reportedAt = time;
    const secondsLeft = speed && totalBytes ? (totalBytes - loadedBytes) / speed : null;
    const networkBytes = Math.min(network, loadedBytes);
    // what is waited for: the network, as long as bytes come, and then what is done with them
    if (phase === 'header' && networkBytes > 0) phase = 'download';
    if (phase === 'download' && known && network + stored >= totalBytes) phase = 'upload';
    report({ phase, note, loadedBytes, totalBytes, networkBytes, bytesPerSecond: speed, secondsLeft });
  }

  return {
    phase(next, why) {
      if (PHASES.indexOf(next) > PHASES.indexOf(phase)) phase = next;
      note = why;
      if (next === 'ready') placed = totalBytes;
      tell(true);
    },
    note(why) {
      note = why || undefined;
      tell(true);
    },
    file(path, bytes) {
      if (isWeights(path)) totalBytes += bytes;
    },
    total(bytes) {
      totalBytes = bytes;
      known = true;
      [measuredAt, measured] = [now(), Math.min(bytes, network + stored)];
    },
    network(path, bytes) {
      if (isWeights(path)) network += bytes;
      tell();
    },
    stored(path, bytes) {
      if (isWeights(path)) stored += bytes;
      tell();
    },
    placed(bytes) {
      placed += bytes;
      tell();
    },
  };
}
