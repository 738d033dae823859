/**
 * How families write calls of tools: the one place where their marks are named. A form is a row, found by its marks in
 * the template's own text or among the tokenizer's tokens, never by the model's name; a family that is new adds one.
 * Facts: the templates themselves, as models bring them, and the parsers of llama.cpp (common/chat.cpp,
 * common/parsers), vLLM (vllm/tool_parsers) and SGLang (python/sglang/srt/function_call), read in November 2026.
 */
import type { Marks } from '../reasoning';
import type { Dialect } from './literal';

/** How a call is written between its marks. */
export type Payload =
  /** an object with the name and the arguments, or a list of such; `named`: the name is the only key */
  | { kind: 'json'; name: string; arguments: string; more?: readonly string[]; named?: boolean }
  /**
   * a name, then the arguments in one value; the expression finds `name`, and `id`, in what is before that, in which
   * there may be `marks`
   */
  | {
      kind: 'named';
      header: RegExp;
      marks?: readonly string[];
      before: (name: string) => string;
      opens: '{' | '(';
      dialect?: Dialect;
    }
  /** tags around the name and each argument: opening, what ends the name, closing */
  | { kind: 'tags'; call: readonly [string, string, string]; argument: readonly [string, string, string, string] };

export interface CallForm {
  /** for people */
  name: string;
  /** texts, all of which are in the template or among the tokens */
  knownBy: readonly string[];
  /** what begins calls: the first is the form's own, '' says that an answer may begin with the payload itself */
  open: readonly string[];
  /** what ends them; '' : nothing */
  close: string;
  /** what may stand beside calls and means nothing */
  beside?: readonly string[];
  /** what stands around the payload of a call, or of the list of them, as the template writes it */
  around?: readonly [string, string];
  /** several calls are one 'list' in the marks, each is 'within' the same marks, or has its 'own' (default) */
  several?: 'list' | 'within' | 'own';
  payload: Payload;
  /** tokens that end an answer with calls, beside those that end every one */
  ends?: readonly string[];
  /** what a call is called by, if not by anything: nine letters and digits, or `functions.NAME:N` */
  ids?: 'nine' | 'functions';
  /** the template shows one call of a message */
  single?: boolean;
  /** where the template looks for tools, if not in `tools`: another variable, or a key of the system message */
  tools?: { variable: string } | { system: string };
  /** with what a call begins where the model forgets to end its thought */
  endsThought?: readonly string[];
  /** around what is thought, where that is not <think> */
  reasoning?: Marks;
}

const JSON_CALL = { kind: 'json', name: 'name', arguments: 'arguments' } as const satisfies Payload;
const TAGS = ['<parameter=', '>', '', '</parameter>'] as const;
const NAME = '(?<name>[\\w.-]+)';
const gemma = (before: string, quote: string): Payload => ({
  kind: 'named',
  header: new RegExp(`^${before}${NAME}$`),
  before: (name) => before + name,
  opens: '{',
  dialect: { quotes: [quote], bare: true },
});

/** The first that is known counts: more marks go before fewer. */
export const CALL_FORMS: readonly CallForm[] = [
  {
    name: 'GLM 4.5 and later',
    knownBy: ['<tool_call>', '<arg_key>', '<arg_value>'],
    open: ['<tool_call>'],
    close: '</tool_call>',
    payload: {
      kind: 'tags',
      call: ['', '\n', ''],
      argument: ['<arg_key>', '</arg_key>', '<arg_value>', '</arg_value>'],
    },
    ends: ['<|observation|>', '<|user|>'],
  },
  {
    name: 'Qwen 3 Coder, Qwen 3.5, Nemotron 3',
    knownBy: ['<tool_call>', '<function=', '<parameter='],
    open: ['<tool_call>', '<function='],
    close: '</tool_call>',
    payload: { kind: 'tags', call: ['<function=', '>', '</function>'], argument: TAGS },
    endsThought: ['<tool_call>\n<function='],
  },
  {
    name: 'Seed-OSS',
    knownBy: ['<seed:tool_call>'],
    open: ['<seed:tool_call>'],
    close: '</seed:tool_call>',
    payload: { kind: 'tags', call: ['<function=', '>', '</function>'], argument: TAGS },
    reasoning: { open: '<seed:think>', close: '</seed:think>' },
  },
  {
    name: 'MiniMax M2',
    knownBy: ['<minimax:tool_call>', '<invoke name='],
    open: ['<minimax:tool_call>'],
    close: '</minimax:tool_call>',
    several: 'within',
    payload: {
      kind: 'tags',
      call: ['<invoke name="', '">', '</invoke>'],
      argument: ['<parameter name="', '"', '>', '</parameter>'],
    },
  },
  {
    name: 'Functionary 3.1',
    knownBy: ['<function=', '</function>', '<|eom_id|>'],
    open: ['<function='],
    close: '',
    beside: ['</function>'],
    around: ['', '</function>'],
    payload: { kind: 'named', header: new RegExp(`^${NAME}>$`), before: (name) => `${name}>`, opens: '{' },
  },
  {
    name: 'MiniCPM 5',
    knownBy: ['<function name="', '<param name="'],
    open: ['<function name="'],
    close: '',
    payload: {
      kind: 'tags',
      call: ['<function name="', '">', '</function>'],
      argument: ['<param name="', '"', '>', '</param>'],
    },
  },
  {
    name: 'HunYuan',
    knownBy: ['<tool_calls>', '<tool_call>', '```json'],
    open: ['<tool_calls>', '<tool_call>'],
    close: '</tool_calls>',
    beside: ['<tool_call>', '</tool_call>', '```'],
    around: ['<tool_call>', '\n```</tool_call>'],
    several: 'within',
    payload: {
      kind: 'named',
      header: new RegExp(`^${NAME}\\s+\`\`\`json$`),
      before: (name) => `${name}\n\`\`\`json\n`,
      opens: '{',
    },
  },
  {
    name: 'Jamba, Apriel, MiniMax M1',
    knownBy: ['<tool_calls>', '</tool_calls>'],
    open: ['<tool_calls>'],
    close: '</tool_calls>',
    around: ['[', ']'],
    several: 'list',
    payload: JSON_CALL,
  },
  {
    name: 'SmolLM 3',
    knownBy: ['<tool_call>', 'xml_tools'],
    open: ['<tool_call>'],
    close: '</tool_call>',
    around: ['\n', '\n'],
    payload: JSON_CALL,
    tools: { variable: 'xml_tools' },
  },
  {
    name: 'Hermes, Qwen 2.5, Qwen 3, Granite 4, EXAONE 4',
    knownBy: ['<tool_call>', '</tool_call>'],
    open: ['<tool_call>'],
    close: '</tool_call>',
    around: ['\n', '\n'],
    payload: JSON_CALL,
  },
  {
    name: 'Gemma 4',
    knownBy: ['<|tool_call>', '<tool_call|>'],
    open: ['<|tool_call>'],
    close: '<tool_call|>',
    payload: gemma('call:', '<|"|>'),
    ends: ['<|tool_response>'],
    reasoning: { open: '<|channel>thought', close: '<channel|>' },
  },
  {
    name: 'FunctionGemma',
    knownBy: ['<start_function_call>', '<end_function_call>'],
    open: ['<start_function_call>'],
    close: '<end_function_call>',
    payload: gemma('call:', '<escape>'),
    ends: ['<start_function_response>'],
  },
  {
    name: 'Mistral, with the name before the arguments',
    knownBy: ['[TOOL_CALLS]', '[ARGS]'],
    open: ['[TOOL_CALLS]'],
    close: '',
    payload: {
      kind: 'named',
      header: new RegExp(`^\\s*${NAME}(?:\\[CALL_ID\\](?<id>\\w*))?(?:\\[ARGS\\])?$`),
      marks: ['[CALL_ID]', '[ARGS]'],
      before: (name) => `${name}[ARGS]`,
      opens: '{',
    },
    ids: 'nine',
    reasoning: { open: '[THINK]', close: '[/THINK]' },
  },
  {
    name: 'Mistral, a list',
    knownBy: ['[TOOL_CALLS]'],
    open: ['[TOOL_CALLS]'],
    close: '',
    around: ['[', ']'],
    several: 'list',
    payload: { ...JSON_CALL, more: ['id'] },
    ids: 'nine',
  },
  {
    name: 'Kimi K2',
    knownBy: ['<|tool_calls_section_begin|>', '<|tool_call_argument_begin|>'],
    open: ['<|tool_calls_section_begin|>', '<|tool_call_section_begin|>', '<|tool_call_begin|>'],
    close: '<|tool_calls_section_end|>',
    beside: ['<|tool_call_begin|>', '<|tool_call_end|>'],
    around: ['<|tool_call_begin|>', '<|tool_call_end|>'],
    several: 'within',
    payload: {
      kind: 'named',
      header: new RegExp(`^(?<id>(?:functions\\.)?${NAME}:\\d+)\\s*<\\|tool_call_argument_begin\\|>$`),
      marks: ['<|tool_call_argument_begin|>'],
      before: (name) => `functions.${name}:0<|tool_call_argument_begin|>`,
      opens: '{',
    },
    ids: 'functions',
    endsThought: ['<|tool_calls_section_begin|>'],
  },
  {
    name: 'DeepSeek R1, V3 and V3.1',
    knownBy: ['<｜tool▁calls▁begin｜>', '<｜tool▁sep｜>'],
    open: ['<｜tool▁calls▁begin｜>', '<｜tool▁call▁begin｜>'],
    close: '<｜tool▁calls▁end｜>',
    beside: ['<｜tool▁call▁begin｜>', '<｜tool▁call▁end｜>', '```'],
    around: ['<｜tool▁call▁begin｜>', '<｜tool▁call▁end｜>'],
    several: 'within',
    payload: {
      kind: 'named',
      header: new RegExp(`^(?:function<｜tool▁sep｜>${NAME}\\s+\`\`\`json|(?<second>[\\w.-]+)<｜tool▁sep｜>)$`),
      marks: ['<｜tool▁sep｜>'],
      before: (name) => `${name}<｜tool▁sep｜>`,
      opens: '{',
    },
  },
  {
    name: 'LFM 2',
    knownBy: ['<|tool_call_start|>'],
    open: ['<|tool_call_start|>'],
    close: '<|tool_call_end|>',
    beside: ['[', ']'],
    around: ['[', ']'],
    several: 'list',
    payload: { kind: 'named', header: new RegExp(`^${NAME}$`), before: (name) => name, opens: '(' },
  },
  {
    name: 'OLMo 3',
    knownBy: ['<function_calls>', '</function_calls>'],
    open: ['<function_calls>'],
    close: '</function_calls>',
    several: 'within',
    beside: ['[', ']'],
    payload: { kind: 'named', header: new RegExp(`^${NAME}$`), before: (name) => name, opens: '(' },
  },
  {
    name: 'Command R7B, Command A',
    knownBy: ['<|START_ACTION|>', '<|END_ACTION|>'],
    open: ['<|START_ACTION|>'],
    close: '<|END_ACTION|>',
    around: ['[', ']'],
    several: 'list',
    payload: { kind: 'json', name: 'tool_name', arguments: 'parameters', more: ['tool_call_id'] },
    reasoning: { open: '<|START_THINKING|>', close: '<|END_THINKING|>' },
  },
  {
    name: 'Apertus',
    knownBy: ['<|tools_prefix|>', '<|tools_suffix|>'],
    open: ['<|tools_prefix|>'],
    close: '<|tools_suffix|>',
    around: ['[', ']'],
    several: 'list',
    payload: { ...JSON_CALL, named: true },
    ends: ['<|tools_suffix|>'],
    reasoning: { open: '<|inner_prefix|>', close: '<|inner_suffix|>' },
  },
  {
    name: 'Nemotron Nano 2',
    knownBy: ['<TOOLCALL>', '</TOOLCALL>'],
    open: ['<TOOLCALL>'],
    close: '</TOOLCALL>',
    around: ['[', ']'],
    several: 'list',
    payload: JSON_CALL,
  },
  {
    name: 'InternLM',
    knownBy: ['<|action_start|>', '<|plugin|>'],
    open: ['<|action_start|>'],
    close: '<|action_end|>',
    beside: ['<|plugin|>'],
    around: ['<|plugin|>\n', ''],
    payload: { ...JSON_CALL, arguments: 'parameters' },
    ends: ['<|action_end|>'],
  },
  {
    name: 'Phi 4 mini',
    knownBy: ['<|tool_call|>', '<|/tool_call|>'],
    open: ['<|tool_call|>', 'functools'],
    close: '<|/tool_call|>',
    around: ['[', ']'],
    several: 'list',
    payload: JSON_CALL,
    tools: { system: 'tools' },
  },
  {
    name: 'Granite 3',
    knownBy: ['<|tool_call|>'],
    open: ['<|tool_call|>', '<tool_call>'],
    close: '',
    beside: ['</tool_call>'],
    around: ['[', ']'],
    several: 'list',
    payload: JSON_CALL,
  },
  {
    name: 'Llama 3 and 4',
    knownBy: ['"parameters": ', 'ipython'],
    open: ['', '<|python_tag|>', '<|python_start|>'],
    close: '',
    single: true,
    beside: ['<|python_end|>', ';'],
    payload: { ...JSON_CALL, arguments: 'parameters' },
  },
];

/**
 * For templates that know no tools, as llama.cpp has it (common/chat.cpp, "Generic"): an answer is one object, a call
 * or a text.
 */
export const GENERIC_FORM: CallForm = {
  name: 'generic',
  knownBy: [],
  open: [''],
  close: '',
  beside: ['```json', '```'],
  around: ['{"tool_call": ', '}'],
  payload: JSON_CALL,
};

/** @param has whether the template or the tokenizer has this text */
export const callForm = (has: (mark: string) => boolean): CallForm | null =>
  CALL_FORMS.find(({ knownBy }) => knownBy.every(has)) ?? null;

/** All marks of a form: each may be a control token. */
export function marksOf({ open, close, beside = [], payload }: CallForm): string[] {
  const marks = [...open, close, ...beside];
  if (payload.kind === 'tags') marks.push(...payload.call, ...payload.argument);
  if (payload.kind === 'named') marks.push(...(payload.dialect?.quotes ?? []), ...(payload.marks ?? []));
  return marks.filter(Boolean);
}
