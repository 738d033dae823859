import { describe, expect, it } from 'vitest';
import type { FunctionTool, PromptOptions } from '../../protocol';
import { chatPrompt } from '../chat-prompt';
import { CHATML_TEMPLATE, createChatTemplate } from '../chat-template';
import { tiny } from '../test/tokenizers';

const SKY: FunctionTool = {
  type: 'function',
  function: {
    name: 'sky',
    description: 'Weather',
    parameters: { type: 'object', properties: { town: { type: 'string' } } },
  },
};
const call = (given: unknown, id?: string) => ({
  ...(id && { id }),
  type: 'function',
  function: { name: 'sky', arguments: given },
});
const asked = { role: 'user', content: 'Hi?' };
const calling = (given: unknown, id?: string) => ({ role: 'assistant', content: '', tool_calls: [call(given, id)] });
const prompt = (source: string, messages: object[], options: PromptOptions = { tools: [SKY] }) =>
  chatPrompt({ tokenizer: tiny(), template: createChatTemplate(source), rows: 300 }, messages, options);

/** Hermes' marks; what is shown of calls is told by the middle part. */
const template = (shown: string) =>
  "{% if tools %}{{ tools | tojson }}{% endif %}{# <tool_call></tool_call> #}{% for m in messages %}{{ '\\n' ~ m.role ~ ':' ~ m.content }}" +
  `${shown}{% endfor %}`;
const OBJECTS = template(
  '{% for c in m.tool_calls %}{{ c.function.name ~ c.function.arguments | tojson }}{% endfor %}',
);
const TEXTS = template('{% for c in m.tool_calls %}{{ c.function.name + c.function.arguments }}{% endfor %}');

describe('a template that shows tools', () => {
  it('is given them as they are, with names that are left out', () => {
    expect(prompt(OBJECTS, [asked]).text).toBe(
      '[{"type": "function", "function": {"name": "sky", "description": "Weather", "parameters": {"type": "object", "properties": {"town": {"type": "string"}}}}}]\nuser:Hi?',
    );
    expect(prompt(OBJECTS, [asked], { tools: [SKY.function] }).text).toBe(prompt(OBJECTS, [asked]).text);
    expect(prompt(OBJECTS, [asked]).form?.calls?.name).toContain('Hermes');
    expect(prompt(OBJECTS, [asked], {}).form).toBeNull();
  });

  it.each([[{ town: 'Zürich' }], ['{"town": "Zürich"}']])('takes arguments as it wants them: %j', (given) => {
    const talk = [asked, calling(given), { role: 'tool', content: 'x' }];
    expect(prompt(OBJECTS, talk).text).toContain('sky{"town": "Zürich"}');
    expect(prompt(TEXTS, talk).text).toContain('sky{"town": "Zürich"}');
  });

  it('has calls in the contents where it shows none, with marks that command', () => {
    const { text } = prompt(template(''), [asked, { ...calling({ town: 'A' }), content: 'I look.' }]);
    expect(text).toContain('assistant:I look.\n<tool_call>\n{"name": "sky", "arguments": {"town": "A"}}\n</tool_call>');
  });

  it.each([
    ['no JSON', 'town: A', /Message 2 has a call of sky whose arguments are no JSON: town: A/],
    ['no object', [1], /whose arguments are no object/],
  ])('refuses arguments that are %s', (_, given, message) => {
    expect(() => prompt(OBJECTS, [asked, calling(given)])).toThrow(message);
  });

  it('refuses calls that are none', () => {
    expect(() => prompt(OBJECTS, [asked, { role: 'assistant', content: 'a', tool_calls: 'x' }])).toThrow(
      'tool_calls that are no list',
    );
    expect(() => prompt(OBJECTS, [asked, { role: 'assistant', content: 'a', tool_calls: [{}] }])).toThrow(
      'without the name',
    );
  });

  it('gives Mistral ids of nine letters and digits, the same for call and result', () => {
    const source =
      '{# [TOOL_CALLS] #}{{ tools | tojson }}{% for m in messages %}{% for c in m.tool_calls %}{{ c.function.name ~ c.function.arguments | tojson ~ c.id }}|{% endfor %}{{ m.tool_call_id }}|{{ m.content }}{% endfor %}';
    const talk = (id: string) => [asked, calling({ town: 'A' }, id), { role: 'tool', content: 'x', tool_call_id: id }];
    const ids = /\}([\w-]+)\|\|([\w-]+)\|x/.exec(prompt(source, talk('call_abc-1')).text);
    expect(ids?.[1]).toMatch(/^[a-zA-Z0-9]{9}$/);
    expect(ids?.[2]).toBe(ids?.[1]);
    expect(prompt(source, talk('a1B2c3D4e')).text).toContain('a1B2c3D4e||a1B2c3D4e|x');
  });

  it.each([
    [
      'a variable of its own',
      '{# <tool_call> #}{% for t in xml_tools %}{{ t }}{% endfor %}{{ messages[0].content }}',
      '{"name": "sky", ',
    ],
    [
      'a key of the system message',
      '{# <|tool_call|><|/tool_call|> #}{% for m in messages %}{{ m.tools }}{{ m.content }}{% endfor %}',
      '[{"name": "sky", ',
    ],
  ])('is told of them in %s', (_, source, begins) => {
    const { text, form } = prompt(source, [asked]);
    expect([text.startsWith(begins), text.endsWith('Hi?'), form?.calls?.name === 'generic']).toEqual([
      true,
      true,
      false,
    ]);
  });

  it('that shows one call of a message gets pairs of call and result', () => {
    const source =
      `{# "parameters": ipython #}{{ tools | tojson }}{% for m in messages %}{% if m.tool_calls %}{% if m.tool_calls | length != 1 %}{{ raise_exception('one') }}{% endif %}` +
      '{{ m.tool_calls[0].function.name ~ m.tool_calls[0].function.arguments | tojson }}{% endif %}{{ m.content }};{% endfor %}';
    const both = { role: 'assistant', content: '', tool_calls: [call({ town: 'A' }, '1'), call({ town: 'B' }, '2')] };
    const results = [
      { role: 'tool', content: 'b', tool_call_id: '2' },
      { role: 'tool', content: 'a', tool_call_id: '1' },
    ];
    expect(prompt(source, [asked, both, ...results]).text).toContain('Hi?;sky{"town": "A"};a;sky{"town": "B"};b;');
  });
});

describe('a template that knows no tools', () => {
  const talk = [asked, calling({ town: 'A' }, 'c1'), { role: 'tool', content: '{"t": 1}', tool_call_id: 'c1' }];

  it('is told of them in the system message, and of calls and results as JSON', () => {
    const { text, form } = prompt(CHATML_TEMPLATE, [{ role: 'system', content: 'Be brief.' }, ...talk]);
    expect(form?.calls?.name).toBe('generic');
    expect(text).toMatch(/^<\|im_start\|>system\nBe brief\.\n\nYou can call these tools:\n\{"name": "sky", /);
    expect(text).toContain(
      'assistant\n{"tool_call": {"name": "sky", "arguments": {"town": "A"}, "id": "c1"}}<|im_end|>',
    );
    expect(text).toContain(
      'user\n{"tool_response": {"tool": "sky", "content": "{\\"t\\": 1}", "tool_call_id": "c1"}}<|im_end|>',
    );
  });

  it('has no turn more than one user has, and none of a system that it does not show', () => {
    const strict =
      "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('alternate') }}{% endif %}[{{ m.role ~ ':' ~ m.content }}]{% endfor %}";
    const { text } = prompt(strict, [...talk, { role: 'user', content: 'And?' }]);
    expect(text).toMatch(
      /^\[user:You can call these tools:[\s\S]*\n\nHi\?\]\[assistant:\{"tool_call"[^\]]*\]\[user:\{"tool_response"[^\]]*\n\nAnd\?\]$/,
    );
  });

  it("is refused with toolForm 'native'", () => {
    expect(() => prompt(CHATML_TEMPLATE, [asked], { tools: [SKY], toolForm: 'native' })).toThrow(/knows no tools/);
    expect(prompt(OBJECTS, [asked], { tools: [SKY], toolForm: 'native' }).form?.calls?.name).toContain('Hermes');
  });

  it('what tools say is text, and no control token', () => {
    const tokenizer = tiny();
    const tool = { ...SKY.function, description: '<|im_end|>' };
    const { ids } = prompt(
      CHATML_TEMPLATE,
      [asked, calling({ town: '<|im_end|>' }), { role: 'tool', content: '<|im_end|>' }],
      { tools: [tool] },
    );
    const ends = ids.filter((id) => id === tokenizer.idOf('<|im_end|>'));
    expect(ends).toHaveLength(4);
  });
});

it('a template of its own for tools is taken where it shows them', () => {
  const prompter = { tokenizer: tiny(), template: createChatTemplate(CHATML_TEMPLATE), rows: 300 };
  const both = { ...prompter, toolTemplate: createChatTemplate(OBJECTS) };
  expect(chatPrompt(both, [asked], { tools: [SKY] }).text).toMatch(/^\[\{"type"/);
  expect(chatPrompt(both, [asked]).text).toMatch(/^<\|im_start\|>user/);
  const blind = { ...prompter, toolTemplate: createChatTemplate('{{ nothing }}') };
  expect(chatPrompt(blind, [asked], { tools: [SKY] }).text).toMatch(/^<\|im_start\|>system/);
});
