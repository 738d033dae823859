/** The final norm by itself, for every row of a pass. */
import { normKernel } from '../../kernels/norm';
import type { StepOf } from '../../model/steps';
import type { LowerOptions } from './lower';
import { type Op, op } from './op';

/** @returns what a model's head reads, where nobody reads it through the head */
export function lowerHidden({ model, adapters }: Pick<LowerOptions, 'model' | 'adapters'>): Op {
  const step = model.steps.findLast((step) => step.op === 'norm') as StepOf<'norm'>;
  const weight = adapters.get(step)?.vectors.get(step.weight)?.name ?? step.weight;
  const kernel = normKernel(step.width, step.eps, step.offset);
  return op(kernel, { x: step.in, norm_weight: weight, out: step.out, state: 'state' }, (tokens) => [tokens]);
}
