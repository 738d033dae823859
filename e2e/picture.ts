/**
 * What a state looks like: pictures in test-results/screens/ for people to look at, and axe for those who cannot. Each
 * state is looked at in both colour schemes.
 */
import { readFileSync } from 'node:fs';
import type { Page } from '@playwright/test';
import { expect } from './product';

const AXE = readFileSync('node_modules/axe-core/axe.min.js', 'utf8');

export const SCHEMES = ['light', 'dark'] as const;

/** A picture of what is on the screen, in which axe finds nothing. @param name of its file */
export async function picture(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: `test-results/screens/${name}.png` });
  if (await page.evaluate(() => !('axe' in window))) await page.evaluate(AXE);
  const found = await page.evaluate(async () => {
    type Result = { violations: { id: string; nodes: { html: string; failureSummary?: string }[] }[] };
    const { violations } = await (window as unknown as { axe: { run(): Promise<Result> } }).axe.run();
    return violations.map(({ id, nodes }) => `${id}: ${nodes[0].html} ${nodes[0].failureSummary}`);
  });
  expect(found, name).toEqual([]);
}

/** Changes the colour scheme; without motion no colour is ever between the two. */
export const dress = (page: Page, colorScheme: (typeof SCHEMES)[number]): Promise<void> =>
  page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });

/** @param name of the pictures; `*` stands for the scheme */
export async function pictures(page: Page, name: string): Promise<void> {
  for (const colorScheme of SCHEMES) {
    await dress(page, colorScheme);
    await picture(page, name.replace('*', colorScheme));
  }
}
