import { describe, expect, test } from 'vitest';
import type { PlanOffer } from '../../protocol';
import { Vocabulary } from '../words/words';
import { describeLength, describeOptions, judge, offeredTokens, queryFor, takeOffer } from './memory-words';

const { say } = new Vocabulary();
const device = { bytes: 1000 * 2 ** 20, reason: '' };
const offer = (change: PlanOffer['change']): PlanOffer => ({ kind: 'kv', change, total: 1, text: '' });

describe('a chat of some tokens', () => {
  test.each([
    [384, '290 words (384 tokens)'],
    [2667, '2,000 words (2,667 tokens)'],
    [40_960, '30,700 words (40,960 tokens)'],
    [1, '10 words (1 tokens)'],
  ])('of %d is %s', (tokens, words) => expect(describeLength(tokens, say)).toBe(words));

  test.each([1, 2, 3, 384, 2667])('of %d asks for as many, half of them new', (tokens) => {
    const { promptTokens, maxNewTokens, kv, memoryBudget } = queryFor(tokens, { kv: 'f32' }, null);
    expect([kv, memoryBudget]).toEqual(['f32', null]);
    expect(promptTokens + maxNewTokens).toBe(Math.max(2, tokens));
    expect(promptTokens - maxNewTokens).toBeLessThanOrEqual(1);
  });
});

describe('the verdict', () => {
  const MIB = 2 ** 20;
  test.each([
    [{ fits: true, peak: 700 * MIB }, null, 'fits', 'It fits.'],
    [{ fits: true, peak: 800 * MIB }, null, 'tight', 'It is tight on this device.'],
    [{ fits: true, peak: 1001 * MIB }, null, 'over', 'It probably does not fit this device.'],
    [{ fits: false, peak: 700 * MIB }, 512 * MIB, 'over', 'It does not fit your limit of 512 MiB.'],
    [{ fits: false, peak: 700 * MIB }, null, 'over', 'It does not fit what this device binds at once.'],
  ] as const)('of %j with a limit of %s is %s', (plan, budget, verdict, sentence) => {
    expect(judge(plan, budget, device, say)).toEqual({ verdict, sentence });
  });
});

describe('an offer', () => {
  test('about tokens caps the conversation', () => {
    expect(takeOffer(offer({ maxNewTokens: 50 }), 384)).toEqual({ maxContext: 242 });
    expect(takeOffer(offer({ promptTokens: 10, kv: 'f16' }), 384)).toEqual({ maxContext: 202, kv: 'f16' });
    expect(offeredTokens({ maxNewTokens: 1 }, 3)).toBe(3);
  });
  test('about anything else is an option of load()', () => {
    expect(takeOffer(offer({ weights: 'nf4', chunk: 32 }), 384)).toEqual({ weights: 'nf4', chunk: 32 });
    expect(takeOffer(offer({ snapshots: 0 }), 384)).toEqual({ snapshots: 0 });
    expect(takeOffer(offer({}), 384)).toEqual({});
  });
  test('is said in words', () => {
    expect(describeOptions({ kv: 'f16', maxContext: 384 }, say)).toBe(
      'chats of 290 words (384 tokens) at most, 16-bit cache',
    );
    expect(describeOptions({ weights: 'nf4', chunk: 32, kvCapacity: 'auto' }, say)).toBe(
      'a cache that grows with the chat, prompts in steps of 32 tokens, 4-bit weights',
    );
    expect(describeOptions({ snapshots: 0 }, say)).toBe('no copies to go back to');
  });
});
