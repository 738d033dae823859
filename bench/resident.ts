/** Resident memory of this process, as Linux counts it (man 5 proc). */
import { readFileSync, writeFileSync } from 'node:fs';

/** In bytes; VmHWM is the most since fromHere(). */
export function resident(what: 'VmRSS' | 'VmHWM'): number {
  const kib = new RegExp(`${what}:\\s*(\\d+) kB`).exec(readFileSync('/proc/self/status', 'utf8'))![1];
  return Number(kib) * 1024;
}

/** Counts the peak from here on. @returns the bytes that are resident now */
export function fromHere(): number {
  writeFileSync('/proc/self/clear_refs', '5');
  return resident('VmRSS');
}
