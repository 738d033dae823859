/** Answers that are held to a form, for a loaded model: fetched with the first one. */
import { Constraints, callGrammar } from '../constraint/index';
import { NibbleError } from '../errors';
import type { Constrained, Turn } from '../generate/generate';
import type { ChatPrompt } from '../text/chat-prompt';
import type { Tokenizer } from '../text/tokenizer';
import type { Model, Plannable } from './model';
import { tokenizerOf } from './prompt';
import type { AskedCall } from './tool-calls';
import { keepIndexBytes } from './vocabulary-index';

/** By tokenizer: what is known of its vocabulary, once a constraint has asked. */
const vocabularies = new WeakMap<Tokenizer, Constraints>();

function constraintsOf(model: Model): Constraints {
  const tokenizer = tokenizerOf(model);
  let constraints = vocabularies.get(tokenizer);
  if (!constraints) {
    constraints = new Constraints({ tokenizer, ends: [...model.stopIds] }, model.graph.spec.vocab);
    vocabularies.set(tokenizer, constraints);
    keepIndexBytes(tokenizer, constraints.indexBytes);
  }
  return constraints;
}

/** @throws invalid-option for a constraint that cannot be followed */
export function constrain(
  model: Model,
  options: Turn['options'],
  form: ChatPrompt['form'],
  call: AskedCall | null,
): Constrained {
  const own = call && {
    key: JSON.stringify(call),
    grammar: () => callGrammar(call.form, call.tools, call.orAnswer),
  };
  const constraints = constraintsOf(model);
  return constraints.begin({ ...options, own }, form?.reasoning ? { ...form, reasoning: form.reasoning } : null);
}

/** Bytes of the vocabulary's index, which is made for it. @throws invalid-option where the model is not loaded */
export function indexOf(model: Plannable | Model): number {
  if ('tokenizer' in model) return constraintsOf(model).indexBytes;
  const message =
    'What constrained answers take is known once the model is loaded: load it, or leave `constrained` out.';
  throw new NibbleError('invalid-option', message, { option: 'constrained' });
}
