/** What the processes of a browser take of the machine: memory, and the processor's time. */
import { readdirSync, readFileSync } from 'node:fs';

type Kind = 'renderer' | 'gpu-process';

/** A file of /proc of each process of that type whose browser has this profile. */
function filesOf(profile: string, type: Kind, name: string): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      const ours = command.includes(`--type=${type}`) && command.includes(profile);
      return ours ? [readFileSync(`/proc/${pid}/${name}`, 'utf8')] : [];
    } catch {
      // the process has ended meanwhile
      return [];
    }
  });
}

/** Resident bytes (VmRSS) of the largest process of that type whose browser has this profile; 0 without one. */
export const residentBytes = (profile: string, type: Kind): number =>
  Math.max(
    0,
    ...filesOf(profile, type, 'status').map((status) => Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024),
  );

/** Seconds that processors have worked for the renderers of the browser with this profile, in all their threads. */
export function processorSeconds(profile: string): number {
  let ticks = 0;
  for (const stat of filesOf(profile, 'renderer', 'stat')) {
    // after the name in parentheses: the fields from the third on; utime and stime are the 14th and 15th (man 5 proc)
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  // a tick is a hundredth of a second on every Linux that Chromium runs on
  return ticks / 100;
}
