/**
 * Draws the PNG icons of the web manifest from public/icon.svg: `node scripts/run.mjs icons`. Their results are
 * committed.
 */
import { readFile } from 'node:fs/promises';
import { chromium } from '@playwright/test';
import { installChromium, QUIET_FLAGS } from '../testing/chromium.ts';

const ICONS = [
  { file: 'icon-192.png', size: 192, background: 'white', scale: 0.7 },
  { file: 'icon-512.png', size: 512, background: 'white', scale: 0.7 },
  // launchers cut a maskable icon to a circle of 80 %: colours swapped, the drawing well inside
  { file: 'icon-maskable-512.png', size: 512, background: '#0d6b5e', fill: 'white', scale: 0.52 },
];

export async function main(): Promise<void> {
  const svg = await readFile('public/icon.svg', 'utf8');
  const browser = await chromium.launch({ executablePath: await installChromium(), args: QUIET_FLAGS });
  for (const { file, size, background, fill, scale } of ICONS) {
    const page = await browser.newPage({ viewport: { width: size, height: size } });
    const drawing = fill ? svg.replace(/fill="[^"]*"/, `fill="${fill}"`) : svg;
    const image = `data:image/svg+xml,${encodeURIComponent(drawing)}`;
    await page.setContent(
      `<body style="margin:0;height:100vh;display:grid;place-items:center;background:${background}"><img width="${size * scale}" src="${image}">`,
    );
    await page.screenshot({ path: `public/${file}` });
    await page.close();
  }
  await browser.close();
}
