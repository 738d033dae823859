/**
 * How families write their answers: the one place where their marks are named. A family is known by its marks, in the
 * template's own text or among the tokenizer's tokens, never by the model's name.
 */
import type { Tokenizer } from './tokenizer';

export interface Marks {
  open: string;
  close: string;
}

export interface AnswerForm {
  /** texts, each of which tells the form */
  knownBy: readonly string[];
  /** around what is thought before the answer; a template may have opened it at the end of the prompt */
  reasoning: Marks;
}

/** The first that is known counts. */
export const ANSWER_FORMS: readonly AnswerForm[] = [
  // Qwen 3, QwQ, DeepSeek R1 and its distills, SmolLM3, Phi 4 reasoning, Granite 3.3 and later, EXAONE, OLMo 3 and
  // others
  { knownBy: ['</think>'], reasoning: { open: '<think>', close: '</think>' } },
];

/**
 * @param source the chat template's
 * @returns null: the family writes nothing but the answer
 */
export function answerForm(source: string, tokenizer: Pick<Tokenizer, 'idOf'>): AnswerForm | null {
  const known = (mark: string) => source.includes(mark) || tokenizer.idOf(mark) !== undefined;
  return ANSWER_FORMS.find(({ knownBy }) => knownBy.some(known)) ?? null;
}

/** Whether the prompt ends behind what is thought: there is nothing to think any more. */
export const closesReasoning = (prompt: string, { reasoning }: AnswerForm): boolean =>
  prompt.trimEnd().endsWith(reasoning.close);

/** Whether the prompt ends within what is thought: its end opens that. */
export const opensReasoning = (prompt: string, { reasoning }: AnswerForm): boolean =>
  prompt.trimEnd().endsWith(reasoning.open);
