/** Every shader is valid WGSL without a description's help: with its own defaults, and in each of its branches. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { minifyWgsl, namesOfAll, withShortNames } from '../../scripts/bundling/vite-wgsl';
import { Pipelines } from '../gpu/pipelines';
import { type Constants, defaultsOf, preprocess } from '../gpu/preprocess';
import { testGpu } from '../gpu/test-device';
import { INCLUDES } from './includes';

const { device, features } = await testGpu();
/** A flag that needs what not every device has. */
const F16 = 'F16';
const HAS_F16 = features.has('shader-f16');
if (!HAS_F16) console.warn('Not compiled, as this device has no shader-f16: what the flag F16 adds to a shader.');
const shaders = readdirSync('shaders').filter((file) => file.endsWith('.wgsl'));

/** What has to change with a flag. */
const WITH: Record<string, Constants> = {
  KV_INT8: { PACKED: false, UNIT: 4, QUAD_WORDS: 1, LOAD_QUADS: 4, LOAD: 16, OUT_LANES: 4, ELEMENT_WORDS: 1 },
  KV_F32: { PACKED: false, UNIT_WORDS: 2, QUAD_WORDS: 4, LOAD_QUADS: 1, LOAD: 4, ELEMENT_WORDS: 4 },
  VECTORS: { KEY_VECTORS: 1, VALUE_VECTORS: 1, ARRAY_WORDS: 4, ELEMENT_WORDS: 4, PARTS: 2, LOAD: 8 },
  MULTIPLIER: { BIAS: true },
  F16: { TOTALS: true },
  GATED: { SIDES: 2 },
  INT8: { TOTALS: true },
  MERGE: { STAGED: true },
  HALVES: { SCALED: false, QUANTISED: false },
};
/** Kinds of matrices, and what is settled by them. */
const MATRICES: readonly Constants[] = [
  { MATRIX: 'matrix-q4', SCALING: 'scales-nested', ROW_SCALED: false, OFFSET: false },
  { MATRIX: 'matrix-q4', SCALING: 'scales-k', SCALED: true, ROW_SCALED: false, QUANTISED: true, OFFSET: true, UNIT: 1 },
  { MATRIX: 'matrix-q5', SCALED: true, ROW_SCALED: false, QUANTISED: true, OFFSET: true, UNIT: 1 },
  { MATRIX: 'matrix-q6', SCALED: false, ROW_SCALED: false, QUANTISED: false, OFFSET: false, UNIT: 1 },
  { MATRIX: 'matrix-q8' },
  { MATRIX: 'matrix-dense', SCALED: false, ROW_SCALED: false, QUANTISED: false, OFFSET: false, UNIT: 1 },
];

/** Defaults, one flag of them turned over at a time, and the other kinds of matrices with their flags. */
function variants(source: string): Constants[] {
  const flags = (defaults: Constants, settled: Constants = {}) =>
    Object.entries(defaults).flatMap(([name, value]) =>
      typeof value === 'boolean' && !(name in settled) && (name !== F16 || HAS_F16)
        ? [{ ...defaults, [name]: !value, ...WITH[name] }]
        : [],
    );
  const own = defaultsOf(source, INCLUDES);
  const others = 'MATRIX' in own ? MATRICES : [];
  return [
    ...flags(own),
    ...others.flatMap((other) => {
      const scaling = other.SCALING ? defaultsOf(`#include ${other.SCALING}`, INCLUDES) : {};
      const matrix = defaultsOf(source.replace('matrix-q4', String(other.MATRIX)), INCLUDES);
      const defaults = { ...scaling, ...matrix, ...other };
      return [defaults, ...flags(defaults, other)];
    }),
  ];
}

async function errors(code: string): Promise<string[]> {
  device.pushErrorScope('validation');
  const { messages } = await device.createShaderModule({ code }).getCompilationInfo();
  await device.popErrorScope();
  return messages.filter(({ type }) => type === 'error').map(({ lineNum, message }) => `${lineNum}: ${message}`);
}

describe('a shader alone', () => {
  it.each(shaders)('%s is compiled', async (file) => {
    const source = readFileSync(`shaders/${file}`, 'utf8');
    const code = preprocess(source, defaultsOf(source, INCLUDES), INCLUDES);
    expect(await Pipelines.of(device).get({ label: file, code })).toBeInstanceOf(GPUComputePipeline);
  });

  it.each(shaders)('%s is valid in all of its branches', async (file) => {
    const source = readFileSync(`shaders/${file}`, 'utf8');
    for (const constants of variants(source))
      expect(await errors(preprocess(source, constants, INCLUDES)), JSON.stringify(constants)).toEqual([]);
  });
});

describe('a shader as a build has it, with short names', () => {
  const names = namesOfAll();
  const built = (source: string) => withShortNames(minifyWgsl(source), names);
  const library = Object.fromEntries(Object.entries(INCLUDES).map(([name, source]) => [name, built(source)]));

  it('has them', () => {
    expect(names.size).toBeGreaterThan(200);
    expect(new Set(names.values()).size).toBe(names.size);
  });

  it.each(shaders)('%s is valid in all of its branches', async (file) => {
    const source = readFileSync(`shaders/${file}`, 'utf8');
    for (const constants of variants(source))
      expect(await errors(preprocess(built(source), constants, library)), JSON.stringify(constants)).toEqual([]);
  });
});
