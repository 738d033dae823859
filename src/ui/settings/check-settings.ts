/** A conversation's settings from where they may be anything: a store, another tab, an imported file. */
import { REQUEST_OPTIONS } from '../../options/request';
import { fits, isObject } from '../../options/spec';
import type { ChatSettings } from '../conversation/chat-settings';

/** Options of an answer that a person may set, by their names in src/options/request.ts. */
export const SETTABLE = [
  'temperature',
  'topP',
  'minP',
  'repetitionPenalty',
  'maxNewTokens',
  'overflow',
  'seed',
] as const satisfies readonly (keyof ChatSettings)[];

/** Characters of a system prompt: more is no prompt, and a store would be full of it. */
export const MOST_SYSTEM = 100_000;

/** @returns what of it a person may set and is within its range; all else is left out */
export function checkSettings(settings: unknown): ChatSettings {
  if (!isObject(settings)) return {};
  const { thinking, system } = settings;
  return {
    ...Object.fromEntries(
      SETTABLE.filter((name) => fits(REQUEST_OPTIONS[name], settings[name])).map((name) => [name, settings[name]]),
    ),
    ...(typeof thinking === 'boolean' && { thinking }),
    ...(typeof system === 'string' && system !== '' && { system: system.slice(0, MOST_SYSTEM) }),
  };
}
