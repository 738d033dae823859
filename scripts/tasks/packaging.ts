/**
 * `npm test -- packaging`: the library as a stranger gets it. Packs it, installs the tarball beside bundlers from npm,
 * puts an example (with a fixture's address for its model's) into a fresh folder for each way to build a page, and
 * opens what comes out in Chromium. Each must answer as the command line does. `node scripts/run.mjs packaging --all`
 * also tries what `npm test` leaves out; names of projects try only those. KEEP=1 keeps the folders. It is long
 * because all ways to build a page stand in one list.
 */
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { type Browser, chromium, type Page } from '@playwright/test';
import { installChromium, QUIET_FLAGS } from '../testing/chromium.ts';
import { serve } from '../testing/server.ts';
import type { Report } from './reports.ts';

const EXAMPLES = 'examples';
/** what the examples have not */
const PROJECTS = 'scripts/tasks/packaging/projects';
const MODEL = 'reference/fixtures/tiny-llama-128/nf4';
const HUB_MODEL = 'HuggingFaceTB/SmolLM2-135M-Instruct';
const ADDRESS = './models/tiny/';
const ANSWER_MS = 60_000;

/** What a project said, and the JavaScript that it came with. */
interface Outcome {
  /** what went wrong; null: it answers as the command line does */
  problem: string | null;
  /** bytes of scripts, gzipped: those that the page asked for, and all that the bundler wrote */
  fetched?: number;
  written?: number;
}

interface Project {
  name: string;
  /** why `npm test` leaves it out */
  notTested?: string;
  /** it needs the packages of more/ */
  more?: true;
  run(): Promise<Outcome>;
}

/** The text of a file with the model that is here in the place of the Hub's. */
function withModel(file: string): string {
  const text = readFileSync(file, 'utf8');
  if (!text.includes(HUB_MODEL)) throw new Error(`${file} names no model ${HUB_MODEL}.`);
  return text.replaceAll(HUB_MODEL, ADDRESS);
}
/** the README's lines, see examples.test.ts */
const LINES = withModel(join(EXAMPLES, 'vanilla/main.js'));
const [, QUESTION] = /engine\.chat\((\[.*?\])\)/.exec(LINES) ?? [];
const VANILLA = join(EXAMPLES, 'vanilla');
const DONE = "\ndocument.body.dataset.done = 'yes';\n";

/** Runs a program; what it printed, or an error with its last words. */
function run(program: string, args: string[], cwd: string): Promise<string> {
  const env = { ...process.env, NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1', NO_COLOR: '1', CI: '1' };
  return new Promise((done, reject) => {
    execFile(program, args, { cwd, env, maxBuffer: 1e8 }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${stderr}${stdout}`.trim().split('\n').slice(-12).join('\n')));
      else done(stdout);
    });
  });
}

const gzipped = (file: string) => gzipSync(readFileSync(file)).length;
const sum = (sizes: number[]) => sizes.reduce((total, bytes) => total + bytes, 0);

function scriptsIn(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => /\.m?js$/.test(name)).map((name) => join(folder, name));
}

/** What the command line answers. */
let expected = '';
const problemWith = (answer: string) => (answer.trim() === expected ? null : answer.trim());

/** What is wrong with what the page shows once it has answered: its first error, or another text. */
async function problemOn(page: Page, address: string): Promise<string | null> {
  const failed = new Promise<string>((resolve) => page.once('pageerror', (error) => resolve(String(error))));
  const answered = page
    .waitForFunction(() => document.body?.dataset.done || document.querySelector('output[aria-busy="false"]'), null, {
      timeout: ANSWER_MS,
    })
    .then(() =>
      page.evaluate(async () => {
        if (document.querySelector('nibble-chat')) await customElements.whenDefined('nibble-chat');
        const texts = [...document.body.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
        const output = document.querySelector('output');
        return output ? String(output.textContent) : texts.map((node) => node.textContent).join('');
      }),
    )
    .catch((error) => `no answer: ${error.message}`);
  await page.goto(address);
  return problemWith(await Promise.race([answered, failed]));
}

/** The workplace: one node_modules, which every project's folder lies beside. */
class Workplace {
  readonly folder = mkdtempSync(join(tmpdir(), 'nibble-packaging-'));
  readonly tarball: string;
  #browser: Browser | null = null;

  constructor() {
    execFileSync('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', this.folder]);
    const packed = readdirSync(this.folder).find((name) => name.endsWith('.tgz'));
    this.tarball = join(this.folder, packed ?? '');
  }

  /** Installs the tarball and the packages of a lock file. */
  async install(lock: string): Promise<void> {
    for (const name of ['package.json', 'package-lock.json']) {
      copyFileSync(`scripts/tasks/packaging/${lock}/${name}`, join(this.folder, name));
    }
    const quiet = ['--no-save', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
    await run('npm', ['install', ...quiet, this.tarball], this.folder);
  }

  installed(...path: string[]): string {
    return join(this.folder, 'node_modules', ...path);
  }

  /**
   * A fresh folder with the files of these folders, the README's lines as main.js, and the model where they expect it.
   */
  project(name: string, ...from: string[]): string {
    const folder = join(this.folder, name);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
    for (const each of from) cpSync(each, folder, { recursive: true });
    cpSync(MODEL, join(folder, 'public', ADDRESS), { recursive: true });
    writeFileSync(join(folder, 'main.js'), LINES + DONE);
    return folder;
  }

  /** The component of the example for React, with the model's address. */
  component(folder: string, at = '.'): void {
    const directive = at === '.' ? '' : "'use client';\n";
    writeFileSync(join(folder, at, 'answer.jsx'), directive + withModel(join(EXAMPLES, 'react/answer.jsx')));
  }

  async page(): Promise<Page> {
    this.#browser ??= await chromium.launch({ executablePath: await installChromium(), args: QUIET_FLAGS });
    return (await this.#browser.newContext()).newPage();
  }

  /** Opens a page with a profile of its own. @returns what is wrong with it */
  async open(address: string): Promise<string | null> {
    const page = await this.page();
    try {
      return await problemOn(page, address);
    } finally {
      await page.context().close();
    }
  }

  /** Opens what a bundler has written, from a server that has it under `base`. */
  async opened(folder: string, base = '/', html = ''): Promise<Outcome> {
    const server = await serve({ mounts: [[base, folder]] });
    const problem = await this.open(`${server.origin}${base}${html}`).finally(() => server.close());
    const asked = new Set(server.requests.map((line) => line.replace(/^GET /, '')));
    const scripts = scriptsIn(folder);
    const fetched = scripts.filter((file) => asked.has(base + relative(folder, file)));
    return { problem, fetched: sum(fetched.map(gzipped)), written: sum(scripts.map(gzipped)) };
  }

  /** A module of an installed package. */
  import(path: string) {
    return import(/* @vite-ignore */ pathToFileURL(this.installed(path)).href);
  }

  /** A package that Node's require() takes. */
  require(name: string) {
    return createRequire(this.installed('x.js'))(name);
  }

  vite(folder: string, ...args: string[]): Promise<string> {
    return run(process.execPath, [this.installed('vite/bin/vite.js'), ...args], folder);
  }

  async close(): Promise<void> {
    await this.#browser?.close();
    if (!process.env.KEEP) rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
    else console.log(`The projects are in ${this.folder}.`);
  }
}

function projects(at: Workplace): Project[] {
  const viteServer = async (folder: string): Promise<Outcome> => {
    const { createServer } = await at.import('vite/dist/node/index.js');
    const server = await createServer({ root: folder, logLevel: 'error', server: { host: 'localhost', port: 0 } });
    try {
      await server.listen();
      return { problem: await at.open(server.resolvedUrls.local[0]) };
    } finally {
      await server.close();
    }
  };
  const viteBuild = async (folder: string, base: string, served = base): Promise<Outcome> => {
    await at.vite(folder, 'build', '--base', base, '--logLevel', 'error');
    return at.opened(join(folder, 'dist'), served);
  };
  const react = (name: string) => {
    const folder = at.project(name, join(EXAMPLES, 'react'));
    at.component(folder);
    return folder;
  };
  const next = async (name: string, ...flags: string[]): Promise<Outcome> => {
    const folder = at.project(name, join(PROJECTS, 'next'));
    at.component(folder, 'app');
    await run(process.execPath, [at.installed('next/dist/bin/next'), 'build', ...flags], folder);
    const drawn = readFileSync(join(folder, 'out/index.html'), 'utf8').includes('<nibble-chat');
    return drawn ? at.opened(join(folder, 'out')) : { problem: 'the server drew no <nibble-chat>' };
  };
  /** A folder with the page of a bundler that knows nothing of HTML, to put the script beside. */
  const plain = (name: string) => {
    const folder = at.project(name, VANILLA);
    const out = join(folder, 'out');
    cpSync(join(folder, 'public'), out, { recursive: true });
    copyFileSync(join(folder, 'index.html'), join(out, 'index.html'));
    return { folder, out };
  };
  const webpack = async (name: string, mode: string): Promise<Outcome> => {
    const { folder, out } = plain(name);
    const bundle = at.require('webpack');
    const stats = await new Promise<{ hasErrors(): boolean; toString(): string }>((resolve, reject) => {
      const output = { path: out, publicPath: 'auto' };
      bundle({ mode, context: folder, entry: './main.js', output }, (error: Error | null, stats: never) =>
        error ? reject(error) : resolve(stats),
      );
    });
    return stats.hasErrors() ? { problem: stats.toString() } : at.opened(out);
  };
  /** Module scripts without a bundler: the bare name is the package's address. */
  const asModule = async (name: string, library: string): Promise<Outcome> => {
    const { folder, out } = plain(name);
    writeFileSync(join(out, 'main.js'), LINES.replace("'nibble-llm'", `'${library}'`) + DONE);
    cpSync(at.installed('nibble-llm/dist'), join(out, 'lib'), { recursive: true });
    const { problem } = await at.opened(out);
    const dist = join(folder, 'out/lib');
    const parts = ['index.js', 'engine.js', 'worker-text.js'].map((file) => join(dist, file));
    return { problem, fetched: sum(parts.map(gzipped)), written: sum(parts.map(gzipped)) };
  };
  /** The lines without a page. */
  const terminal = (name: string) => {
    const folder = at.project(name);
    cpSync(MODEL, join(folder, ADDRESS), { recursive: true });
    writeFileSync(join(folder, 'main.js'), withModel(join(EXAMPLES, 'node/main.js')));
    return folder;
  };
  const printed = async (folder: string, program: string, ...args: string[]): Promise<Outcome> => ({
    problem: problemWith(await run(program, [...args, 'main.js'], folder)),
  });
  const onRequest = 'one more package to install, and the same way through the library';

  return [
    {
      name: 'publint and attw',
      async run() {
        await run('npx', ['publint', '--strict', at.tarball], '.');
        await run('npx', ['attw', at.tarball, '--profile', 'esm-only'], '.');
        return { problem: null };
      },
    },
    { name: 'types: bundler, node16, nodenext', run: () => types(at) },
    { name: 'vite dev', run: () => viteServer(at.project('vite-dev', VANILLA)) },
    { name: 'vite dev, React, StrictMode', run: () => viteServer(react('vite-react-dev')) },
    { name: 'vite build', run: () => viteBuild(at.project('vite-build', VANILLA), '/') },
    { name: 'vite build, base ./', run: () => viteBuild(at.project('vite-base', VANILLA), './', '/some/where/') },
    { name: 'vite build, React, StrictMode, base', run: () => viteBuild(react('vite-react'), '/some/where/') },
    { name: 'webpack', run: () => webpack('webpack', 'production') },
    { name: 'next build, Turbopack', run: () => next('next') },
    {
      name: 'next build, webpack',
      notTested: 'minutes of compiling, and Next is built by its own bundler before',
      run: () => next('next-webpack', '--webpack'),
    },
    { name: '<script type=module>', run: () => asModule('module', './lib/index.js') },
    {
      name: '<script type=module>, other origin',
      async run() {
        const cdn = await serve({ mounts: [['/', at.installed('nibble-llm/dist')]], cors: true });
        return asModule('module-cdn', `${cdn.origin}/index.js`).finally(() => cdn.close());
      },
    },
    { name: 'extension (MV3)', run: () => extension(at) },
    { name: 'widget, one script', run: () => widget(at) },
    {
      name: 'widget, Vue',
      run: () => framed(at, 'vue', 'app.vue', (folder) => at.vite(folder, 'build', '--logLevel', 'error')),
    },
    {
      name: 'widget, Svelte',
      run: () => framed(at, 'svelte', 'app.svelte', (folder) => at.vite(folder, 'build', '--logLevel', 'error')),
    },
    {
      name: 'widget, Angular',
      notTested: 'its compiler and builder take 200 MB',
      more: true,
      run: () =>
        framed(at, 'angular', 'src/main.ts', (folder) =>
          run(process.execPath, [at.installed('@angular/cli/bin/ng.js'), 'build'], folder),
        ),
    },
    { name: 'vite build, offline', run: () => offline(at) },
    { name: `Node ${process.version}`, run: () => printed(terminal('node'), process.execPath) },
    {
      name: 'Node: import touches nothing',
      async run() {
        const code = `const before = Object.getOwnPropertyNames(globalThis).join();
          await import('nibble-llm'); await import('nibble-llm/widget'); await import('nibble-llm/openai');
          await import('nibble-llm/ai-sdk'); await import('nibble-llm/prompt-api');
          const after = Object.getOwnPropertyNames(globalThis).join();
          console.log(after === before ? 'nothing' : after)`;
        const said = await run(process.execPath, ['--input-type=module', '-e', code], terminal('node-import'));
        return { problem: said.trim() === 'nothing' ? null : `touched: ${said}` };
      },
    },
    {
      name: 'webpack, development',
      notTested: 'the same files as in production, otherwise wrapped',
      run: () => webpack('webpack-dev', 'development'),
    },
    {
      name: 'rollup',
      notTested: onRequest,
      more: true,
      async run() {
        const { folder, out } = plain('rollup');
        const { rollup } = at.require('rollup');
        const nodeResolve = at.require('@rollup/plugin-node-resolve');
        const bundle = await rollup({ input: join(folder, 'main.js'), plugins: [nodeResolve({ browser: true })] });
        await bundle.write({ dir: out, format: 'es' });
        return at.opened(out);
      },
    },
    ...['', '--splitting'].map(
      (flag): Project => ({
        name: `esbuild --bundle ${flag}`.trim(),
        notTested: onRequest,
        more: true,
        async run() {
          const { folder, out } = plain(`esbuild${flag}`);
          const { build } = at.require('esbuild');
          appendFileSync(join(folder, 'main.js'), "\nimport 'nibble-llm/widget';\n");
          const input = { entryPoints: [join(folder, 'main.js')], outdir: out, bundle: true, format: 'esm' };
          await build({ ...input, splitting: flag !== '', minify: true, logLevel: 'error' });
          const code = readdirSync(out).filter((file) => file.endsWith('.js'));
          const drawn = code.some((file) => readFileSync(join(out, file), 'utf8').includes('Start a chat'));
          return drawn ? at.opened(out) : { problem: 'the widget was left out' };
        },
      }),
    ),
    {
      name: 'Bun',
      notTested: 'its program has 100 MB',
      more: true,
      run: () => printed(terminal('bun'), at.installed(`@oven/bun-${process.platform}-${process.arch}/bin/bun`)),
    },
    {
      name: 'Deno',
      notTested: 'its program has 90 MB',
      more: true,
      run() {
        const folder = terminal('deno');
        // it looks for packages beside the package.json that names them
        writeFileSync(join(folder, 'package.json'), '{ "type": "module", "dependencies": { "nibble-llm": "*" } }\n');
        symlinkSync(at.installed(), join(folder, 'node_modules'));
        const libc = process.platform === 'linux' ? '-glibc' : '';
        const deno = at.installed(`@deno/${process.platform}-${process.arch}${libc}/deno`);
        return printed(folder, deno, 'run', '-A', '--node-modules-dir=manual');
      },
    },
    {
      name: 'parcel',
      notTested: 'it takes 200 packages',
      more: true,
      async run() {
        const folder = at.project('parcel', VANILLA);
        const args = ['build', 'index.html', '--no-cache', '--dist-dir', 'out'];
        await run(process.execPath, [at.installed('parcel/lib/bin.js'), ...args], folder);
        cpSync(join(folder, 'public'), join(folder, 'out'), { recursive: true });
        return at.opened(join(folder, 'out'));
      },
    },
  ];
}

/** Vite's build as an unpacked extension: its pages may start no worker from a blob. */
async function extension(at: Workplace): Promise<Outcome> {
  const folder = at.project('extension', VANILLA);
  await at.vite(folder, 'build', '--base', './', '--logLevel', 'error');
  const dist = join(folder, 'dist');
  copyFileSync(join(PROJECTS, 'extension/manifest.json'), join(dist, 'manifest.json'));
  const context = await chromium.launchPersistentContext('', {
    executablePath: await installChromium(),
    args: [...QUIET_FLAGS, `--disable-extensions-except=${dist}`, `--load-extension=${dist}`],
    ignoreDefaultArgs: ['--disable-extensions'],
  });
  try {
    // how Chromium names what is loaded from a folder
    const digest = createHash('sha256').update(dist).digest('hex').slice(0, 32);
    const id = [...digest].map((digit) => String.fromCharCode(97 + Number.parseInt(digit, 16))).join('');
    const problem = await problemOn(await context.newPage(), `chrome-extension://${id}/index.html`);
    return { problem, written: sum(scriptsIn(dist).map(gzipped)) };
  } finally {
    await context.close();
  }
}

/** A chat in the widget on a page: null, or what is wrong. Answers are not compared: see widget(). */
async function chatOn(at: Workplace, origin: string, then = async (_: Page): Promise<string | null> => null) {
  const page = await at.page();
  page.setDefaultTimeout(ANSWER_MS);
  const failed = new Promise<string>((resolve) => page.once('pageerror', (error) => resolve(String(error))));
  const answered = async () => {
    await page.goto(origin);
    const said = page.evaluate(
      () =>
        new Promise<string>((resolve) => {
          document.addEventListener('nibble-error', (event) => resolve(String((event as CustomEvent).detail)));
          document.addEventListener('nibble-message', (event) => {
            const { role, content } = (event as CustomEvent).detail;
            if (role === 'assistant') resolve(content);
          });
        }),
    );
    await page.getByRole('button', { name: 'Start a chat' }).click();
    await page.getByRole('button', { name: /^Load/ }).click();
    await page.getByRole('textbox').fill('Why is the sky blue?');
    await page.getByRole('textbox').press('Enter');
    return (await said) === '' ? 'an empty answer' : then(page);
  };
  try {
    return await Promise.race([answered(), failed]);
  } finally {
    await page.context().close();
  }
}

/** The example of the widget: no answer is compared, for a chat's conversation goes beyond the tiny model's context. */
async function widget(at: Workplace): Promise<Outcome> {
  const folder = at.project('widget');
  writeFileSync(join(folder, 'index.html'), withModel(join(EXAMPLES, 'widget/index.html')));
  const embed = at.installed('nibble-llm/dist/embed');
  const mounts: [string, string][] = [
    ['/embed/', embed],
    ['/models/', join(folder, 'public/models')],
    ['/', folder],
  ];
  const server = await serve({ mounts });
  const problem = await chatOn(at, server.origin).finally(() => server.close());
  return { problem, written: sum(scriptsIn(embed).map(gzipped)) };
}

/** The widget in a framework's component, which sets a property and hears an event: `<output>` shows the answer. */
async function framed(
  at: Workplace,
  name: string,
  component: string,
  build: (folder: string) => Promise<unknown>,
): Promise<Outcome> {
  const example = join(EXAMPLES, name);
  const folder = at.project(`widget-${name}`);
  cpSync(example, folder, { recursive: true });
  writeFileSync(join(folder, component), withModel(join(example, component)));
  await build(folder);
  const dist = join(folder, 'dist');
  const server = await serve({ mounts: [['/', dist]] });
  const heard = async (page: Page) => {
    await page.waitForFunction(() => document.querySelector('output')?.textContent !== '');
    await page.getByRole('textbox').fill('a secret');
    await page.getByRole('textbox').press('Enter');
    await page.getByText('No secrets, please.').waitFor();
    return null;
  };
  const problem = await chatOn(at, server.origin, heard).finally(() => server.close());
  return { problem, written: sum(scriptsIn(dist).map(gzipped)) };
}

/** The example of a page that answers once more when its server is gone. */
async function offline(at: Workplace): Promise<Outcome> {
  const folder = at.project('offline', join(EXAMPLES, 'offline'));
  writeFileSync(join(folder, 'main.js'), withModel(join(EXAMPLES, 'offline/main.js')) + DONE);
  await at.vite(folder, 'build', '--base', './', '--logLevel', 'error');
  const dist = join(folder, 'dist');
  const server = await serve({ mounts: [['/', dist]] });
  const page = await at.page();
  try {
    const before = await problemOn(page, server.origin).finally(() => server.close());
    const problem = before ?? (await problemOn(page, server.origin));
    return { problem, written: sum(scriptsIn(dist).map(gzipped)) };
  } finally {
    await page.context().close();
  }
}

/** TypeScript's view of the package, in each way of resolving that finds its exports. */
async function types(at: Workplace): Promise<Outcome> {
  const folder = at.project('types');
  const more = "\nimport type { NibbleChatElement } from 'nibble-llm/widget';\nimport 'nibble-llm/worker';\n";
  // without the packages whose shapes these have
  const shapes =
    "import { createFetch } from 'nibble-llm/openai';\nimport { createNibble } from 'nibble-llm/ai-sdk';\n" +
    "import { install } from 'nibble-llm/prompt-api';\n";
  const use =
    "export const chat: NibbleChatElement | null = document.querySelector('nibble-chat');\n" +
    'export const answered: typeof fetch = createFetch(engine);\n' +
    'export const said: Promise<unknown> = createNibble({ engine })().doGenerate({ prompt: [] });\n' +
    'export const session: Promise<{ prompt(text: string): Promise<string> }> = install(engine).LanguageModel.create();\n';
  writeFileSync(join(folder, 'main.ts'), LINES + more + shapes + use);
  const files = ['main.ts'];
  for (const module of ['bundler', 'node16', 'nodenext']) {
    const resolution = module === 'bundler' ? { module: 'esnext', moduleResolution: module } : { module };
    const strictly = { strict: true, skipLibCheck: false, noEmit: true, target: 'es2022', types: [] };
    const config = { compilerOptions: { ...strictly, ...resolution }, files };
    writeFileSync(join(folder, `${module}.json`), JSON.stringify(config));
    await run(process.execPath, [resolve('node_modules/typescript/bin/tsc'), '-p', `${module}.json`], folder);
  }
  return { problem: null };
}

async function commandLine(): Promise<string> {
  const [, content] = /content: '([^']*)'/.exec(QUESTION) ?? [];
  const args = ['bin/nibble.js', 'generate', MODEL, '--chat', content, '--backend', 'cpu', '--json'];
  return JSON.parse(await run(process.execPath, args, '.')).text.trim();
}

const NO_REGISTRY = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ENOTCACHED|ERR_SOCKET_TIMEOUT/;

export async function main(args: string[]): Promise<number> {
  const all = args.includes('--all');
  const wanted = args.filter((name) => name !== '--all');
  expected = await commandLine();
  const places: Workplace[] = [];
  const report: Report = { passed: 0, failed: 0, skipped: 0, tests: [], failures: [] };
  const kb = (bytes?: number) => (bytes === undefined ? '' : `${(bytes / 1000).toFixed(0)} KB`).padStart(9);
  const row = (name: string, result: string, { fetched, written }: Partial<Outcome> = {}) => {
    console.log(`${name.padEnd(38)}${kb(fetched)}${kb(written)}  ${result}`);
  };
  try {
    console.log(`${'project'.padEnd(38)}${'fetched'.padStart(9)}${'built'.padStart(9)}  (scripts, gzipped)`);
    for (const lock of all ? ['tested', 'more'] : ['tested']) {
      const at = new Workplace();
      places.push(at);
      await at.install(lock);
      for (const project of projects(at)) {
        const { name, notTested, more = false } = project;
        if (wanted.length > 0 && !wanted.some((part) => name.includes(part))) continue;
        if (all && more !== (lock === 'more')) continue;
        if (notTested && !all) {
          row(name, `not run: ${notTested}; --all runs it`);
          continue;
        }
        const started = performance.now();
        const outcome = await project.run().catch((error): Outcome => ({ problem: error.message }));
        const { problem } = outcome;
        const ms = performance.now() - started;
        report[problem === null ? 'passed' : 'failed']++;
        report.tests.push({ name: `packaging › ${name}`, ms });
        if (problem !== null) report.failures.push({ name: `packaging › ${name}`, message: problem });
        const seconds = (ms / 1000).toFixed(1);
        row(name, problem === null ? `ok (${seconds} s)` : `FAILED: ${problem}`, outcome);
      }
    }
  } catch (error) {
    const [reason] = NO_REGISTRY.exec(String(error)) ?? [];
    if (!reason) throw error;
    console.log(`packaging did not run: npm's registry was not reached (${reason}).`);
  } finally {
    for (const at of places) await at.close();
    if (process.env.NIBBLE_REPORT) writeFileSync(process.env.NIBBLE_REPORT, JSON.stringify(report));
  }
  return report.failed === 0 ? 0 : 1;
}
