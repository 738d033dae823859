/** What a session of the Prompt API is asked, checked, as messages and options of an answer. */
import type { GenerateOptions, MessageInput, Tool } from '../index';
import type {
  PromptCallOptions,
  PromptCoreOptions,
  PromptExpected,
  PromptInput,
  PromptMessage,
  PromptSamplingMode,
  PromptTool,
} from './prompt-api-types';
import { exception } from './prompt-errors';

const ROLES = ['system', 'user', 'assistant'];
/** Tools are announced so, too. */
const READ = ['text', 'tool-call', 'tool-response'];
export const MAX_TOP_K = 128;
export const MAX_TEMPERATURE = 2;

const MODES: Readonly<Record<PromptSamplingMode, GenerateOptions>> = {
  'most-predictable': { temperature: 0 },
  predictable: { temperature: 0.4, topP: 0.9 },
  'slightly-predictable': { temperature: 0.6, topP: 0.95 },
  balanced: {},
  'slightly-creative': { temperature: 0.9, topP: 0.95 },
  creative: { temperature: 1, topP: 0.98 },
  'most-creative': { temperature: 1.3, minP: 0.05 },
};

/** Messages that were checked. */
export interface Checked {
  messages: MessageInput[];
  /** the last one is continued */
  prefix: boolean;
}

function textOf(content: PromptMessage['content']): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) throw new TypeError('The content of a message must be a text, or a list of parts.');
  const texts = content.map(({ type, value }): string => {
    if (type !== 'text')
      throw exception('NotSupportedError', `Content of the type ${type} is not read: text alone is.`);
    if (typeof value !== 'string') throw new TypeError('The value of a part of the type text must be a text.');
    return value;
  });
  return texts.join('\n');
}

export const lateSystem = () => new TypeError("Only a session's first message may be the system's.");

/**
 * @param first nothing was said before: the first message may be the system's
 * @throws TypeError, and NotSupportedError and SyntaxError as DOMExceptions
 */
export function checkInput(input: PromptInput, first: boolean, prefixes = true): Checked {
  if (typeof input === 'string') return { messages: [{ role: 'user', content: input }], prefix: false };
  if (!Array.isArray(input)) throw new TypeError('A prompt must be a text, or a list of messages.');
  const messages = input.map(({ role, content, prefix }: PromptMessage, place): MessageInput => {
    if (!ROLES.includes(role)) throw new TypeError(`${role} is no role: it must be one of ${ROLES.join(', ')}.`);
    if (role === 'system' && !(first && place === 0)) throw lateSystem();
    if (prefix && !(prefixes && role === 'assistant' && place === input.length - 1))
      throw exception('SyntaxError', "Only the last message of a prompt, the assistant's, may be a prefix.");
    return { role, content: textOf(content) };
  });
  return { messages, prefix: Boolean(input.at(-1)?.prefix) };
}

/** Neighbours of one role as one message: many templates want the roles in turns. */
export function inTurns(messages: readonly MessageInput[]): MessageInput[] {
  const turns: MessageInput[] = [];
  for (const message of messages) {
    const before = turns.at(-1);
    const joins = before?.role === message.role && message.role !== 'tool' && !before.tool_calls && !message.tool_calls;
    if (joins) turns[turns.length - 1] = { ...before, content: `${before.content}\n\n${message.content}` };
    else turns.push(message);
  }
  return turns;
}

/** What the answer is held to, and a sentence that tells the model so; null: nothing. */
export function constraintOf({ responseConstraint, omitResponseConstraintInput }: PromptCallOptions) {
  if (responseConstraint === undefined || responseConstraint === null) {
    if (omitResponseConstraintInput) throw new TypeError('omitResponseConstraintInput is for a responseConstraint.');
    return null;
  }
  const told = (sentence: string) => (omitResponseConstraintInput ? '' : sentence);
  if (responseConstraint instanceof RegExp) {
    const { source, flags } = responseConstraint;
    if (/[imsv]/.test(flags))
      throw exception('NotSupportedError', `A regular expression with the flags ${flags} cannot be held to.`);
    return { options: { pattern: source }, sentence: told(`Answer with a text that matches /${source}/ as a whole.`) };
  }
  if (typeof responseConstraint !== 'object' || Array.isArray(responseConstraint))
    throw new TypeError('responseConstraint must be a JSON Schema or a RegExp.');
  const sentence = `Answer with JSON that is valid under this schema: ${JSON.stringify(responseConstraint)}`;
  return { options: { schema: responseConstraint as Record<string, unknown> }, sentence: told(sentence) };
}

/** Messages with a sentence behind the last question. */
export function withSentence(messages: readonly MessageInput[], sentence: string): MessageInput[] {
  const place = sentence ? messages.findLastIndex(({ role }) => role === 'user') : -1;
  return messages.map((message, i) =>
    i === place ? { ...message, content: `${message.content}\n\n${sentence}` } : message,
  );
}

/** @throws NotSupportedError for content that is not read or said */
export function checkExpected({ expectedInputs = [], expectedOutputs = [] }: PromptCoreOptions): void {
  const other = [...expectedInputs, ...expectedOutputs].find(({ type }: PromptExpected) => !READ.includes(type));
  if (other) throw exception('NotSupportedError', `The model reads and says text, and no ${other.type}.`);
}

/** @throws TypeError for what is no tool, NotSupportedError where calls would be left to the caller */
export function toolsOf(tools: readonly PromptTool[] = []): Tool[] {
  return tools.map(({ name, description, inputSchema, execute }) => {
    if (typeof name !== 'string') throw new TypeError('A tool must have a name.');
    if (typeof execute !== 'function')
      throw exception('NotSupportedError', `The tool ${name} has no execute(): sessions make all calls themselves.`);
    const parameters = inputSchema as Record<string, unknown>;
    return { name, description, parameters, run: (args) => execute(args) };
  });
}

/** Options of all answers of a session. @throws TypeError, RangeError */
export function samplingOf({ samplingMode, topK, temperature }: PromptCoreOptions) {
  const raw = topK !== undefined || temperature !== undefined;
  if (samplingMode !== undefined) {
    if (raw) throw new TypeError('samplingMode excludes topK and temperature.');
    if (!Object.hasOwn(MODES, samplingMode))
      throw new TypeError(`${samplingMode} is no samplingMode: it must be one of ${Object.keys(MODES).join(', ')}.`);
    return { mode: samplingMode, options: MODES[samplingMode] };
  }
  if (!raw) return { mode: 'balanced' as const, options: {} };
  if (topK !== undefined && !(topK >= 1)) throw new RangeError('topK must be at least 1.');
  if (temperature !== undefined && !(temperature >= 0)) throw new RangeError('temperature must be at least 0.');
  const options = {
    ...(topK !== undefined && { topK: Math.trunc(Math.min(topK, MAX_TOP_K)) }),
    ...(temperature !== undefined && { temperature: Math.min(temperature, MAX_TEMPERATURE) }),
  };
  return { mode: null, options };
}
