/** Runs a prompt on a loaded model, for comparison with what a reference said. */
import { runPrompt } from '../../node/run-prompt';
import type { Model } from '../model';

const GREEDY = { temperature: 0, topK: 0, topP: 1, seed: 0 };

/** Logits after the prompt, and greedy ids that ignore the end of text. */
export async function answerOf(model: Model, ids: readonly number[], newTokens: number) {
  const cache = await runPrompt(model, ids, undefined, newTokens);
  const logits = (await model.executor.logits()).slice();
  const decoded: number[] = [];
  for await (const id of model.executor.decode(cache, ids.length, newTokens, GREEDY)) decoded.push(id);
  return { logits, ids: decoded };
}
