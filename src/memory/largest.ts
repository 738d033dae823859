/** The largest whole number from 1 to `most` that fits, 0 when none does; what fits, fits when it is smaller, too. */
export function largest(most: number, fits: (n: number) => boolean): number {
  let [low, high] = [0, most];
  // often all of it fits, so that one look is enough
  for (let n = most; low < high; n = Math.ceil((low + high) / 2)) {
    if (fits(n)) low = n;
    else high = n - 1;
  }
  return low;
}
