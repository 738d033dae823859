/** What a plan means to a person: words, a verdict, and what could be asked for otherwise. */
import type { DeviceEstimate, EngineOptions, PlanChange, PlanInfo, PlanOffer, PlanQuery } from '../../protocol';
import { formatMemory } from '../format';
import type { PhraseName, Say } from '../words/words';

/** English words a token, as tokenizers of these families have it. */
const WORDS_PER_TOKEN = 0.75;
/** Above this part of what a device probably allows, little may go wrong. */
const TIGHT = 0.75;

/** What of load()'s options a person chooses by taking an offer. */
export type ChosenOptions = Pick<EngineOptions, 'kv' | 'kvCapacity' | 'snapshots' | 'chunk' | 'weights' | 'maxContext'>;

/** "about 290 words (384 tokens)" */
export function describeLength(tokens: number, say: Say): string {
  const words = tokens * WORDS_PER_TOKEN;
  const round = words < 1000 ? 10 : 100;
  const rounded = Math.max(round, Math.round(words / round) * round);
  return say('lengthOfChat', { words: rounded, tokens });
}

/** A chat of so many tokens: one half asks, the other answers. */
export function queryFor(tokens: number, chosen: ChosenOptions, memoryBudget: number | null): PlanQuery {
  const maxNewTokens = Math.max(1, Math.floor(tokens / 2));
  return { promptTokens: Math.max(1, tokens - maxNewTokens), maxNewTokens, ...chosen, memoryBudget };
}

export type Verdict = 'fits' | 'tight' | 'over';

/** Whether a plan fits, in one sentence. */
export function judge(
  { fits, peak }: Pick<PlanInfo, 'fits' | 'peak'>,
  budget: number | null,
  device: DeviceEstimate,
  say: Say,
  language = 'en',
): { verdict: Verdict; sentence: string } {
  if (!fits) {
    const own = budget !== null && peak > budget;
    const sentence = own ? say('overLimit', { limit: formatMemory(budget, language) }) : say('overBinding');
    return { verdict: 'over', sentence };
  }
  if (peak > device.bytes) return { verdict: 'over', sentence: say('overDevice') };
  if (peak > TIGHT * device.bytes) return { verdict: 'tight', sentence: say('tightOnDevice') };
  return { verdict: 'fits', sentence: say('itFits') };
}

/** Tokens of the chat that an offer leaves; what it was where the offer is about something else. */
export function offeredTokens({ promptTokens, maxNewTokens }: PlanChange, tokens: number): number {
  if (promptTokens === undefined && maxNewTokens === undefined) return tokens;
  const asked = queryFor(tokens, {}, null);
  return (promptTokens ?? asked.promptTokens) + (maxNewTokens ?? asked.maxNewTokens);
}

/** What taking an offer adds to load()'s options. */
export function takeOffer({ change }: PlanOffer, tokens: number): ChosenOptions {
  const { promptTokens: _, maxNewTokens: __, ...options } = change;
  const left = offeredTokens(change, tokens);
  return left < tokens ? { ...options, maxContext: left } : options;
}

const KV_NAMES: Record<string, PhraseName> = { f16: 'cacheOf16', f32: 'cacheOf32', int8: 'cacheOf8' };

/** "an 8-bit cache, chats of 1,300 words (1,700 tokens) at most" */
export function describeOptions(
  { kv, kvCapacity, snapshots, chunk, weights, maxContext }: ChosenOptions,
  say: Say,
): string {
  const parts = [
    maxContext && say('chatsAtMost', { chat: describeLength(maxContext, say) }),
    kv && say(KV_NAMES[kv]),
    kvCapacity && say('growingCache'),
    snapshots === 0 && say('noCopies'),
    chunk && say('promptSteps', { tokens: chunk }),
    weights && say('weightsOf4'),
  ];
  return parts.filter(Boolean).join(', ');
}
