/** Which modules of a model an adapter may change, by the name that PEFT knows them by. Pure. */
import type { Step } from '../model/steps';

/** A module that an adapter may target, and where it stands in the list of steps. */
export interface TargetModule {
  module: string;
  step: number;
  /** the model's tensor; a tied head's is the embedding's */
  tensor: string;
  /** outputs and inputs; of the embedding, its width and the vocabulary; of a norm, 1 and its width */
  rows: number;
  cols: number;
  /** first row within the step's output */
  outputRow: number;
  hasBias: boolean;
  kind: 'linear' | 'embedding' | 'norm';
  /** the step caps its output (Gemma 2's head), so that nothing can be added afterwards */
  capped: boolean;
}

/**
 * A module's name without the wrappers that differ between versions and between text-only and multimodal classes:
 * `base_model.model.model.language_model.layers.0.mlp.up_proj` and `model.layers.0.mlp.up_proj` are both
 * `layers.0.mlp.up_proj`. Towers for other media keep their own names and so match nothing.
 */
export const moduleName = (path: string): string => path.replace(/^(?:(?:base_model|model|language_model)\.)+/, '');

/** @param spec the sizes of norms over q and k */
export function adaptableModules(
  steps: readonly Step[],
  { heads, kvHeads, headSize }: { heads: number; kvHeads: number; headSize: number },
): Map<string, TargetModule> {
  const targets = new Map<string, TargetModule>();
  const add = (step: number, tensor: string, rows: number, cols: number, more: Partial<TargetModule> = {}) => {
    const module = moduleName(tensor.replace(/\.weight$/, ''));
    const plain = { module, outputRow: 0, hasBias: false, kind: 'linear', capped: false } as const;
    const target: TargetModule = { ...plain, step, tensor, rows, cols, ...more };
    targets.set(target.module, target);
  };
  for (const [index, step] of steps.entries()) {
    if (step.op === 'embed') add(index, step.table, step.width, step.rows, { kind: 'embedding' });
    if (step.op === 'norm') add(index, step.weight, 1, step.width, { kind: 'norm' });
    if (step.op === 'rotate' && step.qNorm && step.kNorm) {
      const [q, k] = step.normOver === 'head' ? [1, 1] : [heads, kvHeads];
      add(index, step.qNorm, 1, q * headSize, { kind: 'norm' });
      add(index, step.kNorm, 1, k * headSize, { kind: 'norm' });
    }
    if (step.op !== 'linear') continue;
    let outputRow = 0;
    for (const { name, rows, bias } of step.parts) {
      // A tied head computes with the embedding's table but is a module of its own.
      const module = step.out === 'logits' ? { module: 'lm_head' } : {};
      add(index, name, rows, step.cols, {
        outputRow,
        hasBias: bias !== null,
        capped: step.softcap !== null,
        ...module,
      });
      outputRow += rows;
    }
  }
  return targets;
}
