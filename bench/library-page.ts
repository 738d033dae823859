/**
 * A Chromium with an empty page from which the built library can be imported: `/lib/index.js`. Needs `npm run build`.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium, type Page } from '@playwright/test';
import {
  chromiumVersion,
  installChromium,
  QUIET_FLAGS,
  WEBGPU_FLAGS,
  WEBGPU_IGNORED,
} from '../scripts/testing/chromium.ts';
import { serve } from '../scripts/testing/server.ts';

export interface LibraryPage {
  page: Page;
  context: BrowserContext;
  /** the browser's folder, by which its processes can be told from others */
  profile: string;
  /** "Chromium 156 …, 2 cores (…)" */
  machine: string;
  close(): Promise<void>;
}

/** @param dist another build of the library than this one's */
export async function openLibraryPage(flags: readonly string[] = [], dist = 'dist'): Promise<LibraryPage> {
  if (!existsSync(`${dist}/index.js`)) throw new Error('There is no build: `npm run build` comes first.');
  const site = await serve({
    mounts: [
      ['/lib/', dist],
      ['/', 'e2e/blank.html'],
    ],
  });
  const profile = await mkdtemp(join(tmpdir(), 'nibble-bench-'));
  const executablePath = await installChromium();
  const context = await chromium.launchPersistentContext(profile, {
    executablePath,
    args: [...QUIET_FLAGS, ...WEBGPU_FLAGS, ...flags],
    ignoreDefaultArgs: WEBGPU_IGNORED,
  });
  const page = context.pages()[0] ?? (await context.newPage());
  await page.goto(site.origin);
  return {
    page,
    context,
    profile,
    machine: `${chromiumVersion(executablePath)}, ${cpus().length} cores (${cpus()[0]?.model.trim()})`,
    async close() {
      await context.close();
      await site.close();
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Puts `text` between the marks `<!-- name -->` and `<!-- /name -->`. */
export function between(file: string, name: string, text: string): string {
  const marks = new RegExp(`(<!-- ${name} -->\n)[^]*?(<!-- /${name} -->)`);
  if (!marks.test(file)) throw new Error(`There are no marks for ${name}.`);
  return file.replace(marks, (_, open, close) => `${open}${text}\n${close}`);
}
