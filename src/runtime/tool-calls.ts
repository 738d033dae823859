/** What of a request's tools matters to its answer. */

import type { EffectiveOptions } from '../generate/sampling-options';
import type { Callable } from '../generate/text-stream';
import type { FunctionTool, GenerateRequest, ToolDefinition } from '../protocol';
import type { ChatPrompt } from '../text/chat-prompt';
import { type CallForm, GENERIC_FORM } from '../text/tools/call-forms';
import { idIn, nineOf } from '../text/tools/tool-prompt';
import type { Model } from './model';

type Form = ChatPrompt['form'];

const GENERIC_NOTE =
  "The model's chat template knows no tools: they are described in the system message, and calls are JSON in its answers.";

/** @param salt makes the ids of calls unlike those of other answers, and the same where an answer is repeated */
export function callableOf(tools: readonly FunctionTool[], form: CallForm, salt: number): Callable {
  const properties = ({ function: { parameters } }: FunctionTool) => Object(parameters?.properties) as object;
  return {
    tools: Object.fromEntries(tools.map((tool) => [tool.function.name, { ...properties(tool) }])),
    idOf: (index, name) => idIn(form, nineOf(`${salt} ${index}`), name, index),
  };
}

/** A call that an answer has to be; see constraint/call-grammar.ts. */
export interface AskedCall {
  form: CallForm;
  tools: readonly ToolDefinition[];
  orAnswer: boolean;
}

/**
 * What the answer is held to: a call where one is asked for, and in the generic form a call or a text, or a text alone;
 * null: nothing, as in the family's own form, or where something else holds it already.
 */
export function askedCall(
  form: CallForm,
  { tools, choice = 'auto' }: NonNullable<GenerateRequest['tools']>,
  { schema, pattern, choice: texts, grammar }: EffectiveOptions,
): AskedCall | null {
  const held = [schema, pattern, texts, grammar].some((asked) => asked !== null);
  const orAnswer = choice === 'auto' || choice === 'answer';
  if (orAnswer && (form !== GENERIC_FORM || held)) return null;
  const all = tools.map((tool) => tool.function);
  const named = typeof choice === 'object' ? all.filter(({ name }) => name === choice.name) : all;
  return { form, tools: choice === 'answer' ? [] : named, orAnswer };
}

/** Ids that end an answer: with calls, also those that wait for what the tools say. */
export function endIds({ stopIds, tokenizer }: Model, form: Form): ReadonlySet<number> {
  const ids = (form?.calls?.ends ?? []).map((name) => tokenizer?.idOf(name));
  return new Set([...stopIds, ...ids.filter((id) => id !== undefined)]);
}

/** Models whose templates were said to know no tools. */
const told = new WeakSet<Model>();

/** Says, once, that a model's template knows no tools. */
export function formNote(model: Model, form: Form): string | null {
  if (form?.calls !== GENERIC_FORM || told.has(model)) return null;
  told.add(model);
  return GENERIC_NOTE;
}
