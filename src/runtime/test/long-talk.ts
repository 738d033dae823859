/** For tests: a conversation of more than three times its context. */
import { expect, vi } from 'vitest';
import type { EngineOptions } from '../../protocol';
import { createSession } from '../session';
import { ask, host, load } from './tiny';

/** Positions that the conversation has: a fifth of what the model could take. */
const CONTEXT = 96;
const TURNS = 12;
const ANSWER = 20;
const QUESTION = 7;

/** Asks turn by turn, with `shift`, and expects that every turn is answered and nothing computed twice. */
export async function expectLongTalk(gpu: GPU | null, options: EngineOptions): Promise<void> {
  const session = createSession(host({ gpu }));
  await load(session, { maxContext: CONTEXT, ...options });
  const { executor, sequences } = session.model();
  const prefill = vi.spyOn(executor, 'prefill');
  const shift = vi.spyOn(sequences, 'shift');
  const question = (turn: number) => Array.from({ length: QUESTION }, (_, i) => 40 + ((turn * 31 + i * 7) % 80));
  const ids: number[] = [];
  let dropped = 0;
  for (let turn = 0; turn < TURNS; turn++) {
    ids.push(...question(turn));
    const { result } = await ask(session, { ids }, { maxNewTokens: ANSWER, ignoreEos: true, overflow: 'shift' });
    expect(result).toMatchObject({ finish: 'length', options: { overflow: 'shift' } });
    expect(result.ids).toHaveLength(ANSWER);
    expect(result.memory.kvSlots.global).toBeLessThanOrEqual(CONTEXT);
    const seen = ids.length + ANSWER - 1 - result.stats.droppedTokens;
    expect(seen).toBeLessThanOrEqual(CONTEXT);
    expect(seen).toBeGreaterThan(turn < 3 ? 0 : (CONTEXT * 3) / 4);
    if (result.stats.droppedTokens > 0) expect(result.note).toContain(`oldest ${result.stats.droppedTokens}`);
    else expect(result.note).toBe(null);
    expect(result.stats.droppedTokens).toBeGreaterThanOrEqual(dropped);
    dropped = result.stats.droppedTokens;
    ids.push(...result.ids);
  }
  expect(ids.length).toBeGreaterThan(3 * CONTEXT);
  expect(dropped).toBeGreaterThan(2 * CONTEXT);
  const shifts = await Promise.all(shift.mock.results.map(({ value }) => value));
  expect(shifts).toEqual(shifts.map(() => true));
  expect(shifts).toHaveLength(dropped / (CONTEXT / 4));
  // besides the questions, the last id of each answer, and that of each shift within one
  const computed = prefill.mock.calls.reduce((sum, [, ids]) => sum + ids.length, 0);
  expect(computed).toBeLessThanOrEqual(TURNS * QUESTION + TURNS - 1 + shifts.length);
  await session.dispose();
}
