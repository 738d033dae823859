/**
 * Calls as published templates write them (reference/fixtures_tools.py), in every split; and with NIBBLE_TEMPLATES, the
 * folder that the script was given, prompts with tools beside transformers' own.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { fixture, readJson } from '../../formats/test/files';
import { chatPrompt } from '../chat-prompt';
import { createChatTemplate } from '../chat-template';
import { tiny } from '../test/tokenizers';
import { callForm, GENERIC_FORM } from './call-forms';
import { parseCalls } from './test/parse-calls';

interface Fact {
  name: string;
  sha256: string;
  turn: string;
  tool: 'sky' | 'plain';
  count: number;
  asked: string;
  continued: string | null;
  talk: string | null;
}

const { tools, calls, user, results, templates } = readJson(fixture('tokenizer/tools.json'));
const facts: Fact[] = templates;

/** Templates whose calls no row reads: families that do not load, or whose messages have channels. */
const UNREAD = [
  'CohereForAI-c4ai-command-r-plus-tool_use',
  'GigaChat3-10B-A1.8B',
  'GigaChat3.1-10B-A1.8B',
  'Kimi-K3',
  'MiniMax-M3',
  'deepseek-ai-DeepSeek-V3.2',
  'deepseek-ai-DeepSeek-V4',
  'deepseek-ai-DeepSeek-V4-Flash-0731',
  'meetkai-functionary-medium-v3.2',
  'muse-glimmer',
  'openai-gpt-oss-120b',
  'tencent-Hy3',
  'upstage-Solar-Open-100B',
];
/** The form is known by its marks in the turn itself, but for these, whose marks stand in the template alone. */
const MARKS: Record<string, string> = {
  'Llama-3': '"parameters": ipython',
  GLM: '<tool_call><arg_key><arg_value>',
  Ministral: '[TOOL_CALLS][ARGS]',
  'Kimi-K2': '<|tool_calls_section_begin|><|tool_call_argument_begin|>',
};

const formOf = ({ name, turn }: Fact) => {
  const more = Object.entries(MARKS).find(([part]) => name.includes(part))?.[1] ?? '';
  return callForm((mark) => (turn + more).includes(mark));
};

describe('calls as a template writes them', () => {
  const done = new Set<string>();
  it.each(facts.filter(({ name }) => !UNREAD.includes(name)).map((fact) => [fact.name, fact] as const))(
    '%s: are read, wherever the text is cut',
    (_, fact) => {
      const form = formOf(fact)!;
      const expected = [
        { name: 'sky_report', arguments: calls[fact.tool] },
        { name: 'add', arguments: calls.add },
      ].slice(0, fact.count);
      const given = [tools[fact.tool], tools.add];
      const whole = parseCalls(form, given, [fact.turn]);
      expect(whole.calls).toMatchObject(expected);
      expect(whole.calls.some(({ error }) => error !== undefined)).toBe(false);
      expect(whole.json.map((json) => JSON.parse(json))).toMatchObject(expected.map((call) => call.arguments));
      const { pieces: _pieces, ...same } = whole;
      expect(parseCalls(form, given, [...fact.turn])).toMatchObject(same);
      // each form once: several families write the same
      if (done.has(form.name)) return;
      done.add(form.name);
      for (let at = 1; at < fact.turn.length; at++) {
        const split = parseCalls(form, given, [fact.turn.slice(0, at), fact.turn.slice(at)]);
        expect(split).toMatchObject(same);
      }
    },
  );

  it('no row reads the others', () => {
    const known = facts.filter(({ name }) => UNREAD.includes(name));
    expect(known).toHaveLength(UNREAD.length);
    for (const fact of known) {
      const form = formOf(fact);
      expect(form && parseCalls(form, [tools.sky, tools.add], [fact.turn]).calls).toSatisfy(
        (read: unknown[] | null) => read === null || read.length === 0,
      );
    }
  });
});

const FOLDER = process.env.NIBBLE_TEMPLATES;
if (!FOLDER) console.log('Published templates are not rendered: NIBBLE_TEMPLATES names no folder.');
const rendered = FOLDER
  ? facts.filter(({ name }) => !UNREAD.includes(name) && existsSync(`${FOLDER}/${name}.jinja`))
  : [];

describe.runIf(FOLDER)('prompts with tools', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it.each(rendered.map((fact) => [fact.name, fact] as const))("%s: are transformers'", (_, fact) => {
    vi.useFakeTimers({ now: new Date(2026, 10, 30, 12) });
    const source = readFileSync(`${FOLDER}/${fact.name}.jinja`, 'utf8');
    const digest = (text: string) => createHash('sha256').update(text).digest('hex');
    expect(digest(source)).toBe(fact.sha256);
    const prompter = { tokenizer: tiny(), template: createChatTemplate(source), rows: 300 };
    const given = [tools[fact.tool], tools.add];
    const prompt = (messages: object[]) => chatPrompt(prompter, messages, { tools: given });
    const asked = prompt([user]);
    expect(asked.form?.calls).not.toBe(GENERIC_FORM);
    expect(digest(asked.text)).toBe(fact.asked);
    if (fact.continued) {
      const talk = [user, { role: 'assistant', content: 'Well, ' }];
      expect(digest(chatPrompt(prompter, talk, { continueFinalMessage: true }).text)).toBe(fact.continued);
    }
    const made = [
      { id: 'a1B2c3D40', type: 'function', function: { name: 'sky_report', arguments: calls[fact.tool] } },
      { id: 'a1B2c3D41', type: 'function', function: { name: 'add', arguments: calls.add } },
    ].slice(0, fact.count);
    const said = made.map(({ id, function: { name } }, i) => ({
      role: 'tool',
      name,
      tool_call_id: id,
      content: results[i],
    }));
    const texts = made.map((call) => ({
      ...call,
      function: { ...call.function, arguments: JSON.stringify(call.function.arguments) },
    }));
    for (const tool_calls of [made, texts]) {
      if (!fact.talk) continue;
      const talk = prompt([user, { role: 'assistant', content: '', tool_calls }, ...said]);
      expect(digest(talk.text)).toBe(fact.talk);
    }
  });
});
