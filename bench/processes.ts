/** What the processes of a browser take of the machine's memory. */
import { readdirSync, readFileSync } from 'node:fs';

/** Resident bytes (VmRSS) of the largest process of that type whose browser has this profile; 0 without one. */
export function residentBytes(profile: string, type: 'renderer' | 'gpu-process'): number {
  let most = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      if (!command.includes(`--type=${type}`) || !command.includes(profile)) continue;
      const rss = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
      most = Math.max(most, Number(rss?.[1] ?? 0) * 1024);
    } catch {
      // the process has ended meanwhile
    }
  }
  return most;
}
