/** One request, whole: input -> ids -> plan -> cache -> answer. */

import { checkIds } from '../execute/check-prompt';
import { generate, type Turn } from '../generate/generate';
import { modelDefaults, undoneNote } from '../generate/model-defaults';
import { checkWindow, droppedNote, droppedOf, SINKS, tooLong, type Window } from '../generate/overflow';
import { effectiveOptions } from '../generate/sampling-options';
import { createTextStream } from '../generate/text-stream';
import { createTokenTexts } from '../generate/token-texts';
import { longestContext } from '../memory/longest-context';
import { contextLimit, reachedTokens } from '../memory/plan';
import { REQUEST_OPTIONS } from '../options/request';
import { checkOptions } from '../options/spec';
import type { GenerateRequest, GenerateResult, PromptOptions, TokenMessage } from '../protocol';
import type { Among } from './company';
import { inTurns } from './in-turns';
import type { Model } from './model';
import { checkFits, memoryInfo, planFor, planRequest, within } from './planning';
import { inputSteps, systemTokens, tokenizerOf } from './prompt';
import { askedCall, callableOf, endIds, formNote } from './tool-calls';

/**
 * What of a long conversation may be seen: as many positions as there is room for, and always the system prompt.
 * @throws out-of-memory where there is no room at all
 */
async function windowOf(
  model: Model,
  input: GenerateRequest['input'],
  template: PromptOptions,
  ids: readonly number[],
  streams: number | undefined,
): Promise<Window> {
  const { graph, limits, target, options } = model;
  const limit = longestContext(graph, { ...planRequest(options, 1, 1), streams }, limits, target);
  if (limit === 0) await checkFits(model, planFor(model, 1, 1));
  return { limit, keep: Math.max(SINKS, systemTokens(model, input, template, ids)) };
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

const isConstrained = ({ schema, pattern, choice, grammar, maxThinkingTokens }: Turn['options']): boolean =>
  [schema, pattern, choice, grammar, maxThinkingTokens].some((asked) => asked !== null);

/** The result of a request that was stopped before it began. */
function unanswered(promptTokens: number, options: Turn['options']): Omit<GenerateResult, 'memory'> {
  const none = { reusedTokens: 0, droppedTokens: 0, newTokens: 0, ttftMs: 0, prefillTps: 0, decodeTps: 0 };
  const nothing = { ids: [], text: '', reasoning: '', toolCalls: [], raw: '' };
  return { ...nothing, finish: 'aborted', options, stats: { promptTokens, ...none }, note: null };
}

/**
 * Answers one request; requests must not overlap, but for those that have their places among others.
 * @throws invalid-option, context-overflow, out-of-memory, device-lost
 */
export async function respond(
  loaded: Model,
  request: Omit<GenerateRequest, 'id'>,
  send: (message: TokenMessage) => void,
  signal?: AbortSignal,
): Promise<GenerateResult>;
/** @returns null: there would be room for it if it had no place among others */
export async function respond(
  loaded: Model,
  request: Omit<GenerateRequest, 'id'>,
  send: (message: TokenMessage) => void,
  signal: AbortSignal,
  among: Among,
): Promise<GenerateResult | null>;
export async function respond(
  loaded: Model,
  request: Omit<GenerateRequest, 'id'>,
  send: (message: TokenMessage) => void,
  signal?: AbortSignal,
  among?: Among,
): Promise<GenerateResult | null> {
  const startedAt = performance.now();
  const { input, options: given, made = [], saved, maxContext } = request;
  const streams = among?.streams;
  const model = within(loaded, maxContext);
  const { spec } = model.graph;
  const { templateOptions, parseSpecial, continueFinalMessage } = checkOptions(REQUEST_OPTIONS, given);
  const { tools = [], toolForm } = request.tools ?? {};
  const untold = request.tools?.choice === 'none';
  const template = { templateOptions, parseSpecial, continueFinalMessage, tools, toolForm, untold };
  const { kvCapacity } = model.options;
  const limit = contextLimit(spec, model.options);
  const most = typeof kvCapacity === 'number' ? Math.min(kvCapacity, limit) : limit;
  const shifts = given.overflow === 'shift';
  const optionsFor = (tokens: number) => {
    const room = shifts ? Number.POSITIVE_INFINITY : most - tokens + 1;
    return effectiveOptions(given, model.checkpoint.generationConfig, room, tokens);
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
  const callable = form?.calls ? callableOf(tools, form.calls, options.seed + ids.length) : null;
  const text = model.tokenizer || stops.length > 0 ? createTextStream(tokenizerOf(model), stops, form, callable) : null;
  const call = form?.calls ? askedCall(form.calls, request.tools!, options) : null;
  const isHeld = call !== null || isConstrained(options);
  const constraint = isHeld ? (await import('./constrain')).constrain(loaded, options, form, call) : null;
  const window = shifts ? await windowOf(model, input, template, ids, streams) : null;
  const planOf = (newTokens: number, snapshots?: 0) => {
    if (!window) return planFor(model, ids.length, newTokens, snapshots, { streams });
    const seen = ids.length - droppedOf(ids.length, window);
    return planFor(model, seen, Math.min(newTokens, window.limit - seen + 1), snapshots, { streams });
  };
  const reached = ids.length + options.maxNewTokens - 1;
  if (window && reached > window.limit) {
    // what the memory budget leaves no room for is its matter, and not the context's
    const needed = planFor(model, Math.min(most, 2 * window.keep), 1);
    await checkFits(model, needed, () => planFor(model, Math.min(most, reached), 1));
    checkWindow(window);
  }
  const plan = planOf(options.maxNewTokens);
  if (streams && !plan.fits) return null;
  await checkFits(model, plan);
  // stopped while it waited: nobody's cache makes room for it
  if (signal?.aborted && made.length === 0) return { ...unanswered(ids.length, options), memory: memoryInfo(model) };
  const own = request.conversation ?? 0;
  const { tryRestore } = saved === undefined ? { tryRestore: null } : await import('./prompt-cache');
  const spoilt = tryRestore && (await tryRestore(model, own, saved!, reachedTokens(plan.request), signal));
  const asked = plan.request.maxNewTokens;
  const reserved = among
    ? await among.reserve(ids, asked, planOf, signal)
    : { ...(await model.sequences.reserve(own, asked, planOf)), conversation: own };
  if (!reserved) return { ...unanswered(ids.length, options), memory: memoryInfo(model) };
  const { newTokens, conversation } = reserved;
  const alone = among?.alone ?? ((work) => work());
  const notes = [reserved.note, spoilt, formNote(loaded, form), ...defaultsNotes(loaded, options)];
  if (newTokens < asked && window) {
    window.limit = reachedTokens(reserved.plan.request);
    checkWindow(window);
    notes.push(`The device had no room for more than ${window.limit} tokens of this conversation.`);
  } else if (newTokens < asked) {
    options.maxNewTokens = newTokens;
    notes.push(`The device had no room for ${asked} new tokens, so this answer has ${newTokens} at most.`);
  }
  const turn: Turn = {
    constraint,
    ids,
    made: checkIds(made, spec.vocab),
    window,
    shift: (shift) => alone(() => model.sequences.shift(conversation, shift, reserved.plan)),
    options,
    stopIds: endIds(model, form),
    text,
    texts: createTokenTexts(model.tokenizer),
    startedAt,
    onPrefill: request.prefill ? (prefill) => send({ text: '', ids: [], prefill }) : undefined,
    signal,
  };
  const answering = generate(among?.executor ?? model.executor, reserved.sequence, turn);
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
