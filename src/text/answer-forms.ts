/**
 * How families write their answers: what they think first, and calls of tools (tools/call-forms.ts). A family is known
 * by its marks, in the template's own text or among the tokenizer's tokens, never by the model's name.
 */
import type { Marks } from './reasoning';
import type { Tokenizer } from './tokenizer';
import { type CallForm, callForm } from './tools/call-forms';
import type { OwnForm } from './tools/response-template';

export interface AnswerForm {
  /** around what is thought before the answer; a template may have opened it at the end of the prompt */
  reasoning: Marks | null;
  /** how calls are written; null: the family has no form */
  calls: CallForm | null;
}

/**
 * Qwen 3, QwQ, DeepSeek R1 and its distills, SmolLM3, Phi 4 reasoning, Granite 3.3 and later, EXAONE, OLMo 3 and
 * others; families with other marks have them in their row of CALL_FORMS.
 */
const THINK: Marks = { open: '<think>', close: '</think>' };

/**
 * @param source the chat template's
 * @param said by the tokenizer's own response_template, and counts for what it says
 */
export function answerForm(source: string, tokenizer: Pick<Tokenizer, 'idOf'>, said?: OwnForm | null): AnswerForm {
  const known = (mark: string) => source.includes(mark) || tokenizer.idOf(mark) !== undefined;
  const calls = callForm(known);
  const own = calls?.reasoning && known(calls.reasoning.close) ? calls.reasoning : null;
  const reasoning = said?.reasoning ?? own ?? (known(THINK.close) ? THINK : null);
  return { reasoning, calls: said?.calls ?? calls };
}

/** Whether the prompt ends behind what is thought: there is nothing to think any more. */
export const closesReasoning = (prompt: string, { reasoning }: AnswerForm): boolean =>
  reasoning !== null && prompt.trimEnd().endsWith(reasoning.close);

/** Whether the prompt ends within what is thought: its end opens that. */
export const opensReasoning = (prompt: string, { reasoning }: AnswerForm): boolean =>
  reasoning !== null && prompt.trimEnd().endsWith(reasoning.open);
