/** What a config.json lets expect of the weights that go with it, before any of their headers is read. */
import { alignedBlock, type MatrixFormat, NF4_CODEBOOK, type TensorInfo } from '../formats/matrix';
import { tensorTable } from './decoder';
import type { ModelSpec } from './spec';

function linearFormat(quantisation: unknown, cols: number): MatrixFormat | null {
  const { load_in_4bit: nf4, load_in_8bit: int8 } = (quantisation ?? {}) as Record<string, unknown>;
  const block = nf4 === true ? alignedBlock(64, cols) : null;
  if (block) return { type: 'q4', block, offset: false, codebook: NF4_CODEBOOK };
  return int8 === true ? { type: 'q8', block: 'row', offset: false } : null;
}

/** By name: linears as `quantization_config` has them, all else in 16 bits. What lies in the files is not known here. */
export function expectedTensors(
  config: { readonly quantization_config?: unknown },
  spec: ModelSpec,
): Map<string, TensorInfo> {
  return new Map(
    tensorTable(spec).map(({ name, rows, cols }) => {
      const linear = /_proj\.weight$/.test(name) ? linearFormat(config.quantization_config, cols) : null;
      const stored = linear === null ? 'bf16' : linear.type === 'q4' ? 'nf4' : 'int8';
      return [name, { name, rows, cols, stored, format: linear ?? { type: 'bf16' }, storedBytes: 0 }];
    }),
  );
}
