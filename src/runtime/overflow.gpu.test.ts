/** The long conversation of overflow.test.ts on WebGPU. It fails, and does not pass, where there is no adapter. */
import { it } from 'vitest';
import { sharedGpu } from '../gpu/test-device';
import { expectLongTalk } from './test/long-talk';
import { SMALL } from './test/tiny';

it('keeps answering on the GPU in three times its context, and computes nothing twice', () =>
  expectLongTalk(sharedGpu, SMALL));
