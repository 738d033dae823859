/**
 * What prompt lookup (`speculate: 'prompt'`) does to decoding: the same request with it and without it, in turn, on a
 * text that repeats its prompt and on one that does not.
 *
 *   node scripts/run.mjs ../bench/speculation [--model DIR] [--pairs 5] [--new-tokens 96] [--backend cpu] [--only
 *   repeats|new]
 *
 * Exit status 1 where the ids differ. Result: bench/speculation.md.
 */
import process from 'node:process';
import { parse } from '../src/node/arguments';
import { median } from '../src/node/median';
import { nextId, open } from '../src/node/open';
import { DEFAULT_MODEL } from '../src/runtime/test/default-model';
import { runToExit } from './run';

const text = { type: 'string' } as const;
const OPTIONS = { model: text, pairs: text, 'new-tokens': text, backend: text, only: text };

const POEM = `The harbour lamps are lit at six, the ferry leaves at nine,
the baker counts his copper coins and hangs them on a line,
a sailor folds a paper boat and sets it on the foam,
and nobody will ever know which wave will bring it home.
`;

/** Prompts whose answers go on as they began, or do not. */
const TEXTS: Readonly<Record<string, string>> = {
  repeats: POEM.repeat(3),
  new: 'The history of the lighthouse begins with',
};

async function main(): Promise<number> {
  const args = parse('speculation', process.argv.slice(3), OPTIONS, 0);
  const [pairs, maxNewTokens] = [args.count('pairs', 5), args.count('new-tokens', 96)];
  const only = args.text('only');
  const { session } = await open(args, args.text('model') ?? DEFAULT_MODEL);
  const ask = async (prompt: string, speculate: 'off' | 'prompt') => {
    const options = { maxNewTokens, temperature: 0, ignoreEos: true, speculate } as const;
    const request = { id: nextId(), input: { prompt }, options };
    const { ids, stats } = await session.generate(request, { postMessage() {} });
    return { ids: ids.join(' '), tps: stats.decodeTps };
  };
  let same = true;
  console.log('| text | off, tok/s | prompt, tok/s | ratio (median of pairs) | ids |\n|---|---|---|---|---|');
  for (const [name, prompt] of Object.entries(TEXTS)) {
    if (only && only !== name) continue;
    const rates: [number, number][] = [];
    let equal = true;
    await ask(prompt, 'off');
    for (let i = 0; i < pairs; i++) {
      const [off, on] = [await ask(prompt, 'off'), await ask(prompt, 'prompt')];
      rates.push([off.tps, on.tps]);
      equal &&= off.ids === on.ids;
    }
    const [off, on] = [0, 1].map((k) => median(rates.map((pair) => pair[k])).toFixed(1));
    const ratio = median(rates.map(([a, b]) => b / a)).toFixed(2);
    console.log(`| ${name} | ${off} | ${on} | ${ratio} | ${equal ? 'the same' : 'differ'} |`);
    same &&= equal;
  }
  await session.dispose();
  return same ? 0 : 1;
}

await runToExit(main);
