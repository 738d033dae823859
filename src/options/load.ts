/** What load() and its neighbours take beside the engine's options; they cannot be sent to a worker. */
import type { PlanQuery } from '../protocol';
import { ENGINE_OPTIONS, plannedOptions } from './engine';
import { REQUEST_OPTIONS } from './request';
import type { Spec, Specs } from './spec';

export const HUB_OPTIONS = {
  revision: { type: 'text', only: 'code', says: 'Of a Hub repository: branch, tag or commit.' },
  token: { type: 'text', only: 'code', says: 'Of a Hub repository that is not public; sent to the Hub alone.' },
  hub: { type: 'text', only: 'code', says: 'Address of the Hub, or of what stands for it.' },
} as const satisfies Record<string, Spec>;

export const WORKER_OPTIONS = {
  workerUrl: {
    type: 'address',
    only: 'code',
    says: "Where the worker's script is, for pages whose policy wants a file.",
  },
  createWorker: { type: 'function', only: 'code', says: 'Another way to make the worker.' },
} as const satisfies Record<string, Spec>;

const SIGNAL = { signal: { type: 'signal', only: 'code', says: 'Stops what is under way.' } } as const;

export const LOAD_OPTIONS = {
  ...ENGINE_OPTIONS,
  ...HUB_OPTIONS,
  ...WORKER_OPTIONS,
  ...SIGNAL,
  lora: { type: 'any', only: 'code', says: 'LoRA adapters that are active from the start.' },
  onProgress: { type: 'function', only: 'code', says: 'Told how far loading has come.' },
} as const satisfies Record<string, Spec>;

export const INSPECT_OPTIONS = {
  ...ENGINE_OPTIONS,
  ...HUB_OPTIONS,
  ...WORKER_OPTIONS,
  sizes: { type: 'flag', only: 'code', says: 'Whether the sizes of the weight files are asked for.' },
} as const satisfies Record<string, Spec>;

/** What storedModels() and its neighbours take. */
export const STORED_OPTIONS = { ...HUB_OPTIONS, ...WORKER_OPTIONS };

const SHOWN_TOOLS = {
  tools: { type: 'list', only: 'code', says: 'Tools that the model may call, with or without functions.' },
  toolForm: {
    type: 'choice',
    of: ['auto', 'native'],
    only: 'code',
    says: "Whether calls may be written in a form that the model's template does not have.",
  },
} as const satisfies Record<string, Spec>;

/** What an answer takes about tools. */
export const TOOL_OPTIONS = {
  ...SHOWN_TOOLS,
  toolChoice: { type: 'any', only: 'code', says: 'Whether tools are called: auto, none, required, or { name }.' },
  maxToolSteps: {
    type: 'number',
    least: 1,
    most: 1000,
    whole: true,
    only: 'code',
    says: 'How many answers with calls are followed by another where functions are given; 8.',
  },
} as const satisfies Record<string, Spec>;

/** Their names. */
export const TOOL_NAMES = Object.keys(TOOL_OPTIONS) as (keyof typeof TOOL_OPTIONS)[];

/** What an answer takes in the page. */
export const GENERATE_OPTIONS = {
  ...REQUEST_OPTIONS,
  ...TOOL_OPTIONS,
  ...SIGNAL,
  onPrefill: { type: 'function', only: 'code', says: 'Told how much of the prompt has been read.' },
  made: { type: 'list', only: 'code', says: 'Ids of an answer that was cut, with which it goes on.' },
} as const satisfies Record<string, Spec>;

/** What several answers at once take beside that. */
export const BATCH_OPTIONS = {
  n: { type: 'number', least: 1, most: 1024, whole: true, default: 1, only: 'code', says: 'Answers of each input.' },
  parallel: {
    type: 'number',
    least: 1,
    most: 16,
    whole: true,
    default: 4,
    only: 'code',
    says: 'How many answers are computed at once, at most.',
  },
} as const satisfies Record<string, Spec>;

const { templateOptions, parseSpecial, continueFinalMessage } = REQUEST_OPTIONS;

/** What makes a prompt of messages. */
export const PROMPT_OPTIONS = {
  templateOptions,
  parseSpecial,
  continueFinalMessage,
  ...SHOWN_TOOLS,
  addGenerationPrompt: { type: 'flag', says: "Whether the prompt ends with the opening of the assistant's turn." },
  tokenize: { type: 'flag', says: 'Whether ids are wanted in the place of text.' },
} as const satisfies Record<string, Spec>;

export const CONVERSATION_OPTIONS = {
  ...REQUEST_OPTIONS,
  ...TOOL_OPTIONS,
  system: { type: 'text', empty: true, says: 'What the model is told first.' },
  maxContext: ENGINE_OPTIONS.maxContext,
  messages: { type: 'list', says: 'What was said before, without the system message.' },
  saved: { type: 'text', says: 'Name under which save() keeps the cache.' },
} as const satisfies Record<string, Spec>;

const COUNT = { type: 'number', whole: true } as const;

/** What plan() takes: the numbers of a request, and options in the place of those that the model was loaded with. */
export const PLAN_QUERY = {
  ...plannedOptions(),
  promptTokens: { ...COUNT, least: 0, says: 'Tokens of the prompt, what was said before included.' },
  maxNewTokens: { ...COUNT, least: 1, says: 'Tokens that the answer may have.' },
} as Specs<Omit<PlanQuery, 'conversation'>>;
