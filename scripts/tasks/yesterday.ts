/**
 * `node scripts/run.mjs yesterday`: what yesterday's version stores, for e2e/yesterday.spec.ts. Builds that version
 * from the history, visits its page in Chromium, and writes what is then in the browser's storage to
 * reference/fixtures/yesterday/stored.json.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { chromium, type Page } from '@playwright/test';
import { installChromium, QUIET_FLAGS } from '../testing/chromium.ts';
import { serve } from '../testing/server.ts';
import { yesterdaysBuild } from './yesterday/build.ts';
import { takeStored } from './yesterday/stored.ts';
import {
  BARE,
  BLANK,
  blank,
  HALF,
  HALF_BYTES,
  MODEL,
  ORIGIN,
  originFlag,
  QUESTIONS,
  SAVED,
  STORED,
  TINY,
  visitMounts,
} from './yesterday/visit.ts';

/** Serves the weights of half a download up to there, and no further. */
function cut(request: IncomingMessage, response: ServerResponse, path: string): boolean {
  if (!HALF.some((folder) => path === `${folder}model.safetensors`)) return false;
  const all = readFileSync(join(MODEL, 'model.safetensors'));
  const [, from, to] = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? 'bytes=0-')!;
  const [start, end] = [Number(from), to === '' ? all.length : Math.min(all.length, Number(to) + 1)];
  if (start >= HALF_BYTES) {
    response.destroy();
    return true;
  }
  response.writeHead(206, {
    'Accept-Ranges': 'bytes',
    'Content-Length': end - start,
    'Content-Range': `bytes ${start}-${end - 1}/${all.length}`,
  });
  if (request.method === 'HEAD' || end <= HALF_BYTES) response.end(all.subarray(start, end));
  else response.write(all.subarray(start, HALF_BYTES), () => setTimeout(() => response.destroy(), 500));
  return true;
}

async function visit(page: Page): Promise<void> {
  const text = async (name: string) => (await page.locator(name).allTextContents()).join(' ');
  const open = async (folder: string) => {
    await page.goto(`${ORIGIN}/?model=${folder}&backend=cpu`);
    await page.locator('nibble-view').getByRole('button', { name: /^Load/ }).click();
  };
  const question = page.locator('nibble-view').getByLabel('Your question');
  for (const folder of [BARE, TINY]) {
    await open(folder);
    await question.waitFor();
  }
  for (const each of QUESTIONS) {
    await question.fill(each);
    await question.press('Enter');
    await page.waitForFunction(
      (count) => {
        const { session } = document
          .querySelector('nibble-page')!
          .shadowRoot!.querySelector('nibble-view') as unknown as { session: { phase: string; messages: object[] } };
        return session.phase === 'ready' && session.messages.length === count;
      },
      2 * QUESTIONS.indexOf(each) + 2,
    );
  }
  // as text: import() is the page's
  await page.evaluate(`(async () => {
    const { load } = await import('/lib/index.js');
    const engine = await load('${TINY}', { backend: 'cpu' });
    const talk = engine.conversation({ saved: '${SAVED}' });
    await talk.chat([{ role: 'user', content: 'cat' }], { maxNewTokens: 8 }).result;
    await talk.save();
    await engine.dispose();
  })()`);
  // what the page saves of its own conversation
  await page.waitForFunction(async () => {
    const database = await new Promise<IDBDatabase>((resolve) => {
      const request = indexedDB.open('nibble-saved');
      request.onsuccess = () => resolve(request.result);
    });
    const keys = await new Promise<IDBValidKey[]>((resolve) => {
      const request = database.transaction('keyval').objectStore('keyval').getAllKeys();
      request.onsuccess = () => resolve(request.result);
    });
    database.close();
    return keys.length === 2;
  });
  for (const folder of HALF) {
    await open(folder);
    await page.locator('nibble-view').getByRole('alert').waitFor();
    console.log(`${folder}: ${await text('nibble-view [role=alert]')}`);
  }
}

export async function main(): Promise<number> {
  const dist = yesterdaysBuild();
  const lib = mkdtempSync(join(tmpdir(), 'nibble-visit-'));
  const server = await serve({
    mounts: [...visitMounts(), ['/lib/', dist], ['/', join(dist, 'site')]],
    intercept: (...asked) => blank(...asked) || cut(...asked),
  });
  const context = await chromium.launchPersistentContext(lib, {
    executablePath: await installChromium(),
    args: [...QUIET_FLAGS, originFlag(server.port)],
  });
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(120_000);
    await visit(page);
    await page.goto(`${ORIGIN}${BLANK}`);
    const stored = await takeStored(page, MODEL);
    const served = server.bytes('/models/');
    mkdirSync(dirname(STORED), { recursive: true });
    writeFileSync(STORED, `${JSON.stringify(stored, null, 1)}\n`);
    console.log(`${served} bytes of models were served; ${STORED} is written.`);
    for (const [name, entries] of Object.entries(stored.databases))
      console.log(
        name,
        entries.map(([key]) => key),
      );
    console.log(stored.caches, stored.localStorage);
    return 0;
  } finally {
    await context.close();
    await server.close();
    rmSync(lib, { recursive: true, force: true, maxRetries: 5 });
  }
}
