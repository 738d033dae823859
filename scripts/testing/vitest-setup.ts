/**
 * Before every test file: how long `vi.waitFor` waits is for what never comes, as the other limits of vitest.config.ts.
 */
import { vi } from 'vitest';

const { waitFor } = vi;
vi.waitFor = (callback, options) =>
  waitFor(callback, {
    timeout: 60_000,
    interval: 20,
    ...(typeof options === 'number' ? { timeout: options } : options),
  });
