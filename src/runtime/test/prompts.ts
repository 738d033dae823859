/** What a reference said about a prompt, and how near to it an answer must be. */

export interface Prompt {
  text: string;
  ids: number[];
  /** decoded ids that ignore the end of text, and by how much each won */
  greedy: number[];
  /** the same as text */
  greedyText: string;
  margins: number[];
  /** largest magnitude of the logits after the prompt */
  logitScale: number;
  /** the largest of them, and perhaps others, */
  top: { ids: number[]; values: number[] };
  /** or all, where they are kept */
  logits: Float32Array | null;
}

/** Largest difference from what is known of the logits, in units of their scale. */
export function difference(actual: Float32Array, { logits, top, logitScale }: Prompt): number {
  const pairs = logits ? Array.from(logits, (value, id) => [id, value]) : top.ids.map((id, i) => [id, top.values[i]]);
  return Math.max(...pairs.map(([id, value]) => Math.abs(actual[id] - value))) / logitScale;
}

/** How many greedy ids must be equal: up to the first step whose margin is under twice the tolerance. */
export function sureSteps({ margins, logitScale }: Prompt, tolerance: number): number {
  const close = margins.findIndex((margin) => margin < 2 * tolerance * logitScale);
  return close < 0 ? margins.length : close;
}
