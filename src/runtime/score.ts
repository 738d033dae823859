/** How likely the model finds given texts. */
import { checkHead, checkIds } from '../execute/check-prompt';
import type { ScoreRequest, TextScore } from '../protocol';
import type { Model } from './model';
import { idsOfText, readTexts } from './read-texts';

/**
 * @returns of each text, in their order
 * @throws invalid-option for texts without tokens and ids that there are not; context-overflow, out-of-memory, aborted
 */
export async function score(
  model: Model,
  { texts }: Pick<ScoreRequest, 'texts'>,
  signal: AbortSignal,
): Promise<TextScore[]> {
  const { spec } = model.graph;
  checkHead(spec);
  const all: number[][] = [];
  for (const text of texts) {
    const ids =
      typeof text === 'string' ? await idsOfText(model, text, { special: true, bos: true }, signal) : [...text];
    all.push(checkIds(ids, spec.vocab));
  }
  const { found } = await readTexts(model, all, { shares: false, tells: true }, (some) =>
    model.executor.score(some, { signal }),
  );
  return found.map((logProbs, i) => ({ ids: all[i], logProbs, sum: logProbs.reduce((sum, value) => sum + value, 0) }));
}
