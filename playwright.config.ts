import { defineConfig } from '@playwright/test';

/** Needs `npm run build` first. Two files at a time: most of what a page does in a test is waiting. */
export default defineConfig({
  testDir: 'e2e',
  outputDir: 'test-results',
  workers: 2,
  fullyParallel: false,
  // for a test that hangs: stages run side by side, on machines that have other work
  timeout: 600_000,
  expect: { timeout: 180_000 },
  forbidOnly: Boolean(process.env.CI),
  reporter: process.env.PLAYWRIGHT_JSON_OUTPUT_NAME ? [['list'], ['json']] : [['list']],
});
