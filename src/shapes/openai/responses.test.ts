/**
 * What OpenAI's own client makes of scripted answers in /responses: its events, what it gathers of them, items as
 * input.
 */
import type { ResponseStreamEvent } from 'openai/resources/responses/responses';
import { describe, expect, it } from 'vitest';
import { NibbleError } from '../../errors';
import { HELLO, listed, open, token } from '../test/openai-client';
import { call, text, thought } from '../test/scripted-engine';

const ASKED = { model: 'scripted', input: 'Hi?' };
const TOOL = { type: 'function' as const, name: 'weather', parameters: { type: 'object' }, strict: false };

/** What a stream says, without ids and whole responses. */
const told = (events: readonly ResponseStreamEvent[]) =>
  events.map((event) => {
    const at = 'output_index' in event ? ` ${event.output_index}` : '';
    const delta = 'delta' in event ? ` ${event.delta}` : '';
    return event.type.replace('response.', '') + at + delta;
  });

describe('/responses', () => {
  it('answers a text', async () => {
    const { client, asked, responses } = open(HELLO);
    const response = await client.responses.create({ ...ASKED, instructions: 'Be brief.', metadata: { a: 'b' } });
    expect(response).toMatchObject({
      object: 'response',
      status: 'completed',
      model: 'scripted',
      output_text: 'Hello!',
      instructions: 'Be brief.',
      metadata: { a: 'b' },
      output: [
        { type: 'message', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text: 'Hello!' }] },
      ],
      usage: { input_tokens: 7, output_tokens: 2, total_tokens: 9, input_tokens_details: { cached_tokens: 3 } },
    });
    expect(asked[0].input).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hi?' },
    ]);
    expect(responses[0].headers.has('x-nibble-ignored')).toBe(false);
  });

  it('tells thought, text and calls in events, from which the client gathers the response', async () => {
    const parts = [
      thought('H'),
      thought('m.'),
      text('Wait'),
      text('.'),
      ...call(0, 'weather', ['{"town":', '"Bern"}']),
    ];
    const { client, responses } = open({ parts });
    const stream = client.responses.stream({ ...ASKED, tools: [TOOL] });
    const events = await listed(stream);
    expect(told(events)).toEqual([
      'created',
      'in_progress',
      'output_item.added 0',
      'content_part.added 0',
      'reasoning_text.delta 0 H',
      'reasoning_text.delta 0 m.',
      'reasoning_text.done 0',
      'content_part.done 0',
      'output_item.done 0',
      'output_item.added 1',
      'content_part.added 1',
      'output_text.delta 1 Wait',
      'output_text.delta 1 .',
      'output_text.done 1',
      'content_part.done 1',
      'output_item.done 1',
      'output_item.added 2',
      'function_call_arguments.delta 2 {"town":',
      'function_call_arguments.delta 2 "Bern"}',
      'function_call_arguments.done 2',
      'output_item.done 2',
      'completed',
    ]);
    expect(events.map(({ sequence_number }) => sequence_number)).toEqual(events.map((_, place) => place));
    const output = [
      { type: 'reasoning', content: [{ type: 'reasoning_text', text: 'Hm.' }], status: 'completed' },
      { type: 'message', content: [{ type: 'output_text', text: 'Wait.' }], status: 'completed' },
      { type: 'function_call', call_id: 'call-0', name: 'weather', arguments: '{"town":"Bern"}', status: 'completed' },
    ];
    const final = await stream.finalResponse();
    expect(final.output).toMatchObject(output);
    expect(final.usage?.output_tokens_details.reasoning_tokens).toBe(1);
    const whole = await client.responses.create({ ...ASKED, tools: [TOOL] });
    expect(whole.output).toMatchObject(output);
    expect(whole.output_text).toBe('Wait.');
    const body = await responses[0].text();
    expect(body).toMatch(/^event: response\.created\ndata: \{"type":"response\.created"/);
    expect(body.trimEnd().split('\n').at(-2)).toBe('event: response.completed');
  });

  it('tells several calls of one answer as items of their own', async () => {
    const { client } = open({ parts: [...call(0, 'weather', ['{}']), ...call(1, 'weather', ['{}'])] });
    const final = await client.responses.stream({ ...ASKED, tools: [TOOL] }).finalResponse();
    expect(final.output.map((item) => item.type === 'function_call' && item.call_id)).toEqual(['call-0', 'call-1']);
  });

  it('takes the items of what was said', async () => {
    const { client, asked } = open(HELLO);
    await client.responses.create({
      model: 'scripted',
      input: [
        { role: 'developer', content: [{ type: 'input_text', text: 'Be brief.' }] },
        {
          role: 'user',
          content: [
            { type: 'input_text', text: 'a' },
            { type: 'input_text', text: 'b' },
          ],
        },
        { type: 'reasoning', id: 'rs_1', summary: [], content: [{ type: 'reasoning_text', text: 'Hm.' }] },
        {
          type: 'message',
          id: 'msg_1',
          role: 'assistant',
          status: 'completed',
          content: [{ type: 'output_text', text: 'Wait.', annotations: [] }],
        },
        { type: 'function_call', call_id: 'c1', name: 'weather', arguments: '{"town":"Bern"}' },
        { type: 'function_call', call_id: 'c2', name: 'weather', arguments: '' },
        { type: 'function_call_output', call_id: 'c1', output: 'sunny' },
        { type: 'function_call_output', call_id: 'c2', output: [{ type: 'input_text', text: 'rain' }] },
        { role: 'assistant', content: 'Sunny.' },
      ],
    });
    const made = (id: string, given: string) => ({
      id,
      type: 'function',
      function: { name: 'weather', arguments: given },
    });
    expect(asked[0].input).toEqual([
      { role: 'developer', content: 'Be brief.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b' },
        ],
      },
      {
        role: 'assistant',
        content: 'Wait.',
        reasoning_content: 'Hm.',
        tool_calls: [made('c1', '{"town":"Bern"}'), made('c2', '{}')],
      },
      { role: 'tool', tool_call_id: 'c1', name: 'weather', content: 'sunny' },
      { role: 'tool', tool_call_id: 'c2', name: 'weather', content: 'rain' },
      { role: 'assistant', content: 'Sunny.' },
    ]);
  });

  it('takes its own output as input again', async () => {
    const { client, asked } = open([{ parts: [thought('Hm.'), ...call(0, 'weather', ['{}'])] }, HELLO]);
    const { output } = await client.responses.create({ ...ASKED, tools: [TOOL] });
    const said = { type: 'function_call_output' as const, call_id: 'call-0', output: 'sunny' };
    await client.responses.create({ ...ASKED, input: [{ role: 'user', content: 'Hi?' }, ...output, said] as never });
    expect(asked[1].input).toMatchObject([
      { role: 'user', content: 'Hi?' },
      { role: 'assistant', content: '', reasoning_content: 'Hm.', tool_calls: [{ id: 'call-0' }] },
      { role: 'tool', tool_call_id: 'call-0', content: 'sunny' },
    ]);
  });

  it('hands over what it knows, and names what it does not', async () => {
    const tokens = [token('{}', -0.5, [['{', -1]])];
    const { client, asked, responses } = open({ parts: [text('{}', tokens)], result: { finish: 'length' } });
    const schema = { type: 'object' };
    const response = await client.responses.parse({
      ...ASKED,
      temperature: 0.5,
      top_p: 0.9,
      max_output_tokens: 9,
      truncation: 'auto',
      top_logprobs: 1,
      include: ['message.output_text.logprobs'],
      reasoning: { effort: 'none' },
      text: { format: { type: 'json_schema', name: 'a', schema }, verbosity: 'low' },
      tools: [TOOL],
      tool_choice: { type: 'function', name: 'weather' },
      parallel_tool_calls: false,
      store: true,
    });
    const { signal: _, tools, ...options } = asked[0].options;
    expect(options).toEqual({
      temperature: 0.5,
      topP: 0.9,
      maxNewTokens: 9,
      overflow: 'shift',
      logprobs: 1,
      schema,
      templateOptions: { reasoning_effort: 'none', enable_thinking: false },
      toolChoice: { name: 'weather' },
    });
    expect(tools).toEqual([{ type: 'function', function: { name: 'weather', parameters: { type: 'object' } } }]);
    expect(response).toMatchObject({ status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' } });
    expect(response.output[0]).toMatchObject({
      content: [{ logprobs: [{ token: '{}', logprob: -0.5, top_logprobs: [{ token: '{' }] }] }],
    });
    expect(responses[0].headers.get('x-nibble-ignored')).toBe('store, text.verbosity');
  });

  it.each([
    ['previous_response_id', { previous_response_id: 'resp_1' }, 'unsupported_parameter'],
    ['conversation', { conversation: 'conv_1' }, 'unsupported_parameter'],
    ['background', { background: true }, 'unsupported_parameter'],
    ['tools[0].type', { tools: [{ type: 'web_search' }] }, 'unsupported_parameter'],
    ['input[0].type', { input: [{ type: 'item_reference', id: 'a' }] }, 'unsupported_parameter'],
    [
      'input[0].content[0].type',
      { input: [{ role: 'user', content: [{ type: 'input_image' }] }] },
      'unsupported_parameter',
    ],
    ['input', { input: [] }, 'invalid_value'],
    ['max_output_tokens', { max_output_tokens: 0 }, 'invalid_value'],
  ])('refuses %s', async (param, given, code) => {
    const { client, asked } = open(HELLO);
    const error = await client.responses.create({ ...ASKED, ...(given as object) }).catch((thrown) => thrown);
    expect(error).toMatchObject({ status: 400, param, code, type: 'invalid_request_error' });
    expect(asked).toEqual([]);
  });

  it('fails by its status before it begins, and by an event behind that', async () => {
    const error = new NibbleError('context-overflow', 'Too long.');
    const early = open({ parts: [], error }).client.responses.create({ ...ASKED, stream: true });
    await expect(early).rejects.toMatchObject({ status: 400, code: 'context_length_exceeded' });
    const held = new NibbleError('invalid-option', 'No such schema.', { option: 'schema' });
    const refused = open({ parts: [], error: held }).client.responses.create(ASKED);
    await expect(refused).rejects.toMatchObject({ status: 400, param: 'text.format' });
    const { client } = open({ parts: HELLO.parts, error: new NibbleError('device-lost', 'It is gone.') });
    const events = await listed(await client.responses.create({ ...ASKED, stream: true }));
    expect(events.at(-1)).toMatchObject({
      type: 'response.failed',
      response: { status: 'failed', error: { code: 'server_error', message: 'It is gone.' } },
    });
  });

  it('stops when its stream is left', async () => {
    const { client, asked } = open({ ...HELLO, endless: true });
    for await (const event of client.responses.stream(ASKED)) if (event.type === 'response.output_text.delta') break;
    expect(asked[0].answer.stopped).toBe(true);
  });
});
