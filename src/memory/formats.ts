/**
 * Which type each tensor of a checkpoint gets where it is computed with. Pure.
 *
 * 'keep' (default): a checkpoint with quantised tensors runs as it is, 16-bit modules included; one without becomes
 * NF4, embedding included. 'nf4' and 'q8' ask for another rounding of what is not that small already, 'f16' and 'f32'
 * for all of it at that size.
 */
import { NibbleError } from '../errors';
import { alignedBlock, type MatrixFormat, NF4_CODEBOOK, type TensorInfo } from '../formats/matrix';

export type WeightsOption = 'keep' | 'nf4' | 'q8' | 'f16' | 'f32';

const nf4 = (cols: number): MatrixFormat | null => {
  const block = alignedBlock(64, cols);
  return block === 64 ? { type: 'q4', block, offset: false, codebook: NF4_CODEBOOK } : null;
};

/**
 * The type of every matrix in `names`, by tensor name.
 * @param keep parts of names: such a matrix stays as it is stored
 * @throws invalid-option when one of them is in no name
 */
export function chooseFormats(
  tensors: ReadonlyMap<string, TensorInfo>,
  names: Iterable<string>,
  weights: WeightsOption,
  keep: readonly string[] = [],
): Map<string, MatrixFormat> {
  const quantised = [...tensors.values()].some((t) => t.format.type === 'q4' || t.format.type === 'q8');
  const chosen = new Map<string, MatrixFormat>();
  const unused = new Set(keep);
  for (const name of names) {
    const info = tensors.get(name);
    const kept = keep.filter((part) => name.includes(part));
    for (const part of kept) unused.delete(part);
    if (info && kept.length > 0) chosen.set(name, info.format);
    else if (info) chosen.set(name, chooseFormat(info, weights === 'keep' && !quantised ? 'nf4' : weights));
  }
  const [missing] = unused;
  if (missing === undefined) return chosen;
  throw new NibbleError('invalid-option', `keep names "${missing}", which is in no name of the model's matrices.`, {
    option: 'keep',
    value: missing,
  });
}

/** Blocks of 64 that straddle rows have no kernel: such a tensor keeps its own type. */
function chooseFormat(info: TensorInfo, weights: WeightsOption): MatrixFormat {
  switch (weights) {
    case 'keep':
      return info.format;
    case 'nf4':
      return info.format.type === 'q4' ? info.format : (nf4(info.cols) ?? info.format);
    case 'q8':
      return info.format.type === 'q4' || info.format.type === 'q8'
        ? info.format
        : { type: 'q8', block: 'row', offset: false };
    default:
      return { type: weights };
  }
}
