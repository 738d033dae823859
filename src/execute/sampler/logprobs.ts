/** What is told of a draw: log-softmax of the raw logits, before all adjustments. Reference of sample-report.wgsl. */
import type { Logprobs } from './options';

/**
 * @param logits [vocab], as the model gave them
 * @param id what was drawn
 * @param alternatives how many of the likeliest
 */
export function logprobsOf(logits: Float32Array, id: number, alternatives: number): Logprobs {
  const top: number[] = [];
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) {
    largest = Math.max(largest, logits[i]);
    if (top.length === alternatives && (alternatives === 0 || logits[i] <= logits[top[alternatives - 1]])) continue;
    let at = top.length;
    while (at > 0 && logits[top[at - 1]] < logits[i]) at--;
    top.splice(at, 0, i);
    top.length = Math.min(top.length, alternatives);
  }
  let mass = 0;
  for (let i = 0; i < logits.length; i++) mass += Math.exp(logits[i] - largest);
  const all = largest + Math.log(mass);
  const told = (one: number) => ({ id: one, logprob: logits[one] - all });
  return { ...told(id), top: top.map(told) };
}
