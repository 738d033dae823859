import { describe } from 'vitest';
import { sharedGpu } from '../gpu/test-device';
import { readsAsTransformersDoes } from './test/reading-cases';
import { SMALL } from './test/tiny';

describe('on WebGPU, in passes of thirty tokens', () => readsAsTransformersDoes({ ...SMALL, chunk: 30 }, sharedGpu));
