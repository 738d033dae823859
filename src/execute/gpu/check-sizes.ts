/** Whether a model's sizes are those that the kernels can work with. */
import { NibbleError } from '../../errors';
import type { ModelSpec } from '../../model/spec';

/**
 * Kernels read activations four at a time.
 * @throws unsupported-architecture for a model whose sizes do not allow that, with the sizes
 */
export function checkSizes({ width, headSize, mlpWidth }: ModelSpec): void {
  if ([width, headSize, mlpWidth].every((size) => size % 4 === 0)) return;
  throw new NibbleError(
    'unsupported-architecture',
    `The GPU's kernels need sizes that are multiples of 4; this model has a width of ${width}, heads of ${headSize} and an MLP of ${mlpWidth}. Use backend "cpu".`,
    { width, headSize, mlpWidth },
  );
}
