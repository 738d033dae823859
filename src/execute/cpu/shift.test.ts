import { f16Table } from '../../formats/half';
import { describeShift } from '../test/shift-cases';
import type { CpuKvCache } from './kv-cache';
import { CPU } from './test/models';

describeShift(
  CPU,
  async (cache, type) => {
    const [{ keys, values }] = (cache as CpuKvCache).rings;
    const numbers = (store: ArrayLike<number>) =>
      Array.from(store, (value) => (type === 'f16' ? f16Table()[value] : value));
    return { keys: numbers(keys), values: numbers(values) };
  },
  1e-6,
  true,
);
