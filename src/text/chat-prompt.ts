/** Messages -> the prompt, as text and as ids: the template's words command, what was typed is text. */
import { NibbleError } from '../errors';
import type { PromptOptions } from '../protocol';
import { type AnswerForm, answerForm, closesReasoning, opensReasoning } from './answer-forms';
import type { ChatTemplate } from './chat-template';
import { type ContentKinds, checkMessages, contentKinds, type Message, textOf } from './messages';
import { atOnce } from './steps';
import type { Tokenizer } from './tokenizer';
import { hideControl, showControl } from './typed-text';

export interface ChatPrompt {
  text: string;
  ids: number[];
  /** how the answer will be written, and whether the prompt has opened or closed a thought; null: just the answer */
  form: (AnswerForm & { begun: boolean; closed: boolean }) | null;
}

const kinds = new WeakMap<ChatTemplate, ContentKinds>();

/** Contents as the template takes them: where it knows no parts, they are joined by line ends. */
function suited(messages: Message[], template: ChatTemplate): Message[] {
  const takes = kinds.get(template) ?? contentKinds(template);
  kinds.set(template, takes);
  const lists = messages.some(({ content }) => typeof content !== 'string') && takes.parts();
  const wraps = !takes.text() && takes.parts();
  const suit = (content: Message['content']): Message['content'] => {
    if (typeof content !== 'string') return lists ? content : textOf(content);
    return wraps ? [{ type: 'text', text: content }] : content;
  };
  return messages.map((message) => {
    const { role, content } = message;
    // OpenAI's newer name for the system's word
    return {
      ...message,
      role: role === 'developer' && !template.source.includes(role) ? 'system' : role,
      content: suit(content),
    };
  });
}

interface Prompter {
  tokenizer: Tokenizer;
  template: ChatTemplate;
  /** of the embedding */
  rows: number;
}

/** @throws invalid-option for what are no messages, and what the template refuses or has no place for */
export const chatPrompt = (prompter: Prompter, given: unknown, options?: PromptOptions): ChatPrompt =>
  atOnce(chatPromptSteps(prompter, given, options));

/**
 * chatPrompt(), with turns for others while the text becomes ids.
 * @yields how many ids there will be at least
 * @throws invalid-option for what are no messages, and what the template refuses or has no place for
 */
export function* chatPromptSteps(
  { tokenizer, template, rows }: Prompter,
  given: unknown,
  { templateOptions = {}, parseSpecial = false, addGenerationPrompt = true }: PromptOptions = {},
): Generator<number, ChatPrompt> {
  const messages = suited(checkMessages(given), template);
  if (Object.hasOwn(templateOptions, 'messages')) {
    throw new NibbleError('invalid-option', 'templateOptions cannot name messages: give them as messages.', {
      option: 'templateOptions',
    });
  }
  const { bosToken, eosToken } = tokenizer;
  const form = answerForm(template.source, tokenizer);
  const typed = { messages, variables: templateOptions };
  const { value, standIns } = parseSpecial
    ? { value: typed, standIns: new Map() }
    : hideControl(
        typed,
        tokenizer.control(rows),
        template.source,
        `${bosToken}${eosToken}`,
        Object.values(form?.reasoning ?? {}),
      );
  const render = (all: readonly Message[]) =>
    template.render(all, { bosToken, eosToken, addGenerationPrompt, variables: value.variables });
  const rendered = render(value.messages);
  if (value.messages.some(({ role }) => role === 'tool') && rendered === otherwise(value.messages, render)) {
    throw new NibbleError('invalid-option', "The model's chat template has no place for messages of the role tool.", {
      role: 'tool',
    });
  }
  const text = showControl(rendered, standIns);
  return {
    text,
    ids: yield* tokenizer.steps(rendered, { special: true, bos: false, standIns }),
    form: form && { ...form, begun: opensReasoning(text, form), closed: closesReasoning(text, form) },
  };
}

/** What is rendered where tools said something else; null where that is refused. */
function otherwise(messages: readonly Message[], render: (messages: readonly Message[]) => string): string | null {
  try {
    return render(
      messages.map((message) =>
        message.role === 'tool' ? { ...message, content: `${textOf(message.content)}1` } : message,
      ),
    );
  } catch {
    return null;
  }
}
