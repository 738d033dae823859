/** One request, whole: input -> ids -> plan -> cache -> answer. Its code arrives while weights do. */
import { NibbleError } from '../errors';
import { checkIds } from '../execute/check-prompt';
import { generate, type Turn } from '../generate/generate';
import { modelDefaults, undoneNote } from '../generate/model-defaults';
import { checkWindow, droppedNote, droppedOf, SINKS, tooLong, type Window } from '../generate/overflow';
import { effectiveOptions } from '../generate/sampling-options';
import { createTextStream } from '../generate/text-stream';
import { longestContext } from '../memory/longest-context';
import { contextLimit, reachedTokens } from '../memory/plan';
import { REQUEST_OPTIONS } from '../options/request';
import { checkOptions } from '../options/spec';
import type { GenerateRequest, GenerateResult, MessageInput, PromptOptions, TokenMessage } from '../protocol';
import { type ChatPrompt, chatPromptSteps } from '../text/chat-prompt';
import { textOf } from '../text/messages';
import { atOnce } from '../text/steps';
import type { Tokenizer } from '../text/tokenizer';
import { inTurns } from './in-turns';
import type { Model } from './open-model';
import { checkFits, memoryInfo, planFor, planRequest, within } from './planning';

/** for open-model.ts, whose own code comes before weights do */
export { Conversations } from '../generate/conversations';
export { modelDefaults, undoneNote } from '../generate/model-defaults';
export { inTurns } from './in-turns';

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
function* inputSteps(
  model: Model,
  input: GenerateRequest['input'],
  options: PromptOptions = {},
): Generator<number, Prompt> {
  const { ids, form } =
    'ids' in input ? { ids: Array.from(input.ids ?? []), form: null } : yield* textSteps(model, input, options);
  if (ids.length === 0) {
    throw new NibbleError('invalid-option', 'The prompt is empty. Give at least one token.', { tokens: 0 });
  }
  return { ids: checkIds(ids, model.plan.spec.vocab), form };
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
  const { template, plan, checkpoint } = model;
  if (Array.isArray(messages) && messages.length === 0) return { text: '', ids: [], form: null };
  if (!template) {
    throw new NibbleError(
      'invalid-option',
      `${checkpoint.name} has no chat template: use a plain prompt, or give one as chatTemplate.`,
    );
  }
  return yield* chatPromptSteps({ tokenizer, template, rows: plan.spec.vocab }, messages, options);
}

/**
 * What of a long conversation may be seen: as many positions as there is room for, and always the system prompt.
 * @throws out-of-memory where there is no room at all
 */
async function windowOf(
  model: Model,
  input: GenerateRequest['input'],
  template: PromptOptions,
  ids: readonly number[],
): Promise<Window> {
  const { plan, limits, target, options } = model;
  const limit = longestContext(plan, planRequest(options, 1, 1), limits, target);
  if (limit === 0) await checkFits(model, planFor(model, 1, 1));
  return { limit, keep: Math.max(SINKS, systemTokens(model, input, template, ids)) };
}

/** How many ids come before the first message that is not the system's, its template's included: as in another chat. */
function systemTokens(
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
  const otherIds = atOnce(promptSteps(model, [...input.messages.slice(0, first), other], options)).ids;
  const parted = ids.findIndex((id, i) => id !== otherIds[i]);
  return parted < 0 ? ids.length : parted;
}

/** Models whose bad defaults have been told of. */
const told = new WeakSet<Model>();

/** What of the model's defaults this answer does not follow; what makes no sense in them, once. */
function defaultsNotes(model: Model, { temperature }: Turn['options']): (string | null)[] {
  const { bad, undone } = modelDefaults(model.checkpoint.generationConfig);
  const once = told.has(model) ? [] : bad;
  told.add(model);
  return [...once, undoneNote(undone.filter(({ draws }) => !draws || temperature > 0))];
}

/** The result of a request that was stopped before it began. */
function unanswered(promptTokens: number, options: Turn['options']): Omit<GenerateResult, 'memory'> {
  const none = { reusedTokens: 0, droppedTokens: 0, newTokens: 0, ttftMs: 0, prefillTps: 0, decodeTps: 0 };
  const nothing = { ids: [], text: '', reasoning: '', raw: '' };
  return { ...nothing, finish: 'aborted', options, stats: { promptTokens, ...none }, note: null };
}

/**
 * Answers one request; requests must not overlap.
 * @throws invalid-option, context-overflow, out-of-memory, device-lost
 */
export async function answer(
  loaded: Model,
  request: Omit<GenerateRequest, 'id'>,
  send: (message: TokenMessage) => void,
  signal?: AbortSignal,
): Promise<GenerateResult> {
  const startedAt = performance.now();
  const { input, options: given, made = [], conversation = 0, saved, maxContext } = request;
  const model = within(loaded, maxContext);
  const { spec } = model.plan;
  const { templateOptions, parseSpecial } = checkOptions(REQUEST_OPTIONS, given);
  const template = { templateOptions, parseSpecial };
  const { kvCapacity } = model.options;
  const limit = contextLimit(spec, model.options);
  const most = typeof kvCapacity === 'number' ? Math.min(kvCapacity, limit) : limit;
  const shifts = given.overflow === 'shift';
  const optionsFor = (tokens: number) => {
    const room = shifts ? Number.POSITIVE_INFINITY : most - tokens + 1;
    return effectiveOptions(given, model.checkpoint.generationConfig, room);
  };
  let counted = 0;
  const count = (atLeast: number) => {
    counted = atLeast;
    if (counted > most && !shifts) throw tooLong(counted, most, spec.contextLength);
  };
  // what is known of the answer already is given back, also when it is stopped now
  const prompt = await inTurns(inputSteps(model, input, template), count, made.length ? undefined : signal);
  if (!prompt) return { ...unanswered(counted, optionsFor(counted)), memory: memoryInfo(model) };
  const { ids, form } = prompt;
  const options = optionsFor(ids.length);
  const stops = options.stop as string[];
  const text = model.tokenizer || stops.length > 0 ? createTextStream(tokenizerOf(model), stops, form) : null;
  const window = shifts ? await windowOf(model, input, template, ids) : null;
  const planOf = (newTokens: number, snapshots?: 0) => {
    if (!window) return planFor(model, ids.length, newTokens, snapshots);
    const seen = ids.length - droppedOf(ids.length, window);
    return planFor(model, seen, Math.min(newTokens, window.limit - seen + 1), snapshots);
  };
  const reached = ids.length + options.maxNewTokens - 1;
  if (window && reached > window.limit) {
    // what the memory budget leaves no room for is its matter, and not the context's
    const needed = planFor(model, Math.min(most, 2 * window.keep), 1);
    await checkFits(model, needed, () => planFor(model, Math.min(most, reached), 1));
    checkWindow(window);
  }
  const plan = planOf(options.maxNewTokens);
  await checkFits(model, plan);
  // stopped while it waited: nobody's cache makes room for it
  if (signal?.aborted && made.length === 0) return { ...unanswered(ids.length, options), memory: memoryInfo(model) };
  const { tryRestore } = saved === undefined ? { tryRestore: null } : await import('./saved-caches');
  const spoilt = tryRestore && (await tryRestore(model, conversation, saved!, reachedTokens(plan.request), signal));
  const asked = plan.request.maxNewTokens;
  const reserved = await model.conversations.reserve(conversation, asked, planOf);
  const { newTokens } = reserved;
  const notes = [reserved.note, spoilt, ...defaultsNotes(loaded, options)];
  if (newTokens < asked && window) {
    window.limit = reachedTokens(reserved.plan.request);
    checkWindow(window);
    notes.push(`The device had no room for more than ${window.limit} tokens of this conversation.`);
  } else if (newTokens < asked) {
    options.maxNewTokens = newTokens;
    notes.push(`The device had no room for ${asked} new tokens, so this answer has ${newTokens} at most.`);
  }
  const turn: Turn = {
    ids,
    made: checkIds(made, spec.vocab),
    window,
    shift: (shift) => model.conversations.shift(conversation, shift, reserved.plan),
    options,
    stopIds: model.stopIds,
    text,
    startedAt,
    onPrefill: request.prefill ? (prefill) => send({ text: '', ids: [], prefill }) : undefined,
    signal,
  };
  const answering = generate(model.executor, reserved.conversation, turn);
  for (;;) {
    const { value, done } = await answering.next();
    if (done) {
      if (window) notes.push(droppedNote(value.stats.droppedTokens, window));
      const note = notes.filter((note) => note !== null).join(' ') || null;
      return { ...value, memory: memoryInfo(model), note };
    }
    send(value);
  }
}
