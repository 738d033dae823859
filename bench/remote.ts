/**
 * The same questions to a model here and to a server that has its weights: the greedy texts must be the same.
 *
 *   node scripts/run.mjs ../bench/remote [--folder PATH] [--transformers COMMAND]
 *   node scripts/run.mjs ../bench/remote [--folder PATH] --url ADDRESS --model NAME [--key KEY]
 *
 * Without --url it starts `transformers serve` on the folder, and ends it; it is found as --transformers or in the PATH
 * (`pip install torch==2.13.0 'transformers[serving]==5.24.0'`). Exit status 1 where a text differs, or no server
 * answers.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { load } from '../src/engine';
import { sessionWorkers } from '../src/engine/test/session-worker';
import type { GenerateResult } from '../src/protocol';
import { connect } from '../src/remote';

const FOLDER = 'reference/fixtures/tiny-llama-128/bf16';
const PORT = 8431;
const START_MS = 180_000;
const OPTIONS = { temperature: 0, maxNewTokens: 24 } as const;
const CHATS = [
  [{ role: 'user', content: 'Hello there, how are you?' }],
  [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Why is the sky blue?' },
  ],
  [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Hello!' },
    { role: 'user', content: 'Grüße 🌍?' },
  ],
] as const;
const TEXTS = ['Once upon a time', 'The'];

/** Waits until it answers. @throws when it ends, or takes too long */
async function started(server: ChildProcess, url: string): Promise<void> {
  let ended = '';
  server.once('error', (error) => {
    ended = String(error);
  });
  server.once('exit', (code) => {
    ended ||= `it ended with ${code}`;
  });
  for (const end = Date.now() + START_MS; Date.now() < end; await sleep(500)) {
    if (ended) throw new Error(`transformers serve does not start: ${ended}.`);
    const answer = await fetch(`${url}/models`).catch(() => null);
    if (answer?.ok) return;
  }
  throw new Error(`transformers serve has not answered for ${START_MS / 1000} s.`);
}

export async function main(argv: string[]): Promise<number> {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: argv,
    options: { url: text, model: text, key: text, folder: text, transformers: text },
  });
  const folder = resolve(values.folder ?? FOLDER);
  const url = values.url ?? `http://127.0.0.1:${PORT}/v1`;
  const model = values.model ?? basename(folder);
  let server: ChildProcess | null = null;
  if (!values.url) {
    const options = ['--device', 'cpu', '--dtype', 'float32', '--enable-cors', '--port', String(PORT)];
    server = spawn(values.transformers ?? 'transformers', ['serve', model, ...options], {
      cwd: dirname(folder),
      env: { ...process.env, HF_HUB_OFFLINE: '1' },
      stdio: 'ignore',
    });
  }
  try {
    if (server) await started(server, url);
    const files = readdirSync(folder).map((name) => new File([readFileSync(join(folder, name))], name));
    const here = await load(files, { createWorker: sessionWorkers(), weights: 'f32', kv: 'f32', activations: 'f32' });
    const there = connect(url, { model, key: values.key });
    let differ = 0;
    const compare = (what: string, mine: GenerateResult, theirs: GenerateResult) => {
      // transformers keeps to itself what is no whole character at the end
      const [own, other] = [mine, theirs].map(({ text }) => text.replace(/\uFFFD+$/, ''));
      const same = own === other && mine.finish === theirs.finish;
      if (!same) differ++;
      const { promptTokens, newTokens } = theirs.stats;
      console.log(
        `| ${what} | ${promptTokens} + ${newTokens} tokens | ${theirs.finish} | ${same ? 'same text' : 'DIFFERS'} |`,
      );
      if (!same) console.log(JSON.stringify({ mine: mine.text, theirs: theirs.text }));
      if (theirs.note) console.log(`  ${theirs.note}`);
    };
    for (const messages of CHATS) {
      const [mine, theirs] = await Promise.all([here, there].map((engine) => engine.chat(messages, OPTIONS).result));
      compare(`chat of ${messages.length}`, mine, theirs);
    }
    for (const prompt of TEXTS) {
      const [mine, theirs] = await Promise.all([here, there].map((engine) => engine.generate(prompt, OPTIONS).result));
      compare(`text "${prompt}"`, mine, theirs);
    }
    const asked = { ...OPTIONS, topK: 5, minP: 0.1, repetitionPenalty: 1 };
    const left = await there.chat(CHATS[0], asked).result;
    console.log(`With topK, minP, repetitionPenalty: ${left.note}`);
    const stopped = there.chat(CHATS[0], { ...OPTIONS, maxNewTokens: 200 });
    for await (const _ of stopped) break;
    console.log(`Left after its first piece: ${(await stopped.result).finish}.`);
    const refused = await there.tokenize('Hello').then(String, ({ code, message }) => `${code}: ${message}`);
    console.log(`tokenize(): ${refused}`);
    const { contextLength, sourceReason } = await there.info();
    console.log(`info(): ${sourceReason} Its context: ${contextLength || 'not told'}.`);
    here.dispose();
    there.dispose();
    return differ === 0 ? 0 : 1;
  } finally {
    server?.kill();
  }
}
