/** nibble bench: how fast, with what memory. Greedy, end-of-text ignored, so that the ids are generate's. */

import { NibbleError } from '../../errors';
import type { Model } from '../../runtime/model';
import { memoryInfo } from '../../runtime/planning';
import { encodeInput } from '../../runtime/prompt';
import { type Arguments, invalid } from '../arguments';
import { median } from '../median';
import { open } from '../open';
import { createRandomSource } from '../random-source';
import { reserveFor } from '../run-prompt';
import { COMMAND, log, mib, print } from '../terminal';
import { readConfig } from './plan';

const GREEDY = { temperature: 0, topK: 0, topP: 1, seed: 0 };

interface Run {
  ids: number[];
  ttft: number;
  prefill: number;
  decode: number;
  dispatches: number;
  submits: number;
}

/** A prompt of any length; the same for the same vocabulary. */
export function benchPrompt(tokens: number, vocab: number): number[] {
  return Array.from({ length: tokens }, (_, i) => (i * 7919 + 17) % vocab);
}

async function once(model: Model, prompt: readonly number[], newTokens: number): Promise<Run> {
  const { executor } = model;
  const cache = await reserveFor(model, prompt.length, newTokens);
  const start = performance.now();
  await executor.prefill(cache, prompt, 0);
  const ids: number[] = [];
  let first = 0;
  let before = executor.stats();
  for await (const id of executor.decode(cache, prompt.length, newTokens, GREEDY)) {
    if (ids.push(id) === 1) {
      first = performance.now();
      before = executor.stats();
    }
  }
  const end = performance.now();
  const after = executor.stats();
  const steps = Math.max(1, newTokens - 1);
  return {
    ids,
    ttft: first - start,
    prefill: (1000 * prompt.length) / (first - start),
    decode: newTokens > 1 ? (1000 * (newTokens - 1)) / (end - first) : 0,
    dispatches: (after.dispatches - before.dispatches) / steps,
    submits: (after.submits - before.submits) / steps,
  };
}

export async function bench(args: Arguments): Promise<void> {
  const promptTokens = args.count('prompt-tokens', 32);
  const newTokens = args.count('new-tokens', 16);
  const config = args.text('random');
  if (config !== undefined && args.positionals.length > 0)
    throw invalid('random', config, `${COMMAND} bench takes MODEL or --random, not both.`);
  if (args.text('ids') !== undefined && args.text('prompt-tokens') !== undefined)
    throw invalid('prompt-tokens', undefined, `${COMMAND} bench takes --prompt-tokens or --ids, not both.`);
  const given = await args.ids();
  const { session, info } =
    config === undefined
      ? await open(args, args.positional(0, 'MODEL'))
      : await open(args, config, createRandomSource(await readConfig(config)));
  const model = session.model();
  const { ids: prompt } = encodeInput(model, { ids: given ?? benchPrompt(promptTokens, model.graph.spec.vocab) });
  // Pipelines are compiled and functions optimised before anything is timed.
  await once(model, prompt.slice(0, 4), 3);
  const runs: Run[] = [];
  for (let r = 0; r < args.count('runs', 1); r++) {
    runs.push(await once(model, prompt, newTokens));
    log(args, `run ${r + 1}: ${runs[r].prefill.toFixed(2)} tok/s prefill, ${runs[r].decode.toFixed(2)} tok/s decode`);
  }
  const of = (pick: (run: Run) => number) => median(runs.map(pick));
  const { weights, kv, scratch, total, peak } = memoryInfo(model);
  const result = {
    prefill_tps: of((run) => run.prefill),
    decode_tps: of((run) => run.decode),
    ttft_ms: of((run) => run.ttft),
    dispatches_per_token: of((run) => run.dispatches),
    submits_per_token: of((run) => run.submits),
    memory: { weights, kv, scratch, total, peak },
    adapter: info.adapter,
    backend: info.backend,
    variants: info.variants,
    ids: runs[0].ids,
    ...(args.flag('profile') ? { profile: await profileOf(model, prompt, newTokens) } : {}),
  };
  await print(args, result, () =>
    [
      `${info.backend}: ${result.prefill_tps.toFixed(2)} tok/s prefill, ${result.decode_tps.toFixed(2)} tok/s decode, first token after ${result.ttft_ms.toFixed(0)} ms`,
      `${mib(total)}: weights ${mib(weights)}, cache ${mib(kv)}, scratch ${mib(scratch)}`,
      ...('profile' in result ? [JSON.stringify(result.profile, null, 2)] : []),
    ].join('\n'),
  );
  await session.dispose();
}

type Profiler = (work: () => Promise<void>) => Promise<unknown>;

/** Time by kernel, from the GPU's timestamps, of one prefill and of one run of decoding after it. */
async function profileOf(model: Model, prompt: readonly number[], newTokens: number): Promise<object> {
  const { executor } = model;
  const run = 'profile' in executor ? (executor.profile as Profiler).bind(executor) : async () => null;
  const cache = await reserveFor(model, prompt.length, newTokens);
  const prefill = await run(() => executor.prefill(cache, prompt, 0));
  const decode = await run(async () => {
    for await (const _ of executor.decode(cache, prompt.length, newTokens, GREEDY));
  });
  if (prefill && decode) return { prefill, decode };
  throw new NibbleError(
    'invalid-option',
    '--profile needs a GPU with timestamps: use --backend webgpu, without --features none.',
    { backend: executor.backend },
  );
}
