/** What a session answers with: reasoning apart, template options, what the model's defaults ask for. */
import { describe, expect, it } from 'vitest';
import type { GenerateRequest, ModelInfo, TokenMessage } from '../protocol';
import { createSession, type Session } from './session';
import { ask, fixture, host, load } from './test/tiny';

/** ChatML that knows reasoning: shown of the last answer only, begun unless it is switched off. */
const THINKING =
  "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' }}" +
  "{% if loop.last and m.reasoning_content %}{{ '<think>' + m.reasoning_content + '</think>' }}{% endif %}" +
  "{{ m.content + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}" +
  "{% if enable_thinking is defined and not enable_thinking %}{{ '<think></think>' }}{% else %}{{ '<think>' }}{% endif %}" +
  '{% endif %}';
const HELLO: GenerateRequest['input'] = { messages: [{ role: 'user', content: 'Hello' }] };

async function open(options = {}, files = fixture()): Promise<{ session: Session; info: ModelInfo }> {
  const session = createSession(host({ files }));
  const { info } = await load(session, options);
  return { session, info };
}

/** The tiny model with another generation_config.json. */
function configured(config: object) {
  const files = fixture().set('generation_config.json', new TextEncoder().encode(JSON.stringify(config)));
  files.delete('manifest.json');
  return files;
}

const joined = (messages: TokenMessage[], type?: TokenMessage['type']) =>
  messages.flatMap((message) => (message.type === type ? [message.text] : [])).join('');

describe('reasoning', () => {
  /** An answer that is given instead of made. */
  async function answered(session: Session, text: string, options: GenerateRequest['options'] = {}, input = HELLO) {
    const made = await session.tokenize(text, true);
    return ask(session, input, { maxNewTokens: made.length, ...options }, made);
  }

  it('comes apart from the answer, begun by the prompt or by the model', async () => {
    const { session, info } = await open({ chatTemplate: THINKING });
    expect(info.options.chatTemplate).toBe(THINKING);
    const begun = await answered(session, 'Well.\n</think>\n\nHi.');
    expect(begun.result).toMatchObject({ reasoning: 'Well.', text: 'Hi.', raw: 'Well.\n</think>\n\nHi.' });
    expect([joined(begun.messages, 'reasoning'), joined(begun.messages)]).toEqual(['Well.', 'Hi.']);
    expect(begun.messages.map(({ text }) => text).join('')).toBe(begun.result.raw);
    expect(begun.messages.flatMap(({ ids }) => ids)).toEqual(begun.result.ids);

    const off = { templateOptions: { enable_thinking: false } };
    expect((await answered(session, 'Hi </think>.', off)).result).toMatchObject({
      reasoning: '',
      text: 'Hi </think>.',
    });
    const itself = await answered(session, '<think>a</think>b', off);
    expect(itself.result).toMatchObject({ reasoning: 'a', text: 'b' });
    expect((await answered(session, 'Well', {})).result).toMatchObject({ reasoning: 'Well', text: '' });
  });

  it('is what was written where the template knows no marks, and for plain prompts', async () => {
    const { session } = await open();
    const text = '<think>a</think>b';
    expect((await answered(session, text)).result).toMatchObject({ reasoning: '', text, raw: text });
    const { session: knows } = await open({ chatTemplate: THINKING });
    expect((await answered(knows, text, {}, { prompt: 'x' })).result).toMatchObject({ reasoning: '', text, raw: text });
  });

  it('is not computed again where the next prompt leaves it out: only what is shared is reused', async () => {
    const { session } = await open({ chatTemplate: THINKING });
    const first = (await ask(session, HELLO, { maxNewTokens: 8, ignoreEos: true })).result;
    expect(first.reasoning).toBe(first.raw);
    const messages = [
      ...(HELLO as { messages: [] }).messages,
      { role: 'assistant' as const, content: first.text, reasoning_content: first.reasoning },
      { role: 'user' as const, content: 'And?' },
    ];
    const before = [...(await session.prompt((HELLO as { messages: [] }).messages, {})).ids, ...first.ids];
    const { ids } = await session.prompt(messages, {});
    const shared = ids.findIndex((id, i) => id !== before[i]);
    expect(shared).toBeLessThan(before.length - 8);
    const second = (await ask(session, { messages }, { maxNewTokens: 6 })).result;
    expect(second.stats.reusedTokens).toBe(shared);
    const { session: fresh } = await open({ chatTemplate: THINKING });
    expect((await ask(fresh, { messages }, { maxNewTokens: 6 })).result.ids).toEqual(second.ids);
  });
});

describe('what generation_config.json asks for', () => {
  it('and the sampler cannot do is said, with every answer and in info()', async () => {
    const { session, info } = await open({}, configured({ do_sample: true, mirostat: 2, num_beams: 3 }));
    const both = "The model's generation_config.json asks for mirostat 2 and num_beams 3, which is not applied.";
    expect(info.notes).toEqual([both]);
    for (let i = 0; i < 2; i++) expect((await ask(session, HELLO, { maxNewTokens: 1 })).result.note).toBe(both);
    const greedy = (await ask(session, HELLO, { maxNewTokens: 1, temperature: 0 })).result.note;
    expect(greedy).toContain('asks for num_beams 3, which');
  });

  it('is followed: no bigram twice, no end before the least tokens, none of those that are banned', async () => {
    const plain = (await ask((await open()).session, HELLO, { maxNewTokens: 12 })).result;
    const config = {
      no_repeat_ngram_size: 1,
      min_new_tokens: 9,
      suppress_tokens: [plain.ids[0]],
      repetition_penalty: 1.2,
    };
    const { session, info } = await open({}, configured(config));
    expect(info.notes).toEqual([]);
    const { ids, options } = (await ask(session, HELLO, { maxNewTokens: 12 })).result;
    expect(options).toMatchObject({ noRepeatNgram: 1, minTokens: 9, repetitionPenalty: 1.2, temperature: 0 });
    expect(ids.length).toBeGreaterThanOrEqual(9);
    expect([ids.includes(plain.ids[0]), new Set(ids).size]).toEqual([false, ids.length]);
    const own = (
      await ask(session, HELLO, { maxNewTokens: 12, noRepeatNgram: 0, suppressTokens: [], repetitionPenalty: 1 })
    ).result;
    expect(own.ids.slice(0, 3)).toEqual(plain.ids.slice(0, 3));
  });

  it('and makes no sense is said once, and not an error', async () => {
    const { session, info } = await open({}, configured({ do_sample: true, temperature: 101, top_k: -1 }));
    expect(info.notes).toHaveLength(2);
    const notes = [];
    for (let i = 0; i < 2; i++) notes.push((await ask(session, HELLO, { maxNewTokens: 1 })).result.note);
    expect(notes).toEqual([info.notes.join(' '), null]);
  });

  it('is nothing to speak of for most', async () => {
    const { session, info } = await open();
    expect(info.notes).toEqual([]);
    expect((await ask(session, HELLO, { maxNewTokens: 1 })).result.note).toBeNull();
  });
});

describe('log-probabilities', () => {
  it('come with the ids, their texts and bytes, and in the result', async () => {
    const { session } = await open();
    const options = { maxNewTokens: 6, ignoreEos: true, logprobs: 3, temperature: 1, seed: 4 };
    const { messages, result } = await ask(session, HELLO, options);
    expect(result.logprobs!.map(({ id }) => id)).toEqual(result.ids);
    for (const { ids, logprobs = [] } of messages) expect(logprobs.map(({ id }) => id)).toEqual(ids);
    expect(messages.flatMap(({ logprobs = [] }) => logprobs)).toEqual(result.logprobs);
    const bytes = result.logprobs!.flatMap((one) => one.bytes!);
    expect(new TextDecoder().decode(Uint8Array.from(bytes))).toBe(await session.detokenize(result.ids));
    for (const { id, text, logprob, top } of result.logprobs!) {
      expect(text).not.toBe('');
      expect(top).toHaveLength(3);
      expect([...top].sort((a, b) => b.logprob - a.logprob)).toEqual(top);
      for (const one of top) if (one.id === id) expect(one.logprob).toBe(logprob);
      expect(logprob).toBeLessThan(0);
    }
    const { result: one } = await ask(session, HELLO, { ...options, logprobs: true });
    expect(one.logprobs!.map(({ top }) => top)).toEqual(result.ids.map(() => []));
    expect((await ask(session, HELLO, { ...options, logprobs: false })).result.logprobs).toBeUndefined();
  });

  it('of an answer that goes on are those of its new tokens', async () => {
    const { session } = await open();
    const options = { maxNewTokens: 6, ignoreEos: true, logprobs: 1 };
    const { result } = await ask(session, HELLO, options);
    const again = await ask(session, HELLO, options, result.ids.slice(0, 4));
    expect(again.result.ids).toEqual(result.ids);
    expect(again.result.logprobs!.map(({ id }) => id)).toEqual(result.ids.slice(4));
  });

  it.each<[string, object, RegExp]>([
    ['a bias', { logitBias: { 99999: 1 } }, /bias has 1 for id 99999: ids are 0 to \d+/],
    ['a bad word', { badWords: [[3, 99999]] }, /badWords has id 99999: ids are 0 to \d+/],
    ['a token that is forced', { forcedTokens: [99999] }, /forcedTokens has id 99999/],
    ['a token that is suppressed', { suppressTokens: [99999] }, /id 99999: ids are 0 to/],
  ])('and %s of an id that does not exist is refused, and the next is answered', async (_, options, message) => {
    const { session } = await open();
    await expect(ask(session, HELLO, { maxNewTokens: 2, ...options })).rejects.toMatchObject({
      code: 'invalid-option',
      message: expect.stringMatching(message),
    });
    expect((await ask(session, HELLO, { maxNewTokens: 2, ignoreEos: true })).result.ids).toHaveLength(2);
  });
});

describe('a chat template of one’s own', () => {
  it('that cannot be used is refused by its name', async () => {
    const late = open({ chatTemplate: '{% for m in %}' });
    await expect(late).rejects.toMatchObject({ code: 'invalid-option', details: { option: 'chatTemplate' } });
    await expect(late).rejects.toThrow(/^The chat template \(chatTemplate, line 1\) cannot be used: /);
  });
});

describe('prefill', () => {
  it('is told at its start and after every chunk, where it is asked for', async () => {
    const { session } = await open({ chunk: 16 });
    const told: (TokenMessage['prefill'] | null)[] = [];
    const port = { postMessage: ({ prefill }: TokenMessage) => void told.push(prefill ?? null) };
    const request = { input: { ids: Array(40).fill(9) }, options: { maxNewTokens: 2, ignoreEos: true } };
    await session.generate({ id: 7001, ...request, prefill: true }, port);
    const of = (done: number) => ({ done, total: 40 });
    expect(told).toEqual([of(0), of(16), of(32), of(40), null, null]);
    told.length = 0;
    // all but the last token is cached
    await session.generate({ id: 7002, ...request, prefill: true }, port);
    expect(told.slice(0, 2)).toEqual([
      { done: 0, total: 1 },
      { done: 1, total: 1 },
    ]);
    told.length = 0;
    await session.generate({ id: 7003, ...request }, port);
    expect(told).toEqual([null, null]);
  });
});
