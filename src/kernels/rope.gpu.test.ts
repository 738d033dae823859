/** The sine and cosine of rotary embeddings (shaders/lib/rope.wgsl) over every position that a model may have. */
import { afterAll, describe, expect, it } from 'vitest';
import rope from '../../shaders/lib/rope.wgsl?raw';
import { preprocess } from '../gpu/preprocess';
import { Lab } from './test/lab';

const PROBE = `
@group(0) @binding(0) var<storage, read> angles: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<vec2f>;
#include rope

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&angles)) {
    out[id.x] = sin_cos(angles[id.x]);
  }
}`;

const lab = await Lab.open();
afterAll(() => lab.dispose());

async function worst(angles: Float32Array): Promise<{ error: number; angle: number }> {
  const out = lab.buffer(angles.length * 8);
  const kernel = { label: 'sin_cos', code: preprocess(PROBE, {}, { rope }), bindings: { angles: 0, out: 1 } };
  await lab.run(kernel, { angles: lab.buffer(angles), out }, [Math.ceil(angles.length / 64)]);
  const got = await lab.floats(out);
  let found = { error: 0, angle: 0 };
  angles.forEach((angle, i) => {
    const error = Math.max(Math.abs(got[2 * i] - Math.sin(angle)), Math.abs(got[2 * i + 1] - Math.cos(angle)));
    if (!(error <= found.error)) found = { error, angle };
  });
  return found;
}

describe('sin_cos', () => {
  it.each([
    ['every whole position up to 131072', (i: number) => i],
    ['frequencies below one', (i: number) => i * 0.7943282],
    ['small angles', (i: number) => i * 1e-5],
    ['neighbours of multiples of pi/2', (i: number) => i * 0.6366197 * (Math.PI / 2)],
    ['quarter turns themselves', (i: number) => (i * Math.PI) / 2 / 1.5708],
  ])('%s', async (_, angle) => {
    const { error } = await worst(Float32Array.from({ length: 131_073 }, (_, i) => angle(i)));
    expect(error).toBeLessThan(3e-7);
  });
  it('stands up without a fused multiply-add, which WGSL does not promise', () => {
    // The reduction in f32 steps that round after every operation, with the shader's own constants.
    const f = Math.fround;
    const steps = [...rope.matchAll(/fma\(-quarter, ([-.e\d]+)/g)].map(([, constant]) => f(Number(constant)));
    expect(steps.length).toBeGreaterThan(2);
    let most = 0;
    for (let position = 0; position <= 131_072; position++) {
      const quarter = Math.round(f(position * f(0.6366197723675814)));
      const r = steps.reduce((rest, constant) => f(rest - f(quarter * constant)), position);
      const exact = position - quarter * (Math.PI / 2);
      most = Math.max(most, Math.abs(r - exact));
    }
    expect(most).toBeLessThan(2e-7);
  });
});
