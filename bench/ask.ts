/**
 * What `npm start -- --ask "…"` shows of the built page on the CPU, as it is and with WebAssembly forbidden by the
 * page's policy, in turn: the first token after the question, and tokens a second of the answer; the medians of the
 * rounds, and of their ratios. Each time in a browser of its own, which has the model in its store. Needs
 * `npm run build`.
 *
 *   node scripts/run.mjs ../bench/ask [--rounds 5] [--question "…"] [--model DIR]
 *
 * Result: bench/cpu.md.
 */
import { cpus, loadavg } from 'node:os';
import { SELF_ONLY_CSP } from '../scripts/bundling/policy';
import { askPage, openBrowser } from '../scripts/tasks/start';
import { serveProduct } from '../scripts/testing/server';
import { STARTERS } from '../src/chat/starters';
import { parse } from '../src/node/arguments';
import { median } from '../src/node/median';
import { DEFAULT_MODEL } from '../src/runtime/test/default-model';
import { runToExit } from './run';

const text = { type: 'string' } as const;

interface Way {
  name: string;
  csp?: string;
  /** seconds, and tokens a second */
  first: number[];
  decode: number[];
}

async function measure({ csp, ...way }: Way, question: string, folder: string): Promise<string> {
  const models: [string, string][] = [['/models/asked/', folder]];
  const product = await serveProduct('.', csp === undefined ? { models } : { models, csp });
  const browser = await openBrowser();
  if (!browser) throw new Error('There is no Chromium here.');
  try {
    // the first answer is the compilers'
    const address = `${product.site.origin}/?model=/models/asked/&backend=cpu`;
    await (await askPage(browser.context, address, question, () => {})).answered();
    const talk = await askPage(browser.context, address, question, () => {});
    const { info, result } = await talk.answered();
    way.first.push(result!.stats.ttftMs / 1000);
    way.decode.push(result!.stats.decodeTps);
    return info!.variants.cpu;
  } finally {
    await browser.close();
    await product.close();
  }
}

async function main(): Promise<number> {
  const args = parse('ask', process.argv.slice(3), { rounds: text, question: text, model: text }, 0);
  const question = args.text('question') ?? STARTERS[0];
  const ways: Way[] = [
    { name: 'as it is', first: [], decode: [] },
    { name: 'WebAssembly forbidden', csp: SELF_ONLY_CSP, first: [], decode: [] },
  ];
  for (let round = 0; round < args.count('rounds', 5); round++) {
    for (const way of ways) {
      const how = await measure(way, question, args.text('model') ?? DEFAULT_MODEL);
      const [first, decode] = [way.first.at(-1)!, way.decode.at(-1)!];
      console.log(`${way.name} (${how}): first token ${first.toFixed(2)} s, ${decode.toFixed(1)} tok/s`);
    }
  }
  const [wasm, plain] = ways;
  const ratio = (a: number[], b: number[]) => median(a.map((value, i) => value / b[i])).toFixed(1);
  console.log(`\n${cpus().length} cores (${cpus()[0].model}), load ${loadavg()[0].toFixed(1)} at the end\n`);
  console.log('| | first token, s | answer, tokens/s |\n|---|---|---|');
  for (const { name, first, decode } of ways)
    console.log(`| ${name} | ${median(first).toFixed(2)} | ${median(decode).toFixed(1)} |`);
  console.log(
    `| times as fast, median of rounds | ${ratio(plain.first, wasm.first)} | ${ratio(wasm.decode, plain.decode)} |`,
  );
  return 0;
}

await runToExit(main);
