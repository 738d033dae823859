/** What OpenAI's own client makes of scripted answers: the same deltas and final objects as from its own server. */
import { describe, expect, it } from 'vitest';
import { ASKED, HELLO, listed, MESSAGES, open, token, USAGE } from '../test/openai-client';
import { call, text, thought } from '../test/scripted-engine';

describe('/chat/completions', () => {
  it('answers as a whole', async () => {
    const { client, asked, responses } = open(HELLO);
    const completion = await client.chat.completions.create(ASKED);
    expect(completion).toMatchObject({
      object: 'chat.completion',
      model: 'scripted',
      choices: [
        {
          index: 0,
          finish_reason: 'stop',
          logprobs: null,
          message: { role: 'assistant', content: 'Hello!', refusal: null },
        },
      ],
      usage: USAGE,
    });
    expect(completion._request_id).toMatch(/^req_/);
    expect(completion.id).toMatch(/^chatcmpl-/);
    expect(asked[0].input).toEqual(MESSAGES);
    // what the request leaves out, the engine decides
    expect(Object.keys(asked[0].options)).toEqual(['signal']);
    expect(responses[0].headers.has('x-nibble-ignored')).toBe(false);
  });

  it('streams as the client reads it, and ends with [DONE]', async () => {
    const { client, responses } = open({ parts: [thought('Hm.'), ...HELLO.parts] });
    const stream = client.chat.completions.stream({ ...ASKED, stream_options: { include_usage: true } });
    const contents: string[] = [];
    stream.on('content', (delta) => contents.push(delta));
    const chunks = await listed(stream);
    expect(chunks.map(({ choices }) => choices[0]?.delta)).toEqual([
      { role: 'assistant', content: '' },
      { reasoning_content: 'Hm.' },
      { content: 'Hel' },
      { content: 'lo!' },
      {},
      undefined,
    ]);
    expect(chunks.map(({ choices }) => choices[0]?.finish_reason ?? null)).toEqual([
      null,
      null,
      null,
      null,
      'stop',
      null,
    ]);
    expect(chunks.map(({ usage }) => usage?.total_tokens ?? null)).toEqual([null, null, null, null, null, 10]);
    expect(contents.join('')).toBe('Hello!');
    const { choices, usage } = await stream.finalChatCompletion();
    expect(choices[0].message).toMatchObject({ content: 'Hello!', reasoning_content: 'Hm.' });
    expect(usage?.completion_tokens_details?.reasoning_tokens).toBe(1);
    expect(responses[0].headers.get('content-type')).toBe('text/event-stream');
    const body = await responses[0].text();
    expect(body).toMatch(/^data: \{/);
    expect(body).toMatch(/\}\n\ndata: \[DONE\]\n\n$/);
  });

  it('hands everything over that sampling knows', async () => {
    const { client, asked, responses } = open(HELLO);
    await client.chat.completions.create({
      ...ASKED,
      temperature: 0.5,
      top_p: 0.9,
      presence_penalty: 1,
      frequency_penalty: -1,
      logit_bias: { 5: -100 },
      seed: -1,
      stop: 'END',
      max_tokens: 5,
      max_completion_tokens: 9,
      logprobs: true,
      top_logprobs: 2,
      reasoning_effort: 'none',
      ...{ top_k: 4, min_p: 0.1, chat_template_kwargs: { a: 1 }, ignore_eos: true },
    });
    const { signal: _, ...options } = asked[0].options;
    expect(options).toEqual({
      temperature: 0.5,
      topP: 0.9,
      presencePenalty: 1,
      frequencyPenalty: -1,
      logitBias: { 5: -100 },
      seed: 2 ** 32 - 1,
      stop: ['END'],
      maxNewTokens: 9,
      logprobs: 2,
      templateOptions: { reasoning_effort: 'none', enable_thinking: false, a: 1 },
      topK: 4,
      minP: 0.1,
      ignoreEos: true,
    });
    expect(responses[0].headers.has('x-nibble-ignored')).toBe(false);
  });

  it('tells log-probabilities, as a whole and with the pieces', async () => {
    const tokens = [
      token('Hel', -0.25, [
        ['Hel', -0.25],
        ['He', -2],
      ]),
      token('lo', -0.5),
    ];
    const parts = [text('Hel', [tokens[0]]), text('lo', [tokens[1]])];
    const { client } = open({ parts });
    const given = { ...ASKED, logprobs: true, top_logprobs: 2 };
    const { choices } = await client.chat.completions.create(given);
    expect(choices[0].logprobs?.content).toEqual([
      {
        token: 'Hel',
        logprob: -0.25,
        bytes: [72, 101, 108],
        top_logprobs: [
          { token: 'Hel', logprob: -0.25, bytes: [72, 101, 108] },
          { token: 'He', logprob: -2, bytes: [72, 101] },
        ],
      },
      { token: 'lo', logprob: -0.5, bytes: [108, 111], top_logprobs: [] },
    ]);
    const stream = client.chat.completions.stream(given);
    const { choices: streamed } = await stream.finalChatCompletion();
    expect(streamed[0].logprobs?.content).toEqual(choices[0].logprobs?.content);
  });

  it('gives n answers, and counts the prompt once', async () => {
    const { client, asked } = open([HELLO, { parts: [text('Ho')] }]);
    const { choices, usage } = await client.chat.completions.create({ ...ASKED, n: 2, seed: 2 ** 32 - 1 });
    expect(choices.map(({ index, message }) => [index, message.content])).toEqual([
      [0, 'Hello!'],
      [1, 'Ho'],
    ]);
    expect(asked[0].options).toMatchObject({ n: 2, seed: 2 ** 32 - 1 });
    expect(usage).toMatchObject({ prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 });
    const stream = open([HELLO, { parts: [text('Ho')] }]).client.chat.completions.stream({ ...ASKED, n: 2 });
    const final = await stream.finalChatCompletion();
    expect(final.choices.map(({ message }) => message.content)).toEqual(['Hello!', 'Ho']);
  });

  it('holds answers to a form', async () => {
    const { client, asked } = open({ parts: [text('{"a":'), text('1}')] });
    const schema = { type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] };
    const format = { type: 'json_schema' as const, json_schema: { name: 'one', strict: true, schema } };
    const parsed = await client.chat.completions.parse({ ...ASKED, response_format: format });
    expect(parsed.choices[0].message.parsed).toEqual({ a: 1 });
    await client.chat.completions.create({ ...ASKED, response_format: { type: 'json_object' } });
    await client.chat.completions.create({ ...ASKED, response_format: { type: 'text' } });
    expect(asked.map(({ options }) => options.schema)).toEqual([schema, { type: 'object' }, undefined]);
  });

  const TOOLS = ['weather', 'add'].map((name) => ({
    type: 'function' as const,
    function: { name, description: `Does ${name}`, parameters: { type: 'object' }, strict: true },
  }));

  it('tells calls of tools, several of one answer', async () => {
    const parts = [text('Wait.'), ...call(0, 'weather', ['{"town":', '"Bern"}']), ...call(1, 'add', ['{"a":1}'])];
    const { client, asked, responses } = open({ parts });
    const given = { ...ASKED, tools: TOOLS, tool_choice: 'auto' as const };
    const { choices } = await client.chat.completions.create(given);
    expect(choices[0]).toMatchObject({
      finish_reason: 'tool_calls',
      message: {
        content: 'Wait.',
        tool_calls: [
          { id: 'call-0', type: 'function', function: { name: 'weather', arguments: '{"town":"Bern"}' } },
          { id: 'call-1', type: 'function', function: { name: 'add', arguments: '{"a":1}' } },
        ],
      },
    });
    const { strict: _, ...sent } = TOOLS[0].function;
    expect(asked[0].options).toMatchObject({ toolChoice: 'auto' });
    expect(asked[0].options.tools?.[0]).toEqual({ type: 'function', function: sent });
    expect(responses[0].headers.get('x-nibble-ignored')).toBe('tools[0].function.strict, tools[1].function.strict');

    const stream = client.chat.completions.stream(given);
    const told: string[] = [];
    stream.on('tool_calls.function.arguments.done', ({ name, arguments: all }) => told.push(`${name} ${all}`));
    const chunks = await listed(stream);
    expect(chunks.flatMap((chunk) => chunk.choices[0].delta.tool_calls ?? [])).toEqual([
      { index: 0, id: 'call-0', type: 'function', function: { name: 'weather', arguments: '' } },
      { index: 0, function: { arguments: '{"town":' } },
      { index: 0, function: { arguments: '"Bern"}' } },
      { index: 1, id: 'call-1', type: 'function', function: { name: 'add', arguments: '' } },
      { index: 1, function: { arguments: '{"a":1}' } },
    ]);
    expect(told).toEqual(['weather {"town":"Bern"}', 'add {"a":1}']);
    const final = await stream.finalChatCompletion();
    expect(final.choices[0].message.tool_calls).toMatchObject(choices[0].message.tool_calls!);
  });

  it('gives arguments that come in one piece, and those that cannot be read, as they were written', async () => {
    const empty = call(0, 'weather', [], { arguments: { town: 'Oslo' } });
    const broken = call(1, 'add', [], { arguments: null, text: '{"a":', error: 'cut off' });
    const { client } = open({ parts: [...empty, ...broken] });
    const tools = TOOLS.map((tool) => ({ ...tool, function: { ...tool.function, strict: false } }));
    const final = await client.chat.completions.stream({ ...ASKED, tools }).finalChatCompletion();
    const given = final.choices[0].message.tool_calls?.map((one) => one.type === 'function' && one.function.arguments);
    expect(given).toEqual(['{"town":"Oslo"}', '{"a":']);
  });

  it('ends with the first call where calls may not be parallel', async () => {
    const parts = [...call(0, 'weather', ['{}']), ...call(1, 'add', ['{}'])];
    const { client, asked } = open({ parts });
    const given = { ...ASKED, tools: TOOLS, parallel_tool_calls: false };
    const { choices } = await client.chat.completions.create(given);
    expect(choices[0].finish_reason).toBe('tool_calls');
    expect(choices[0].message.tool_calls).toHaveLength(1);
    expect(asked[0].answer.stopped).toBe(true);
  });

  it.each([
    [{ type: 'function' as const, function: { name: 'add' } }, { name: 'add' }, 2],
    ['required' as const, 'required', 2],
    ['none' as const, 'none', 2],
    [
      {
        type: 'allowed_tools' as const,
        allowed_tools: { mode: 'required' as const, tools: [{ type: 'function', function: { name: 'add' } }] },
      },
      'required',
      1,
    ],
  ])('understands the choice %j', async (tool_choice, choice, tools) => {
    const { client, asked } = open(HELLO);
    await client.chat.completions.create({ ...ASKED, tools: TOOLS, tool_choice });
    expect(asked[0].options.toolChoice).toEqual(choice);
    expect(asked[0].options.tools).toHaveLength(tools);
  });

  it('makes the calls of the client’s own loop', async () => {
    const { client, asked } = open([{ parts: call(0, 'weather', ['{"town":"Bern"}']) }, { parts: [text('Sunny.')] }]);
    const runner = client.chat.completions.runTools({
      ...ASKED,
      tools: [
        {
          type: 'function',
          function: {
            name: 'weather',
            description: 'The weather of a town',
            parameters: { type: 'object' },
            parse: JSON.parse,
            function: ({ town }: { town: string }) => `sunny in ${town}`,
          },
        },
      ],
    });
    expect(await runner.finalContent()).toBe('Sunny.');
    expect(asked[1].input).toMatchObject([
      MESSAGES[0],
      {
        role: 'assistant',
        tool_calls: [{ id: 'call-0', function: { name: 'weather', arguments: '{"town":"Bern"}' } }],
      },
      { role: 'tool', tool_call_id: 'call-0', content: 'sunny in Bern' },
    ]);
  });

  it('passes the engine’s note on', async () => {
    const { client } = open({ ...HELLO, result: { finish: 'length', note: 'There was less room.' } });
    const completion = await client.chat.completions.create(ASKED);
    expect(completion).toMatchObject({ nibble_note: 'There was less room.', choices: [{ finish_reason: 'length' }] });
  });
});
