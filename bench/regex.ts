/**
 * The speed of src/text/regex beside the browser's own engine, on prose, in millions of characters a second.
 *
 *   node scripts/run.mjs ../bench/regex
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { GPT2_SPLIT, O200K, publishedSplit, words } from '../src/text/published-splits';
import { LinearRegex } from '../src/text/regex';

const PATTERNS = { 'GPT-2': GPT2_SPLIT, 'Llama 3': words('{1,3}'), o200k: O200K };

export function main(): number {
  const prose = readFileSync(fileURLToPath(new URL('texts/prose.txt', import.meta.url)), 'utf8');
  const text = prose.repeat(Math.ceil(4e6 / prose.length));
  for (const [name, pattern] of Object.entries(PATTERNS)) {
    const native = new RegExp(publishedSplit(pattern)!, 'gu');
    const own = new LinearRegex(pattern);
    const ways = {
      native: () => text.match(native)!.length,
      own: () => {
        const pieces: string[] = [];
        for (const found = own.matches(text); found.next(); ) pieces.push(text.slice(found.start, found.end));
        return pieces.length;
      },
    };
    for (const [way, run] of Object.entries(ways)) {
      const speeds = [1, 2, 3].map(() => {
        const started = process.cpuUsage().user;
        run();
        return text.length / (process.cpuUsage().user - started);
      });
      console.log(`${name}, ${way}: ${Math.max(...speeds).toFixed(1)} (${run()} pieces)`);
    }
  }
  return 0;
}
