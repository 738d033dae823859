/** log softmax(logits)[id]: the natural logarithm of an id's probability. */
export function logProbability(logits: Float32Array, id: number): number {
  let top = Number.NEGATIVE_INFINITY;
  for (const value of logits) if (value > top) top = value;
  let sum = 0;
  for (const value of logits) sum += Math.exp(value - top);
  return logits[id] - top - Math.log(sum);
}
