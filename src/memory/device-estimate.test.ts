import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AdapterFacts, type DeviceFacts, estimateDevice } from './device-estimate';

const GIB = 2 ** 30;
const SAFARI = 'AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0';
const IPHONE = `Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) ${SAFARI} Mobile/15E148 Safari/604.1`;
const MAC = `Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) ${SAFARI} Safari/605.1.15`;
const ANDROID = 'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Mobile';
const WINDOWS = 'Windows Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/156.0.0.0 Safari/537.36';
const FIREFOX = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:153.0) Gecko/20100101 Firefox/153.0';

const machine = (userAgent: string, gigabytes: number | null, touch = false): DeviceFacts => ({
  userAgent,
  memory: gigabytes === null ? null : gigabytes * GIB,
  touch,
});
const adapter = (maxBufferSize: number, more: Partial<AdapterFacts> = {}): AdapterFacts => ({
  maxBufferSize,
  isFallback: false,
  vendor: 'maker',
  architecture: 'nova',
  description: '',
  ...more,
});

// Largest buffers by browser and system: see device-estimate.ts.
describe.each<[string, DeviceFacts, AdapterFacts | null, number, RegExp]>([
  ['iPhone', machine(IPHONE, null), adapter(GIB, { vendor: 'apple' }), 1e9, /iOS ends a page.*1\.5 GB/],
  ['iPhone, older', machine(IPHONE, null), adapter(0.25 * GIB), 0.5 * GIB, /twice the largest buffer.*0\.3 GiB/],
  ['iPad that calls itself a Mac', machine(MAC, null, true), adapter(GIB), 1e9, /iOS ends a page/],
  ['Mac, Safari', machine(MAC, null), adapter(GIB), 2 * GIB, /graphics adapter \(maker nova\) takes, 1 GiB/],
  ['Mac, Chrome', machine(MAC.replace('Version', 'Chrome'), 8), adapter(4 * GIB - 4), 4 * GIB, /half of the 8 GiB/],
  ['Android, 4 GiB', machine(ANDROID, 4), adapter(2 * GIB), GIB, /a quarter of the 4 GiB/],
  ['Android, default limits', machine(ANDROID, 8), adapter(0.25 * GIB), 0.5 * GIB, /twice the largest buffer/],
  ['Windows, Chrome', machine(WINDOWS, 8), adapter(2 * GIB), 4 * GIB, /half of the 8 GiB of memory that the browser/],
  ['Windows, 32 GiB told', machine(WINDOWS, 32), adapter(2 * GIB), 4 * GIB, /twice the largest buffer/],
  ['Windows, Firefox', machine(FIREFOX, null), adapter(2 * GIB - 4), 2 * GIB, /does not tell how much memory/],
  ['no GPU, Chrome', machine(WINDOWS, 2), null, GIB, /half of the 2 GiB/],
  [
    'SwiftShader',
    machine(WINDOWS, 8),
    adapter(GIB, { isFallback: true, description: 'SwiftShader driver' }),
    2 * GIB,
    /software adapter \(SwiftShader driver\)/,
  ],
  ['Node without GPU', machine('', 24), null, 12 * GIB, /half of the 24 GiB of memory of this machine/],
])('%s', (_, device, gpu, bytes, reason) => {
  it(`is ${bytes} bytes, and says why`, () => {
    expect(estimateDevice(device, gpu)).toEqual({ bytes, reason: expect.stringMatching(reason) });
    expect(estimateDevice(device, gpu).reason).toMatch(/^An estimate: .*\.$/);
  });
});

const devices = fc.record({
  memory: fc.constantFrom(null, 0.5 * GIB, GIB, 4 * GIB, 32 * GIB),
  userAgent: fc.constantFrom(IPHONE, MAC, ANDROID, WINDOWS, FIREFOX, ''),
  touch: fc.boolean(),
});
const adapters = fc.option(fc.integer({ min: 2 ** 28, max: 2 ** 32 }).map((bytes) => adapter(bytes)));

describe('it is careful', () => {
  it('more memory or larger buffers never make it less, and it is a whole number above 0', () => {
    fc.assert(
      fc.property(devices, adapters, fc.integer({ min: 0, max: 2 ** 34 }), (device, gpu, more) => {
        const { bytes } = estimateDevice(device, gpu);
        expect(Number.isSafeInteger(bytes) && bytes > 0).toBe(true);
        const larger = gpu && { ...gpu, maxBufferSize: gpu.maxBufferSize + more };
        expect(estimateDevice(device, larger).bytes).toBeGreaterThanOrEqual(bytes);
        if (device.memory === null) return;
        const { memory } = device;
        expect(estimateDevice({ ...device, memory: memory + more }, gpu).bytes).toBeGreaterThanOrEqual(bytes);
        expect(bytes).toBeLessThanOrEqual(memory / 2);
      }),
    );
  });
  it('a telephone with the same numbers gets no more than a desktop computer', () => {
    fc.assert(
      fc.property(devices, adapters, (device, gpu) => {
        const phone = (userAgent: string) => estimateDevice({ ...device, userAgent }, gpu).bytes;
        const desktop = estimateDevice({ ...device, userAgent: WINDOWS }, gpu).bytes;
        expect(phone(ANDROID)).toBeLessThanOrEqual(desktop);
        expect(phone(IPHONE)).toBeLessThanOrEqual(desktop);
      }),
    );
  });
});
