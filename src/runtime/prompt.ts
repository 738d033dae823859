/** From what is asked (text, messages, ids) to the ids that the model is given. */
import { NibbleError } from '../errors';
import { checkIds } from '../execute/check-prompt';
import type { GenerateRequest, MessageInput, PromptOptions } from '../protocol';
import { type ChatPrompt, chatPromptSteps } from '../text/chat-prompt';
import { textOf } from '../text/messages';
import { atOnce } from '../text/steps';
import type { Tokenizer } from '../text/tokenizer';
import { inTurns } from './in-turns';
import type { Model } from './model';

/** @throws invalid-option when the model came without tokenizer.json */
export function tokenizerOf({ tokenizer, checkpoint }: Model): Tokenizer {
  if (tokenizer) return tokenizer;
  throw new NibbleError('invalid-option', `${checkpoint.name} has no tokenizer.json: give ids instead of text.`);
}

interface Prompt {
  ids: number[];
  form: ChatPrompt['form'];
}

/** @throws invalid-option for an empty or malformed prompt, and ids out of range */
export const encodeInput = (model: Model, input: GenerateRequest['input']): Prompt => atOnce(inputSteps(model, input));

/**
 * @yields how many ids there will be at least
 * @throws invalid-option for an empty or malformed prompt, and ids out of range
 */
export function* inputSteps(
  model: Model,
  input: GenerateRequest['input'],
  options: PromptOptions = {},
): Generator<number, Prompt> {
  const { ids, form } =
    'ids' in input ? { ids: Array.from(input.ids ?? []), form: null } : yield* textSteps(model, input, options);
  if (ids.length === 0) {
    throw new NibbleError('invalid-option', 'The prompt is empty. Give at least one token.', { tokens: 0 });
  }
  return { ids: checkIds(ids, model.graph.spec.vocab), form };
}

function* textSteps(
  model: Model,
  input: { prompt: string } | { messages: MessageInput[] },
  options: PromptOptions,
): Generator<number, Prompt> {
  if ('messages' in input) return yield* promptSteps(model, input.messages, options);
  const tokenizer = tokenizerOf(model);
  // a beginning-of-text token alone is not a question
  const ids = input.prompt ? yield* tokenizer.steps(input.prompt, { special: true, bos: true }) : [];
  return { ids, form: null };
}

/**
 * What the model is given for these messages; nothing for none.
 * @yields how many ids there will be at least
 * @throws invalid-option
 */
export function* promptSteps(
  model: Model,
  messages: readonly MessageInput[],
  options: PromptOptions,
): Generator<number, ChatPrompt> {
  const tokenizer = tokenizerOf(model);
  const { template, toolTemplate, ownForm, graph, checkpoint } = model;
  if (Array.isArray(messages) && messages.length === 0) return { text: '', ids: [], form: null };
  if (!template) {
    throw new NibbleError(
      'invalid-option',
      `${checkpoint.name} has no chat template: use a plain prompt, or give one as chatTemplate.`,
    );
  }
  return yield* chatPromptSteps(
    { tokenizer, template, toolTemplate, ownForm, rows: graph.spec.vocab },
    messages,
    options,
  );
}

/** How many ids come before the first message that is not the system's, its template's included: as in another chat. */
export function systemTokens(
  model: Model,
  input: GenerateRequest['input'],
  options: PromptOptions,
  ids: readonly number[],
): number {
  if (!('messages' in input)) return 0;
  const first = input.messages.findIndex(({ role }) => role !== 'system' && role !== 'developer');
  if (first < 0) return ids.length;
  const { role, content } = input.messages[first];
  const other = { role, content: textOf((content ?? '') as string).startsWith('1') ? '2' : '1' };
  const whole = { ...options, continueFinalMessage: false };
  const otherIds = atOnce(promptSteps(model, [...input.messages.slice(0, first), other], whole)).ids;
  const parted = ids.findIndex((id, i) => id !== otherIds[i]);
  return parted < 0 ? ids.length : parted;
}

/** The prompt for these messages, as text and as ids. @throws invalid-option */
export async function encodeMessages(
  model: Model,
  messages: readonly MessageInput[],
  options: PromptOptions,
): Promise<{ text: string; ids: number[] }> {
  const { text, ids } = (await inTurns(promptSteps(model, messages, options)))!;
  return { text, ids };
}

/** @param special parse special tokens that stand in the text @throws invalid-option */
export const encodeText = async (model: Model, text: string, special: boolean): Promise<number[]> =>
  (await inTurns(tokenizerOf(model).steps(text, { special, bos: false })))!;
