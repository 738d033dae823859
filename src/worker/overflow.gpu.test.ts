/** The long conversation of overflow.test.ts on WebGPU. It fails, and does not pass, where there is no adapter. */
import { it } from 'vitest';
import { create, globals } from 'webgpu';
import { expectLongTalk } from './test/long-talk';

Object.assign(globalThis, globals);
const gpu = create([]);

it('keeps answering on the GPU in three times its context, and computes nothing twice', () =>
  expectLongTalk(gpu, { backend: 'webgpu' }));
