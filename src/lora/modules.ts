/** Which modules of a model may have an adapter, by the name that PEFT knows them by. Pure. */
import type { Step } from '../model/steps';

/** A module's place in the list of steps. */
export interface Place {
  module: string;
  step: number;
  /** outputs and inputs; of the embedding, its width and the vocabulary */
  rows: number;
  cols: number;
  /** first row within the step's output */
  outputRow: number;
  hasBias: boolean;
  kind: 'linear' | 'embedding';
  /** the step caps its output (Gemma 2's head), so that nothing can be added afterwards */
  capped: boolean;
}

/**
 * A module's name without the wrappers that differ between versions and between text-only and multimodal classes:
 * `base_model.model.model.language_model.layers.0.mlp.up_proj` and `model.layers.0.mlp.up_proj` are both
 * `layers.0.mlp.up_proj`. Towers for other media keep their own names and so match nothing.
 */
export const moduleName = (path: string): string => path.replace(/^(?:(?:base_model|model|language_model)\.)+/, '');

export function adaptableModules(steps: readonly Step[]): Map<string, Place> {
  const places = new Map<string, Place>();
  for (const [index, step] of steps.entries()) {
    if (step.op === 'embed') {
      const module = moduleName(step.table.replace(/\.weight$/, ''));
      places.set(module, {
        module,
        step: index,
        rows: step.width,
        cols: step.rows,
        outputRow: 0,
        hasBias: false,
        kind: 'embedding',
        capped: false,
      });
    }
    if (step.op !== 'linear') continue;
    let outputRow = 0;
    for (const { name, rows, bias } of step.parts) {
      // A tied head computes with the embedding's table but is a module of its own.
      const module = step.out === 'logits' ? 'lm_head' : moduleName(name.replace(/\.weight$/, ''));
      places.set(module, {
        module,
        step: index,
        rows,
        cols: step.cols,
        outputRow,
        hasBias: bias !== null,
        kind: 'linear',
        capped: step.softcap !== null,
      });
      outputRow += rows;
    }
  }
  return places;
}
