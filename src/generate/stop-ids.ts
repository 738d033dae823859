/** Which ids end an answer. */
import type { JsonObject } from '../formats/json';

/**
 * @param configs generation_config.json and config.json: their eos_token_id is a number or a list
 * @param eosIds what the tokenizer knows: its eos_token and the tokens that end a turn
 */
export function stopIds(configs: readonly (JsonObject | null)[], eosIds: readonly number[] = []): Set<number> {
  const ids = configs.flatMap((config) => config?.eos_token_id ?? []);
  return new Set([...ids, ...eosIds].filter((id) => typeof id === 'number'));
}
