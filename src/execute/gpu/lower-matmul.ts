/** A product of many tokens: with the shape for few tokens or for many, whose input may be made int8 before. */
import { int8RowsGroups, int8RowsKernel } from '../../kernels/int8-rows';
import type { LinearFusion } from '../../kernels/linear';
import type { MATMUL, MatmulShape } from '../../kernels/matmul';
import { matmulGroups, matmulKernel, matmulTokens, takesInt8 } from '../../kernels/matmul';
import type { KernelShapes } from '../../kernels/variants';
import { INT8_BUFFER } from '../../memory/gpu-scratch';
import type { DeviceMatrix } from '../../memory/layout';
import type { StepOf } from '../../model/steps';
import { type Buffers, type Op, op } from './op';

/** The most tokens whose products have a shape of their own; 0: none. */
const fewTokens = ({ few }: KernelShapes): number => (few ? matmulTokens(few) : 0);

/** The dispatch that makes a step's input int8, where one of its matrices reads that. */
export const lowerInt8Rows = (step: StepOf<'linear'>, matrices: readonly DeviceMatrix[], shapes: KernelShapes): Op[] =>
  matrices.some((matrix) => takesInt8(matrix, shapes.matmul))
    ? [
        op(int8RowsKernel(step.cols), { x: step.in, out: INT8_BUFFER, state: 'state' }, (tokens) =>
          tokens > fewTokens(shapes) ? int8RowsGroups(step.cols, tokens) : [0],
        ),
      ]
    : [];

/** The dispatches of one matrix, of which one runs. */
export function lowerMatmul(
  matrix: DeviceMatrix,
  fusion: LinearFusion,
  buffers: Buffers<keyof typeof MATMUL.bindings>,
  shapes: KernelShapes,
  label: string,
): Op[] {
  const gated = fusion.gated !== undefined;
  const rows = gated ? matrix.rows / 2 : matrix.rows;
  const most = fewTokens(shapes);
  const one = (shape: MatmulShape, suits: (tokens: number) => boolean) => {
    const bound = takesInt8(matrix, shape) ? { ...buffers, x: INT8_BUFFER } : buffers;
    return op(matmulKernel(matrix, fusion, shape, label), bound, (tokens) =>
      suits(tokens) ? matmulGroups(rows, tokens, gated, shape) : [0],
    );
  };
  const { matmul, few } = shapes;
  return [...(few ? [one(few, (tokens) => tokens <= most)] : []), one(matmul, (tokens) => tokens > most)];
}
