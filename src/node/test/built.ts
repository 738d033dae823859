/** What `npm run build` makes for Node, in a folder as an application has it in its node_modules. */
import { spawn } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build } from 'vite';
import { NODE_ENTRIES, nodeConfig } from '../../../vite.node.config';

export const FIXTURES = resolve('reference/fixtures');

/** @returns a folder of an application, with the package and nothing else in node_modules */
export async function application(entries: readonly (typeof NODE_ENTRIES)[number][] = NODE_ENTRIES): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'nibble-app-'));
  const within = join(folder, 'node_modules/nibble-llm');
  await mkdir(join(within, 'bin'), { recursive: true });
  for (const file of ['package.json', 'bin/nibble.js']) await copyFile(file, join(within, file));
  for (const entry of entries) {
    const { build: options, ...config } = nodeConfig(entry);
    const outDir = join(within, 'dist/node');
    await build({ configFile: false, logLevel: 'error', ...config, build: { ...options, outDir } });
  }
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  return folder;
}

export interface Run {
  status: number | null;
  out: string;
  err: string;
}

/** A program under way. */
export interface Running {
  done: Promise<Run>;
  child: ReturnType<typeof spawn>;
  /** resolves when it has written this */
  says(stream: 'out' | 'err', text: RegExp): Promise<void>;
}

/** Starts `node` with these arguments. @param env beside this process's */
export function start(argv: readonly string[], { cwd, env = {}, input }: StartOptions): Running {
  const child = spawn(process.execPath, [...argv], { cwd, env: { ...process.env, ...env }, stdio: 'pipe' });
  const seen = { out: '', err: '' };
  const waiting: { stream: 'out' | 'err'; text: RegExp; told: () => void }[] = [];
  const take = (stream: 'out' | 'err') => (piece: Buffer) => {
    seen[stream] += piece;
    for (const each of waiting) if (each.text.test(seen[each.stream])) each.told();
  };
  child.stdout.on('data', take('out'));
  child.stderr.on('data', take('err'));
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const done = new Promise<Run>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, ...seen }));
  });
  const says = async (stream: 'out' | 'err', text: RegExp) => {
    const told = new Promise<void>((resolve) => waiting.push({ stream, text, told: resolve }));
    if (text.test(seen[stream])) return;
    const ended = done.then(({ err }) => Promise.reject(new Error(`it ended without ${text}: ${err}`)));
    await Promise.race([told, ended]);
  };
  return { done, child, says };
}

interface StartOptions {
  cwd: string;
  env?: NodeJS.ProcessEnv;
  /** on standard input */
  input?: string | Buffer;
}
