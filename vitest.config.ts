import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';
import { simd } from './scripts/bundling/vite-simd.ts';
import { wgsl } from './scripts/bundling/vite-wgsl.ts';
import {
  COMPILE_FLAG,
  findChromium,
  QUIET_FLAGS,
  vulkanEnvironment,
  WEBGPU_FLAGS,
  WEBGPU_IGNORED,
} from './scripts/testing/chromium.ts';

const executable = await findChromium();
// Before the workers are forked: Vulkan's loader reads it when a process starts.
Object.assign(process.env, vulkanEnvironment(executable));

const BROWSER = 'src/**/*.browser.test.ts';
const GPU = 'src/**/*.gpu.test.ts';

const LIBRARIES = ['@huggingface/tokenizers', '@noble/hashes/sha2.js', 'comlink', 'idb-keyval', 'lit', 'marked'];

// How long a test may take is for one that hangs: stages run side by side, on machines that have other work.
export default defineConfig({
  plugins: [simd(), wgsl()],
  test: {
    // runs side by side would write it over each other
    cache: false,
    setupFiles: ['scripts/testing/vitest-setup.ts'],
    expect: { poll: { timeout: 60_000, interval: 20 } },
    projects: [
      {
        extends: true,
        test: {
          name: 'node',
          include: ['src/**/*.test.ts', 'scripts/**/*.test.ts'],
          exclude: [BROWSER, GPU],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        // On Dawn in Node. One process and one file at a time: SwiftShader takes every core, and kernels are compiled
        // once.
        extends: true,
        test: {
          name: 'gpu',
          include: [GPU],
          pool: 'forks',
          fileParallelism: false,
          isolate: false,
          testTimeout: 600_000,
          hookTimeout: 600_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        // Found late, a dependency would reload the page in the middle of a test.
        optimizeDeps: { include: [...LIBRARIES, 'lit/decorators.js', 'fast-check'] },
        test: {
          name: 'browser',
          include: [BROWSER],
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 180_000,
          sequence: { groupOrder: 2 },
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: playwright({
              launchOptions: {
                executablePath: executable ?? undefined,
                args: [...QUIET_FLAGS, ...WEBGPU_FLAGS, COMPILE_FLAG],
                ignoreDefaultArgs: WEBGPU_IGNORED,
              },
            }),
            instances: [{ browser: 'chromium' }],
          },
        },
      },
    ],
  },
});
