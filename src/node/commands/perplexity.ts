/**
 * nibble perplexity: exp of the mean negative log-likelihood of a text, tokenised without special tokens and without
 * BOS, in non-overlapping windows; in each all tokens but the first are predicted; a shorter last window is dropped.
 */
import { NibbleError } from '../../errors';
import type { Model } from '../../runtime/model';
import { tokenizerOf } from '../../runtime/prompt';
import type { Arguments } from '../arguments';
import { readInput } from '../input-file';
import { open } from '../open';
import { reserveFor } from '../run-prompt';
import { log, print } from '../terminal';

/** @param onWindow told after each window how many are done, and the perplexity so far */
export async function measure(
  model: Model,
  ids: readonly number[],
  window: number,
  windows: number,
  onWindow: (done: number, perplexity: number) => void = () => {},
): Promise<{ perplexity: number; tokens: number }> {
  let sum = 0;
  let tokens = 0;
  for (let w = 0; w < windows; w++) {
    const part = ids.slice(w * window, (w + 1) * window);
    const cache = await reserveFor(model, window, 1);
    const [logProbs] = await model.executor.score([{ cache, ids: part, start: 0 }]);
    for (const logProb of logProbs) sum -= logProb;
    tokens += logProbs.length;
    onWindow(w + 1, Math.exp(sum / tokens));
  }
  return { perplexity: Math.exp(sum / tokens), tokens };
}

export async function perplexity(args: Arguments): Promise<void> {
  const file = args.required('file');
  const window = args.count('window', 1024, 2);
  const bytes = await readInput(args, 'file', file);
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  const { session } = await open(args, args.positional(0, 'MODEL'));
  const model = session.model();
  const ids = tokenizerOf(model).encode(text, { special: false, bos: false });
  const windows = Math.min(Math.floor(ids.length / window), args.count('windows', Number.MAX_SAFE_INTEGER));
  if (windows === 0) {
    throw new NibbleError('invalid-option', `${file} has ${ids.length} tokens, fewer than one window of ${window}.`, {
      tokens: ids.length,
      window,
    });
  }
  const result = await measure(model, ids, window, windows, (w, soFar) =>
    log(args, `window ${w} of ${windows}: ${soFar.toFixed(4)}`),
  );
  await print(args, result, () => `perplexity ${result.perplexity.toFixed(4)} over ${result.tokens} tokens`);
  await session.dispose();
}
