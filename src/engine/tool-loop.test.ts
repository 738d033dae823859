import { afterEach, describe, expect, it, vi } from 'vitest';
import type { GenerateResult, MessageInput, ParsedCall } from '../protocol';
import { AnswerQueue, type GenerateOptions, type Tool } from './answer';
import { type AskOnce, answerWithTools } from './tool-loop';
import { checkTools } from './tools';

const call = (name: string, given: Record<string, unknown> | null = {}, error?: string): ParsedCall => ({
  id: `id-${name}`,
  name,
  arguments: given,
  text: 'as written',
  ...(error && { error }),
});

/** An engine whose answers are these, in order: calls, or a text. */
function scripted(answers: readonly (readonly ParsedCall[] | string)[]) {
  const asked: { messages: readonly MessageInput[]; tools: unknown; options: GenerateOptions }[] = [];
  const ask: AskOnce = ({ input, tools }, options) =>
    new AnswerQueue(
      async (push) => {
        const what = await input();
        asked.push({ messages: 'messages' in what ? structuredClone(what.messages) : [], tools, options });
        const answer = answers[Math.min(asked.length, answers.length) - 1];
        const calls = typeof answer === 'string' ? [] : answer;
        const text = typeof answer === 'string' ? answer : '';
        if (text) push('text', text);
        calls.forEach((whole, index) => {
          push('tool-call', '{}', { call: { index, id: whole.id, name: whole.name, whole } });
        });
        const finish = options.signal?.aborted ? 'aborted' : calls.length > 0 ? 'tool-calls' : 'stop';
        return { text, reasoning: '', raw: '', toolCalls: [...calls], finish } as unknown as GenerateResult;
      },
      new AbortController(),
      () => 0,
    );
  return { ask, asked };
}

const QUESTION: MessageInput[] = [{ role: 'user', content: 'Hi?' }];
function begin(script: ReturnType<typeof scripted>, options: GenerateOptions, signal = new AbortController().signal) {
  const pieces: string[] = [];
  const input = () => ({ messages: QUESTION });
  const result = answerWithTools(
    script.ask,
    input,
    options,
    (type, text) => void pieces.push(`${type} ${text}`),
    signal,
  );
  result.catch(() => {});
  return { result, pieces };
}
const tool = (name: string, run?: Tool['run']): Tool => ({ name, description: `Does ${name}`, ...(run && { run }) });

describe('a loop of tools', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('makes the calls, tells what came of them, and ends with the answer', async () => {
    const script = scripted([[call('a', { x: 1 }), call('b')], 'Done.']);
    const seen: unknown[] = [];
    const a = tool('a', (given) => {
      seen.push(given);
      return { y: 2 };
    });
    const { result, pieces } = begin(script, {
      tools: [a, tool('b', async () => 'text')],
      toolChoice: 'required',
      seed: 3,
    });
    const { text, finish, messages } = await result;
    expect([text, finish, seen]).toEqual(['Done.', 'stop', [{ x: 1 }]]);
    expect(messages).toEqual([
      {
        role: 'assistant',
        content: '',
        tool_calls: [
          { id: 'id-a', type: 'function', function: { name: 'a', arguments: { x: 1 } } },
          { id: 'id-b', type: 'function', function: { name: 'b', arguments: {} } },
        ],
      },
      { role: 'tool', name: 'a', tool_call_id: 'id-a', content: '{"y":2}' },
      { role: 'tool', name: 'b', tool_call_id: 'id-b', content: 'text' },
    ]);
    expect(pieces).toEqual(['tool-call {}', 'tool-call {}', 'text Done.']);
    // the first step only is bound to call, and functions stay here
    expect(script.asked.map(({ tools }) => tools)).toEqual([
      { tools: checkTools([tool('a'), tool('b')]).tools, choice: 'required', toolForm: undefined },
      { tools: checkTools([tool('a'), tool('b')]).tools, choice: 'auto', toolForm: undefined },
    ]);
    expect(JSON.stringify(script.asked[0])).not.toContain('run');
    expect(script.asked[1].messages).toEqual([...QUESTION, ...messages!]);
    expect(script.asked[1].options.seed).toBe(3);
  });

  it('tells the model of what was thrown, of no tools, and of arguments that cannot be read', async () => {
    const bad = [call('a'), call('c', {}, 'There is no tool c.'), call('b', null, 'The arguments of b are no JSON.')];
    const script = scripted([bad, 'Sorry.']);
    const fails = () => {
      throw new TypeError('No such town');
    };
    const { result } = begin(script, { tools: [tool('a', fails), tool('b', () => 1)] });
    const said = (await result).messages!.filter(({ role }) => role === 'tool').map(({ content }) => content);
    expect(said).toEqual([
      '{"error":"No such town"}',
      '{"error":"There is no tool c."}',
      '{"error":"The arguments of b are no JSON."}',
    ]);
  });

  it.each<[string, unknown, string]>([
    ['nothing', undefined, 'null'],
    ['a number', 2.5, '2.5'],
    ['a list', [1, 'a'], '[1,"a"]'],
    ['what has no JSON', 1n, '{"error":"Do not know how to serialize a BigInt"}'],
  ])('tells %s', async (_, value, content) => {
    const { result } = begin(scripted([[call('a')], 'Done.']), { tools: [tool('a', () => value)] });
    expect((await result).messages!.at(-1)).toMatchObject({ role: 'tool', content });
  });

  it('ends at its bound with the calls that were not made', async () => {
    const run = vi.fn(() => 1);
    const script = scripted([[call('a')]]);
    const { result } = begin(script, { tools: [tool('a', run)], maxToolSteps: 3 });
    expect(await result).toMatchObject({ finish: 'tool-calls', toolCalls: [{ name: 'a' }] });
    expect(run).toHaveBeenCalledTimes(3);
    expect(script.asked.map(({ tools }) => Object(tools).choice)).toEqual(['auto', 'auto', 'auto', 'answer']);
    const usual = vi.fn(() => 1);
    await begin(scripted([[call('a')]]), { tools: [tool('a', usual)] }).result;
    expect(usual).toHaveBeenCalledTimes(8);
  });

  it('leaves calls to the caller where a tool has no function', async () => {
    const run = vi.fn();
    const { result } = begin(scripted([[call('a'), call('b')]]), { tools: [tool('a', run), tool('b')] });
    expect(await result).toMatchObject({ finish: 'tool-calls', toolCalls: [{ name: 'a' }, { name: 'b' }] });
    expect((await result).messages).toBeUndefined();
    expect(run).not.toHaveBeenCalled();
  });

  it('is stopped under a tool that never ends, which hears of it', async () => {
    const stop = new AbortController();
    let heard = false;
    const never = (_: object, { signal }: { signal: AbortSignal }) =>
      new Promise(() => {
        signal.addEventListener('abort', () => {
          heard = true;
        });
        setTimeout(() => stop.abort());
      });
    const script = scripted([[call('a')], 'Done.']);
    const { result } = begin(script, { tools: [tool('a', never)] }, stop.signal);
    expect(await result).toMatchObject({ finish: 'aborted', toolCalls: [{ name: 'a' }] });
    expect([heard, script.asked.length]).toEqual([true, 1]);
  });

  it('does not tell of the tools where none is to be called', async () => {
    const script = scripted(['No.']);
    await begin(script, { tools: [tool('a')], toolChoice: 'none' }).result;
    expect(script.asked[0].tools).toBeUndefined();
  });

  it.each<[string, GenerateOptions, RegExp]>([
    [
      'equal names',
      { tools: [tool('a'), tool('a')] },
      /tools\[1\].name is "a"; it must be a name that no other tool has/,
    ],
    ['no name', { tools: [{ description: 'x' } as unknown as Tool] }, /tools\[0\].name is undefined/],
    ['a name with a blank', { tools: [tool('a b')] }, /tools\[0\].name is "a b"/],
    [
      'parameters that are a text',
      { tools: [{ name: 'a', parameters: 'x' as never }] },
      /parameters of the tool a is "x"; it must be a JSON Schema/,
    ],
    [
      'parameters of another type',
      { tools: [{ name: 'a', parameters: { type: 'string' } }] },
      /parameters of the tool a/,
    ],
    [
      'a type that there is not',
      { tools: [{ name: 'a', parameters: { type: 'object', properties: { b: { type: 'text' } } } }] },
      /parameters.properties.b.type is "text"/,
    ],
    [
      'required that is no list',
      { tools: [{ name: 'a', parameters: { required: 'b' } }] },
      /required is no list of names/,
    ],
    [
      'a run that is no function',
      { tools: [{ name: 'a', run: 1 as never }] },
      /run of the tool a is 1; it must be a function/,
    ],
    ['a choice that there is not', { tools: [tool('a')], toolChoice: 'any' as never }, /toolChoice is "any"/],
    [
      'a choice of no tool',
      { tools: [tool('a')], toolChoice: { name: 'b' } },
      /toolChoice.name is "b"; it must be one of a/,
    ],
    ['a choice without tools', { toolChoice: 'required' }, /toolChoice is "required"/],
    ['a bound of none', { tools: [tool('a')], maxToolSteps: 0 }, /maxToolSteps is 0/],
    ['a form that there is not', { tools: [tool('a')], toolForm: 'json' as never }, /toolForm is "json"/],
  ])('refuses %s', async (_, options, message) => {
    const script = scripted(['Done.']);
    await expect(begin(script, options).result).rejects.toMatchObject({
      code: 'invalid-option',
      message: expect.stringMatching(message),
    });
    expect(script.asked).toEqual([]);
  });
});
