/** load()'s `activations`: what of it is in effect, and that what fails is done without. */
import { afterEach, expect, it } from 'vitest';
import { sharedGpu } from '../gpu/test-device';
import type { EngineOptions } from '../protocol';
import { createSession, type Session } from './session';
import { ask, certain, chats, host, load, SMALL } from './test/tiny';

const open: Session[] = [];
afterEach(async () => {
  for (const session of open.splice(0)) await session.dispose();
});

async function loaded(options: EngineOptions, gpu: GPU | null = sharedGpu) {
  const session = createSession(host({ gpu }));
  open.push(session);
  const { info } = await load(session, options);
  const { result } = await ask(session, { messages: chats[0].messages }, { maxNewTokens: 12 });
  return { info, ids: result.ids, right: certain(chats[0]).slice(0, 12) };
}

/** SwiftShader without something. */
const lacking = (more: Partial<GPU>): GPU => Object.assign(Object.create(sharedGpu), more) as GPU;

it('int8 is in effect on a GPU with integer dot products, and told', async () => {
  const { info, ids } = await loaded({ ...SMALL, activations: 'int8' });
  expect(info.options.activations).toBe('int8');
  expect(info.activationsReason).toBeUndefined();
  expect(info.variants).toEqual({ shapes: 'small', matmul: 'int8' });
  expect(ids).toHaveLength(12);
});

it.each<[string, EngineOptions, GPU | null, RegExp]>([
  ['the CPU', { backend: 'cpu' }, null, /GPU/],
  ['a GPU without', SMALL, lacking({ wgslLanguageFeatures: new Set() as never }), /packed_4x8_integer_dot_product/],
  ['weights of 32 bits', { ...SMALL, weights: 'f32' }, sharedGpu, /8 bits or fewer/],
])('on %s it is auto, with the reason', async (_, options, gpu, reason) => {
  const { info, ids, right } = await loaded({ ...options, activations: 'int8' }, gpu);
  expect(info.options.activations).toBe('auto');
  expect(info.activationsReason).toMatch(reason);
  if (!options.weights) expect(ids.slice(0, right.length)).toEqual(right);
});

it('a feature that is listed and fails is done without, which is told', async () => {
  const failing = lacking({
    async requestAdapter() {
      const adapter = (await sharedGpu.requestAdapter()) as GPUAdapter;
      const own = adapter.requestDevice.bind(adapter);
      adapter.requestDevice = async (descriptor) => {
        const device = await own(descriptor);
        return new Proxy(device, {
          get(_, name) {
            if (name === 'createShaderModule')
              return (given: GPUShaderModuleDescriptor) =>
                device.createShaderModule({ ...given, code: given.code.replace(/dot4I8Packed/g, 'noSuchFunction') });
            const value = Reflect.get(device, name, device);
            return typeof value === 'function' ? value.bind(device) : value;
          },
        });
      };
      return adapter;
    },
  });
  const { info, ids, right } = await loaded({ ...SMALL, activations: 'int8' }, failing);
  expect(info.variants.matmul).toMatch(/exact, as int8 fails here: .*noSuchFunction/s);
  expect(ids.slice(0, right.length)).toEqual(right);
});

it('f32 has exact products on the CPU, too', async () => {
  const { info, ids, right } = await loaded({ backend: 'cpu', activations: 'f32' }, null);
  expect(info.options.activations).toBe('f32');
  expect(ids.slice(0, right.length)).toEqual(right);
});
