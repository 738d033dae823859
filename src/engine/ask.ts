/** How an answer begins, wherever the model is: with what was said when it was asked, and with tools in their loop. */
import { BATCH_OPTIONS, TOOL_NAMES } from '../options/load';
import { checkOptions, defaultsOf, refuse } from '../options/spec';
import type { AnswerSource } from '../protocol';
import {
  type Answer,
  AnswerQueue,
  type BatchInput,
  type BatchOptions,
  type GenerateOptions,
  type Push,
} from './answer';
import { inputOf, said } from './asked-input';
import type { Asked } from './request';
import { stoppedBy } from './stoppable';
import type { AskOnce } from './tool-loop';

/** for who has tools */
export const toolLoop = () => import('./tool-loop');

/**
 * Begins an answer: one, or where there are tools as many as they take.
 * @param ask begins each
 */
export function beginAnswer(
  ask: AskOnce,
  input: Asked['input'],
  options: GenerateOptions,
  source?: AnswerSource,
): Answer {
  if (!TOOL_NAMES.some((name) => (options?.[name] ?? null) !== null)) return ask({ input }, options);
  const stopping = new AbortController();
  const begin = async (push: Push) => {
    const { answerWithTools } = await toolLoop();
    const loop = () => answerWithTools(ask, input, options, push, stopping.signal);
    return stoppedBy(options.signal, stopping, loop);
  };
  return new AnswerQueue(begin, stopping, () => 0, source);
}

/**
 * Begins `n` answers of each input.
 * @param begin begins one of them; `together`: so many are computed at once, at most
 * @throws invalid-option for what is no list, and for `n` or `parallel` out of range
 */
export function beginBatch(
  inputs: readonly BatchInput[],
  options: BatchOptions | undefined,
  begin: (asked: Asked['input'], options: GenerateOptions, together: number) => Answer,
): Answer[] {
  if (!Array.isArray(inputs)) refuse('inputs', inputs, 'a list of messages, texts or token ids');
  const { n, parallel, ...each }: BatchOptions & Pick<GenerateOptions, 'made'> = options ?? {};
  if (each.made) refuse('made', each.made, 'left out for several answers');
  const checked = checkOptions<Pick<BatchOptions, 'n' | 'parallel'>>(BATCH_OPTIONS, { n, parallel });
  const { n: count, parallel: together } = { ...defaultsOf(BATCH_OPTIONS), ...checked };
  const { seed } = each;
  return inputs.flatMap((input) => {
    const asked = said(() => inputOf(input));
    return Array.from({ length: count }, (_, i) =>
      begin(asked, typeof seed === 'number' ? { ...each, seed: (seed + i) % 2 ** 32 } : each, together),
    );
  });
}
