import { describeShift } from '../test/shift-cases';
import type { CpuKvCache } from './kv-cache';
import { CPU } from './test/models';

describeShift(
  CPU,
  async (cache) => {
    const [{ keys, values }] = (cache as CpuKvCache).rings;
    return { keys: keys.values.buffer as ArrayBuffer, values: values.values.buffer as ArrayBuffer };
  },
  1e-6,
  true,
);
