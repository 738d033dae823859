/** What a person may set for a conversation. What is absent is the model's own, or the page's. */
import type { GenerateResult, SamplingOptions } from '../../protocol';

export interface ChatSettings
  extends Pick<
    SamplingOptions,
    'temperature' | 'topP' | 'minP' | 'repetitionPenalty' | 'maxNewTokens' | 'overflow' | 'seed'
  > {
  /** whether a model that can thinks before it answers; absent: as its template does */
  thinking?: boolean;
  /** the system prompt; '' or absent: none */
  system?: string;
}

/** How an answer is drawn that is to be another one, where nothing is set that draws: the likeliest is what it was. */
const ANEW: SamplingOptions = { temperature: 0.8, topP: 0.95 };

/** Against an answer that repeats itself: no sequence of three tokens becomes much longer than it was before (DRY). */
const AGAINST_LOOPS: SamplingOptions = { repetitionPenalty: 1.15, dryMultiplier: 0.8 };

/** How an answer differs from the next one that would be given. */
export interface AnswerChange {
  /** drawn, with another seed */
  anew?: boolean;
  /** with a penalty for what was said before */
  penalty?: boolean;
}

/**
 * How the next answer is made.
 * @param sampling of every conversation
 * @param last tells what the model's own defaults are
 */
export function samplingOf(
  sampling: SamplingOptions,
  { thinking, system: _, ...settings }: ChatSettings,
  { anew, penalty }: AnswerChange = {},
  last: GenerateResult | null = null,
): SamplingOptions {
  const set = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
  const made: SamplingOptions = { overflow: 'shift', ...sampling, ...set };
  if (thinking !== undefined) made.templateOptions = { ...sampling.templateOptions, enable_thinking: thinking };
  if (penalty) Object.assign(made, AGAINST_LOOPS);
  if (!anew) return made;
  const { seed: _seed, ...drawn } = made;
  const temperature = drawn.temperature ?? last?.options?.temperature ?? 0;
  return temperature > 0 ? drawn : { ...drawn, ...ANEW };
}
