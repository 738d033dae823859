/** What a load remembers of kernels, and what it makes of a memory that is wrong. */
import { afterEach, describe, expect, it } from 'vitest';
import type { Choice } from '../execute/gpu/tune/tune';
import { sharedGpu } from '../gpu/test-device';
import { createMemoryStore, type ModelStore } from '../store/chunk-store';
import { createSession, type Session } from './session';
import { ask, certain, chats, host, load } from './test/tiny';

/** SwiftShader, which says that it is a real GPU: of those kernels are tried. */
const gpu = {
  async requestAdapter() {
    const adapter = (await sharedGpu.requestAdapter()) as GPUAdapter;
    const info = {
      vendor: 'a test',
      architecture: '',
      device: '',
      description: '',
      subgroupMinSize: 4,
      subgroupMaxSize: 4,
    };
    return Object.defineProperty(adapter, 'info', { value: info });
  },
} as GPU;

/** A device that has some of its members otherwise. */
function changed(device: GPUDevice, own: Record<PropertyKey, unknown>): GPUDevice {
  return new Proxy(device, {
    get(_, name) {
      const value = own[name] ?? Reflect.get(device, name, device);
      return typeof value === 'function' && !(name in own) ? value.bind(device) : value;
    },
  });
}

/** A device that fails, while it is to, when attention with subgroups is tried on it, which turns no heads. */
function losing(device: GPUDevice, fails: () => boolean): GPUDevice {
  const events = new EventTarget();
  const createShaderModule = (descriptor: GPUShaderModuleDescriptor) => {
    const { code } = descriptor;
    if (fails() && code.includes('enable subgroups') && !code.includes('sin_cos'))
      events.dispatchEvent(Object.assign(new Event('uncapturederror'), { error: { message: 'gone' } }));
    return device.createShaderModule(descriptor);
  };
  return changed(device, { createShaderModule, addEventListener: events.addEventListener.bind(events) });
}

/** A device whose products all leave out their last row. */
const wrong = (device: GPUDevice): GPUDevice =>
  changed(device, {
    createShaderModule: (descriptor: GPUShaderModuleDescriptor) =>
      device.createShaderModule({
        ...descriptor,
        code: descriptor.code.replace(/if \(row >= (\d+)u\)/, 'if (row + 1u >= $1u)'),
      }),
  });

/** As `gpu`, with devices that are made otherwise. */
const giving = (made: (device: GPUDevice) => GPUDevice) =>
  ({
    async requestAdapter() {
      const adapter = await gpu.requestAdapter();
      const request = adapter!.requestDevice.bind(adapter);
      return Object.defineProperty(adapter!, 'requestDevice', {
        value: async (descriptor: GPUDeviceDescriptor) => made(await request(descriptor)),
      });
    },
  }) as GPU;

const AUTO = { backend: 'webgpu', tune: 'auto', kv: 'f32' } as const;
const ROLES = ['attn', 'decodeAttention', 'few', 'gateUp', 'head', 'matmul', 'mlp', 'prefillAttention', 'qkv'];

const open: Session[] = [];
afterEach(async () => {
  for (const session of open.splice(0)) await session.dispose();
});

/** What is kept, by device. */
function recording(): { store: ModelStore; kept: Map<string, unknown>; puts: () => number } {
  const store = createMemoryStore();
  const kept = new Map<string, unknown>();
  let puts = 0;
  store.tuning = {
    get: async (device) => structuredClone(kept.get(device)),
    put: async (device, record) => {
      puts++;
      kept.set(device, structuredClone(record));
    },
  };
  return { store, kept, puts: () => puts };
}

/** Loads, and answers as transformers does. */
async function loaded(store: ModelStore, userAgent = '') {
  const session = createSession({ ...host({ gpu, store }), machine: { memory: null, userAgent } });
  open.push(session);
  const { info } = await load(session, AUTO);
  const right = certain(chats[0]);
  const { result } = await ask(session, { messages: chats[0].messages }, { maxNewTokens: right.length });
  expect(result.ids).toEqual(right);
  return info;
}

interface Kept {
  rejected: Record<string, string>;
  trying: string;
  left: number;
  models: Record<string, Choice>;
}

describe('kernels of a load', () => {
  it('are checked and told of, and kept by what the browser tells; another browser begins anew', async () => {
    const { store, kept, puts } = recording();
    const info = await loaded(store, 'Browser 1');
    expect(info.tuning).toEqual({ how: 'timed in part', ms: expect.any(Number), rejected: {} });
    expect(Object.keys(info.variants).sort()).toEqual([...ROLES, 'shapes']);
    const [[device, record]] = kept as Map<string, Kept>;
    expect(device).toContain('Browser 1');
    expect(record).toMatchObject({ rejected: {}, trying: '' });
    expect(Object.keys(Object.values(record.models)[0]).sort()).toEqual(ROLES);
    // what was checked before is not marked as tried again
    const before = puts();
    await loaded(store, 'Browser 1');
    expect(puts() - before).toBe(2);
    await loaded(store, 'Browser 2');
    expect(kept.size).toBe(2);
  });

  it.each<[string, unknown]>([
    ['no object', 'x'],
    ['of other types', { rejected: [3], trying: 1, left: 'x', models: null }],
    ['of shapes that there are not', { rejected: {}, trying: '', left: 0, models: 'all' }],
  ])('are the profile’s where what was kept is damaged: %s', async (_, damaged) => {
    const { store, kept } = recording();
    store.tuning.get = async () => damaged;
    expect((await loaded(store)).tuning).toMatchObject({ rejected: {} });
    expect([...kept.values()][0]).toMatchObject({ rejected: {}, trying: '' });
  });

  it('of a store that fails, and names that there are not, do no harm', async () => {
    const { store } = recording();
    const choice = Object.fromEntries(ROLES.map((role) => [role, { name: 'of another version', ms: 1 }]));
    store.tuning.get = async () => ({ rejected: {}, trying: '', left: 0, models: { any: choice } });
    store.tuning.put = async () => {
      throw new Error('full');
    };
    expect((await loaded(store)).tuning).toMatchObject({ rejected: {} });
    store.tuning.get = async () => {
      throw new Error('broken');
    };
    expect((await loaded(store)).tuning).toMatchObject({ rejected: {} });
  });

  it('that were rejected before are not used, and neither is one under which two loads ended', async () => {
    const { store, kept } = recording();
    const { variants } = await loaded(store);
    const [device] = kept.keys();
    const mlp = `mlp ${variants.mlp}`;
    const head = `head ${variants.head}`;
    kept.set(device, { rejected: { [mlp]: 'nonsense' }, trying: head, left: 1, models: {} });
    const once = await loaded(store);
    expect(once.tuning!.rejected).toEqual({ [mlp]: 'nonsense' });
    expect(once.variants.mlp).not.toBe(variants.mlp);
    expect(once.variants.head).toBe(variants.head);
    kept.set(device, { rejected: {}, trying: head, left: 2, models: {} });
    const twice = await loaded(store);
    expect(twice.tuning!.rejected).toEqual({ [head]: 'It was being tried when 2 loads ended.' });
    expect(twice.variants.head).not.toBe(variants.head);
    // for good
    expect((await loaded(store)).tuning!.rejected).toHaveProperty([head]);
  });

  it('under which the device is lost are named, and the next load does without them', async () => {
    const { store, kept } = recording();
    let fails = true;
    const failing = giving((device) => losing(device, () => fails));
    const session = createSession(host({ gpu: failing, store }));
    open.push(session);
    await expect(load(session, AUTO)).rejects.toMatchObject({ code: 'device-lost' });
    const [{ rejected }] = [...kept.values()] as Kept[];
    const [[name, why]] = Object.entries(rejected);
    expect(name).toMatch(/^decodeAttention lanes .* subgroups/);
    expect(why).toContain('The graphics device was lost while it was tried (The graphics device refused a call (gone)');
    fails = false;
    const { tuning, variants } = (await load(session, AUTO)).info;
    expect(Object.keys(tuning!.rejected)).toEqual([name]);
    expect(variants.decodeAttention).not.toContain('subgroups');
  });

  it('that are all wrong give way to the CPU, which says why', async () => {
    const { store } = recording();
    const session = createSession(host({ gpu: giving(wrong), store }));
    open.push(session);
    await expect(load(session, AUTO)).rejects.toMatchObject({
      code: 'webgpu-unavailable',
      details: { role: 'gateUp' },
    });
    const { info, progress } = await load(session, { ...AUTO, backend: 'auto' });
    expect(info.backend).toBe('cpu');
    expect(info.backendReason).toContain('The CPU answers, because the GPU does not: ');
    expect(info.backendReason).toContain('gateUp');
    expect(progress.map(({ note }) => note)).toContain('The GPU cannot compute this model: it is loaded for the CPU.');
    const right = certain(chats[0]);
    const { result } = await ask(session, { messages: chats[0].messages }, { maxNewTokens: right.length });
    expect(result.ids).toEqual(right);
  });

  it('are not tried on a software adapter', async () => {
    const session = createSession(host({ gpu: sharedGpu }));
    open.push(session);
    const { info } = await load(session, AUTO);
    expect([info.tuning, info.variants]).toEqual([null, { shapes: 'software' }]);
  });

  it('are not chosen where they are named, and the profile’s are taken unchecked with off', async () => {
    for (const tune of ['off', 'small']) {
      const session = createSession(host({ gpu }));
      open.push(session);
      const { info } = await load(session, { ...AUTO, tune });
      expect([info.tuning, info.variants]).toEqual([null, { shapes: tune === 'off' ? 'gpu' : 'small' }]);
    }
  });
});
