/**
 * What prompt lookup (`speculate: 'prompt'`) does to decoding: the same request with it and without it, in turn, on a
 * text that repeats its prompt, on one that begins to repeat itself, and on one that does not. Tokens a second are
 * medians of pairs. Of the CPU time that the process took for an answer the least counts, since other work on the
 * machine only adds to it. Passes with proposals are counted, and those that were lost, for none came true.
 *
 *   node scripts/run.mjs ../bench/speculation [--model DIR] [--pairs 5] [--new-tokens 192] [--backend cpu] [--only
 *   repeats|circles|new]
 *
 * Exit status 1 where the ids differ. Result: bench/speculation.md.
 */
import process from 'node:process';
import type { Executor } from '../src/execute/executor';
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

const SENTENCE = 'The history of the lighthouse begins with';

/** Prompts, and how they are gone on from: greedily a small model is soon going round in circles. */
const TEXTS: Readonly<Record<string, { prompt: string; temperature: number; seed?: number }>> = {
  repeats: { prompt: POEM.repeat(3), temperature: 0 },
  circles: { prompt: SENTENCE, temperature: 0 },
  new: { prompt: SENTENCE, temperature: 1, seed: 7 },
};

/** Counts the proposals of all answers from now on. */
function count(executor: Executor) {
  const counted = { drafts: 0, lost: 0 };
  const { decode } = executor;
  executor.decode = async function* (cache, start, tokens, sample, signal) {
    /** what may come next, if the newest proposal comes true */
    let next = -1;
    const { draft } = sample;
    const asked = () => {
      const ids = draft?.() ?? [];
      if (ids.length > 0) counted.drafts++;
      next = ids[0] ?? -1;
      return ids;
    };
    for await (const id of decode.call(
      executor,
      cache,
      start,
      tokens,
      draft ? { ...sample, draft: asked } : sample,
      signal,
    )) {
      if (next >= 0 && id !== next) counted.lost++;
      next = -1;
      yield id;
    }
  };
  return counted;
}

async function main(): Promise<number> {
  const args = parse('speculation', process.argv.slice(3), OPTIONS, 0);
  const [pairs, maxNewTokens] = [args.count('pairs', 5), args.count('new-tokens', 192)];
  const only = args.text('only');
  const { session } = await open(args, args.text('model') ?? DEFAULT_MODEL);
  const counted = count(session.model().executor);
  const ask = async (name: string, speculate: 'off' | 'prompt') => {
    const { prompt, ...sampling } = TEXTS[name];
    const options = { maxNewTokens, ignoreEos: true, speculate, ...sampling } as const;
    const request = { id: nextId(), input: { prompt }, options };
    Object.assign(counted, { drafts: 0, lost: 0 });
    const before = process.cpuUsage();
    const { ids, stats } = await session.generate(request, { postMessage() {} });
    const { user, system } = process.cpuUsage(before);
    return { ids: ids.join(' '), tps: stats.decodeTps, cpu: user + system, ...counted };
  };
  let same = true;
  console.log(
    '| text | off, tok/s | prompt, tok/s | ratio | of CPU time | passes with proposals, of which lost | ids |\n|---|---|---|---|---|---|---|',
  );
  for (const name of Object.keys(TEXTS)) {
    if (only && only !== name) continue;
    const pairsOf: Record<'off' | 'prompt', Awaited<ReturnType<typeof ask>>>[] = [];
    await ask(name, 'off');
    for (let i = 0; i < pairs; i++) {
      // each of them comes first in every second pair
      const first = i % 2 ? await ask(name, 'prompt') : null;
      const off = await ask(name, 'off');
      pairsOf.push({ off, prompt: first ?? (await ask(name, 'prompt')) });
    }
    const equal = pairsOf.every(({ off, prompt }) => off.ids === prompt.ids);
    const middle = (of: (pair: (typeof pairsOf)[0]) => number, digits: number) =>
      median(pairsOf.map(of)).toFixed(digits);
    const off = middle((pair) => pair.off.tps, 1);
    const on = middle((pair) => pair.prompt.tps, 1);
    const ratio = middle((pair) => pair.prompt.tps / pair.off.tps, 2);
    const least = (which: 'off' | 'prompt') => Math.min(...pairsOf.map((pair) => pair[which].cpu));
    const ofWork = (least('off') / least('prompt')).toFixed(2);
    const drafts = middle((pair) => pair.prompt.drafts, 0);
    const lost = middle((pair) => pair.prompt.lost, 0);
    console.log(
      `| ${name} | ${off} | ${on} | ${ratio} | ${ofWork} | ${drafts}, ${lost} | ${equal ? 'the same' : 'differ'} |`,
    );
    same &&= equal;
  }
  await session.dispose();
  return same ? 0 : 1;
}

await runToExit(main);
