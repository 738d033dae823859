/** Requests that are answered together on WebGPU. */
import { sharedGpu as gpu } from '../gpu/test-device';
import { SMALL } from './test/tiny';
import { everyKind } from './test/together-cases';

everyKind({ ...SMALL, kv: 'f32', chunk: 16 }, [4], gpu);
