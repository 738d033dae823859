/** What of a request's tools matters to its answer. */
import type { Callable } from '../generate/text-stream';
import type { FunctionTool } from '../protocol';
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
