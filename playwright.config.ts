import { defineConfig } from '@playwright/test';

/** Needs `npm run build` first. One worker: SwiftShader and the CPU backend each take every core. */
export default defineConfig({
  testDir: 'e2e',
  outputDir: 'test-results',
  workers: 1,
  fullyParallel: false,
  // for a test that hangs: stages run side by side, on machines that have other work
  timeout: 600_000,
  expect: { timeout: 180_000 },
  forbidOnly: Boolean(process.env.CI),
  reporter: process.env.PLAYWRIGHT_JSON_OUTPUT_NAME ? [['list'], ['json']] : [['list']],
});
