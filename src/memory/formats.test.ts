import { describe, expect, it } from 'vitest';
import { type MatrixFormat, NF4_CODEBOOK, type TensorInfo } from '../formats/matrix';
import { chooseFormats, type WeightsOption } from './formats';

const Q8: MatrixFormat = { type: 'q8', block: 32, offset: false };
const Q4: MatrixFormat = { type: 'q4', block: 32, offset: true, codebook: NF4_CODEBOOK };
const BF16: MatrixFormat = { type: 'bf16' };

function types(checkpoint: Record<string, [MatrixFormat, number]>, weights: WeightsOption, keep: string[] = []) {
  const tensors = Object.entries(checkpoint).map(([name, [format, cols]]): [string, TensorInfo] => [
    name,
    { name, rows: 8, cols, stored: 'bf16', format, storedBytes: 0 },
  ]);
  const chosen = chooseFormats(new Map(tensors), Object.keys(checkpoint), weights, keep);
  return [...chosen.values()].map((format) => ('block' in format ? `${format.type}/${format.block}` : format.type));
}

const PLAIN: Record<string, [MatrixFormat, number]> = {
  'model.embed_tokens.weight': [BF16, 128],
  'model.layers.0.mlp.up_proj.weight': [BF16, 128],
  'model.layers.1.mlp.up_proj.weight': [BF16, 96],
  'lm_head.weight': [{ type: 'f32' }, 128],
};

describe('what a matrix becomes', () => {
  it('of a checkpoint of 16 and 32 bits: NF4 where blocks of 64 fit its rows', () => {
    expect(types(PLAIN, 'keep')).toEqual(['q4/64', 'q4/64', 'bf16', 'q4/64']);
    expect(types(PLAIN, 'nf4')).toEqual(types(PLAIN, 'keep'));
    expect(types(PLAIN, 'q8')).toEqual(['q8/row', 'q8/row', 'q8/row', 'q8/row']);
    expect(types(PLAIN, 'f16')).toEqual(['f16', 'f16', 'f16', 'f16']);
  });
  it('of one with quantised tensors: what it is, 16-bit modules included', () => {
    const mixed = { a: [Q8, 128], b: [Q4, 128], c: [BF16, 128] } satisfies typeof PLAIN;
    expect(types(mixed, 'keep')).toEqual(['q8/32', 'q4/32', 'bf16']);
    expect(types(mixed, 'nf4')).toEqual(['q4/64', 'q4/32', 'q4/64']);
    expect(types(mixed, 'q8')).toEqual(['q8/32', 'q4/32', 'q8/row']);
    expect(types(mixed, 'f32')).toEqual(['f32', 'f32', 'f32']);
  });
  it('stays as stored where its name holds a part that is to be kept', () => {
    expect(types(PLAIN, 'nf4', ['lm_head', 'layers.0.mlp'])).toEqual(['q4/64', 'bf16', 'bf16', 'f32']);
    expect(types(PLAIN, 'keep', ['model.'])).toEqual(['bf16', 'bf16', 'bf16', 'q4/64']);
  });
  it('is refused when such a part is in no name', () => {
    expect(() => types(PLAIN, 'nf4', ['lm_head', 'layers.7'])).toThrow(/"layers\.7"/);
  });
});
