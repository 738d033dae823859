import { describe, expect, it } from 'vitest';
import { NibbleError } from '../errors';
import { fixture, readJson } from '../formats/test/files';
import { CHATML_TEMPLATE, createChatTemplate, templateSource } from './chat-template';

const user = (content: string) => ({ role: 'user' as const, content });

function failure(action: () => unknown): NibbleError {
  try {
    action();
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(NibbleError);
    return thrown as NibbleError;
  }
  throw new Error('nothing was thrown');
}

describe('createChatTemplate', () => {
  it('renders as transformers does', () => {
    const { chatTemplate, chats } = readJson(fixture('tokenizer/smollm2.json'));
    const template = createChatTemplate(chatTemplate);
    for (const { messages, text } of chats) expect(template.render(messages)).toBe(text);
    expect(chats.length).toBeGreaterThan(1);
  });

  const { chats, templates } = readJson(fixture('tokenizer/templates.json'));
  it.each<{ name: string; template: string; texts: (string | null)[] }>(templates)(
    'renders as transformers does: $name',
    ({ template, texts }) => {
      const { render } = createChatTemplate(template);
      texts.forEach((text, i) => {
        const context = { bosToken: '<s>', eosToken: '</s>', addGenerationPrompt: i !== 1 };
        if (text === null) expect(failure(() => render(chats[i], context)).code).toBe('invalid-option');
        else expect(render(chats[i], context)).toBe(text);
      });
    },
  );

  it('has a ChatML of its own', () => {
    const { chat_template } = readJson(fixture('tiny-llama-128/bf16/tokenizer_config.json'));
    const messages = [{ role: 'system' as const, content: 'Be brief.' }, user('Hi')];
    const [own, models] = [createChatTemplate(CHATML_TEMPLATE), createChatTemplate(chat_template)];
    expect(own.render(messages)).toBe(models.render(messages));
    expect(own.render(messages, { addGenerationPrompt: false })).not.toContain('assistant');
  });

  it('passes the start and end tokens, and the date', () => {
    const template = createChatTemplate(
      "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}|{{ strftime_now('%d %b %Y') }}",
    );
    const text = template.render([user('x')], { bosToken: '<s>', eosToken: '</s>' });
    expect(text).toMatch(/^<s>x<\/s>\|\d\d \w{3} \d{4}$/);
    expect(createChatTemplate('[{{ bos_token }}]').render([])).toBe('[]');
    const plain = createChatTemplate("{{ strftime_now('%-d %-m %I %p %y %% %Q') }}").render([]);
    expect(plain).toMatch(/^[1-9]\d? [1-9]\d? (0[1-9]|1[0-2]) [AP]M \d\d % %Q$/);
  });

  it("refuses with the template's own message", () => {
    const template = createChatTemplate(
      "{% if messages[0].role != 'user' %}{{ raise_exception('Roles must alternate') }}{% endif %}ok",
    );
    expect(template.render([user('x')])).toBe('ok');
    const error = failure(() => template.render([{ role: 'assistant', content: 'x' }]));
    expect(error.code).toBe('invalid-option');
    expect(error.message).toContain('Roles must alternate');
  });

  it('says which template and which line cannot be rendered', () => {
    const error = failure(() =>
      createChatTemplate('a\n{{ messages[0].content.nosuch() }}', 'chat_template.jinja').render([user('x')]),
    );
    expect(error.code).toBe('corrupt-checkpoint');
    expect(error.message).toContain('chat template (chat_template.jinja, line 2) cannot be used');
    expect(error.details).toMatchObject({ template: 'chat_template.jinja', line: 2 });
    const broken = failure(() => createChatTemplate('\n\n{% for %}'));
    expect(broken.message).toContain('(chat_template, line 3)');
    expect(failure(() => createChatTemplate('{% include "x" %}').render([])).message).toContain('include');
  });

  it('passes further variables', () => {
    const template = createChatTemplate(
      "{{ 'no' if enable_thinking is defined and enable_thinking is false else 'yes' }}{{ tools | length if tools }}{{ date }}",
    );
    expect(template.render([])).toBe('yes');
    expect(template.render([], { variables: { enable_thinking: false, date: '1 May', tools: [1, 2] } })).toBe(
      'no21 May',
    );
    expect(template.render([], { variables: { enable_thinking: undefined } })).toBe('yes');
    expect(createChatTemplate('{{ a is defined }}').render([], { variables: { a: undefined } })).toBe('False');
  });

  it.each([
    ['a broken template', '{% for m in %}'],
    ['an open block', '{% if true %}x'],
    ['a template of more than a megabyte', 'x'.repeat(1_000_001)],
  ])('refuses %s', (_, source) => {
    expect(failure(() => createChatTemplate(source)).code).toBe('corrupt-checkpoint');
  });

  it.each([
    ['a range without end', '{% for i in range(10000000000) %}{% endfor %}'],
    ['a range that never arrives', '{% for i in range(0, 5, 0) %}x{% endfor %}'],
    [
      'nested loops',
      '{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{{ c }}{% endfor %}{% endfor %}{% endfor %}',
    ],
    ['a macro that calls itself', '{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}'],
    [
      'a text that doubles',
      '{% set n = namespace(s="ab") %}{% for i in range(60) %}{% set n.s = n.s + n.s %}{% endfor %}',
    ],
    [
      'a list that doubles',
      '{% set n = namespace(s=[1]) %}{% for i in range(60) %}{% set n.s = n.s + n.s %}{% endfor %}',
    ],
    [
      'a filter that multiplies',
      `{% set n = namespace(s="${'a'.repeat(99)}") %}{% for i in range(60) %}{% set n.s = n.s | replace("a", n.s) %}{% endfor %}`,
    ],
    ['an output that repeats', `{% for i in range(99999) %}${'x'.repeat(9999)}{% endfor %}`],
    ['brackets without end', `{{ ${'('.repeat(50_000)}1${')'.repeat(50_000)} }}`],
  ])('does not hang on %s', (_, source) => {
    const codes = ['invalid-option', 'corrupt-checkpoint'];
    expect(codes).toContain(failure(() => createChatTemplate(source).render([])).code);
  });

  it('renders a long chat in few steps', () => {
    const messages = Array.from({ length: 2000 }, (_, i) => ({
      role: i % 2 ? ('assistant' as const) : ('user' as const),
      content: 'x'.repeat(1000),
    }));
    const { template } = templates.find(({ name }: { name: string }) => name === 'namespace');
    expect(createChatTemplate(template).render(messages)).toBe('1998|seen');
  });

  it('counts like Python', () => {
    const ranges =
      '{% for i in range(3) %}{{ i }}{% endfor %}|{% for i in range(1, 4) %}{{ i }}{% endfor %}|{% for i in range(5, 0, -2) %}{{ i }}{% endfor %}|{% for i in range(3, 1) %}{{ i }}{% endfor %}';
    expect(createChatTemplate(ranges).render([])).toBe('012|123|531|');
  });

  it('bounds the size of the messages', () => {
    const error = failure(() => createChatTemplate('{{ messages[0].content }}').render([user('x'.repeat(4_000_001))]));
    expect(error.details).toMatchObject({ characters: 4_000_001, limit: 4_000_000 });
  });
});

describe('templateSource', () => {
  it('takes a string, or the default of a list, or nothing', () => {
    expect(templateSource('a')).toBe('a');
    expect(
      templateSource([
        { name: 'tool_use', template: 'b' },
        { name: 'default', template: 'c' },
      ]),
    ).toBe('c');
    const named = [
      { name: 'default', template: 'c' },
      { name: 'tool_use', template: 'd' },
    ];
    expect([templateSource(named), templateSource(named, true)]).toEqual(['c', 'd']);
    expect(templateSource(named.slice(0, 1), true)).toBe('c');
    expect(templateSource([{ name: 'rag', template: 'd' }])).toBe('d');
    expect(templateSource(undefined)).toBeNull();
    expect(templateSource([])).toBeNull();
    expect(templateSource({ default: 'e' })).toBeNull();
  });
});
