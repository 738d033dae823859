/** How far the logits of two ways to compute a model are apart on a text: for benches of rounding. */
import { largestDifference } from '../src/execute/cpu/test/models';
import { argmax } from '../src/execute/sampler/chain';
import { logprobsOf } from '../src/execute/sampler/logprobs';
import { median } from '../src/node/median';

export const scaleOf = (logits: Float32Array) => logits.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

/**
 * @param ids the text, and rows the logits after each of them, exact and rounded
 * @returns the largest difference by token in units of the scale, the perplexity of each way, and how often the largest
 * logit is another
 */
export async function compare(
  ids: readonly number[],
  exact: AsyncIterable<Float32Array>,
  rounded: AsyncIterable<Float32Array>,
) {
  const sums = [0, 0];
  const apart: number[] = [];
  let other = 0;
  const rows = rounded[Symbol.asyncIterator]();
  let step = 0;
  for await (const right of exact) {
    const row = (await rows.next()).value as Float32Array;
    apart.push(largestDifference(row, right) / scaleOf(right));
    if (argmax(row) !== argmax(right)) other++;
    if (++step === ids.length) break;
    for (const [i, logits] of [right, row].entries()) sums[i] -= logprobsOf(logits, ids[step], 0).logprob;
  }
  return { apart, other, perplexities: sums.map((sum) => Math.exp(sum / (ids.length - 1))) };
}

/** Says it. @returns the largest difference, and how far the perplexities are apart */
export function tell({ apart, other, perplexities }: Awaited<ReturnType<typeof compare>>) {
  const off = Math.abs(perplexities[1] / perplexities[0] - 1);
  const most = Math.max(...apart);
  const far = `${median(apart).toExponential(1)} (median), ${most.toExponential(1)} (most)`;
  console.log(`logits apart, of their scale: ${far}; another largest one: ${other} times`);
  console.log(`perplexity: ${perplexities.map((p) => p.toFixed(4)).join(', ')}: ${(100 * off).toFixed(4)} %`);
  return { most, off };
}
