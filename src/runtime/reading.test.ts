import { describe } from 'vitest';
import { readsAsTransformersDoes } from './test/reading-cases';

describe.each([
  ['one pass a text', {}],
  ['passes of five tokens', { chunk: 5 }],
] as const)('on the CPU, %s', (_, more) => readsAsTransformersDoes({ backend: 'cpu', ...more }));
