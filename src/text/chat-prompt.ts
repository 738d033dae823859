/** Messages -> the prompt, as text and as ids: the template's words command, what was typed is text. */
import { NibbleError } from '../errors';
import type { FunctionTool, PromptOptions } from '../protocol';
import { type AnswerForm, answerForm, closesReasoning, opensReasoning } from './answer-forms';
import type { ChatTemplate } from './chat-template';
import { type ContentKinds, checkMessages, contentKinds, type Message, textOf } from './messages';
import { atOnce } from './steps';
import type { Tokenizer } from './tokenizer';
import { GENERIC_FORM } from './tools/call-forms';
import type { OwnForm } from './tools/response-template';
import { takesOf, withCalls, withTools } from './tools/tool-prompt';
import { hideControl, showControl, unescapeStandIns } from './typed-text';

export interface ChatPrompt {
  text: string;
  ids: number[];
  /**
   * how the answer will be written, calls only where there are tools, and whether the prompt has opened, or closed, the
   * reasoning; null: just the answer
   */
  form: (AnswerForm & { begun: boolean; closed: boolean }) | null;
}

const kinds = new WeakMap<ChatTemplate, ContentKinds>();

/** Contents as the template takes them: where it knows no parts, they are joined by line ends. */
function suited(messages: readonly Message[], template: ChatTemplate): Message[] {
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
  /** the model's own for prompts with tools, where it has two */
  toolTemplate?: ChatTemplate | null;
  /** what the tokenizer itself says of answers, where it does */
  ownForm?: OwnForm | null;
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
  { tokenizer, template: plain, toolTemplate, ownForm, rows }: Prompter,
  given: unknown,
  { templateOptions = {}, parseSpecial = false, continueFinalMessage = false, ...asked }: PromptOptions = {},
): Generator<number, ChatPrompt> {
  const { toolForm = 'auto', addGenerationPrompt = !continueFinalMessage } = asked;
  if (continueFinalMessage && addGenerationPrompt) {
    const why = 'The last message is continued, or the next one begun: leave out addGenerationPrompt.';
    throw new NibbleError('invalid-option', why, { option: 'continueFinalMessage' });
  }
  const tools = (asked.tools ?? []).map(
    (tool): FunctionTool => ('function' in tool ? tool : { type: 'function', function: tool }),
  );
  const special = tools.length > 0 ? toolTemplate : null;
  const knows = special && takesOf(special, answerForm(special.source, tokenizer, ownForm).calls).form !== GENERIC_FORM;
  const template = knows ? special : plain;
  const checked = checkMessages(given);
  if (Object.hasOwn(templateOptions, 'messages')) {
    throw new NibbleError('invalid-option', 'templateOptions cannot name messages: give them as messages.', {
      option: 'templateOptions',
    });
  }
  const { bosToken, eosToken } = tokenizer;
  const form = answerForm(template.source, tokenizer, ownForm);
  const told = toldOf(checked, template, form, tools, toolForm);
  const messages = suited(told.messages, template);
  const typed = {
    messages: continueFinalMessage ? marked(messages) : messages,
    variables: { ...told.variables, ...templateOptions },
  };
  const { open, close, beside = [] } = told.calls ?? { open: [], close: '' };
  const { value, standIns } = parseSpecial
    ? { value: typed, standIns: new Map() }
    : hideControl(typed, tokenizer.control(rows), template.source, `${bosToken}${eosToken}`, [
        ...Object.values(form.reasoning ?? {}),
        // where calls are written into what the assistant said, their marks command
        ...(told.written ? [...open, close, ...beside] : []),
      ]);
  const render = (all: readonly Message[]) => {
    const context = { bosToken, eosToken, addGenerationPrompt, variables: value.variables };
    const text = unescapeStandIns(template.render(all, context), standIns);
    return continueFinalMessage ? upToMark(text, messages.length, textOf(value.messages.at(-1)!.content)) : text;
  };
  const rendered = render(value.messages);
  if (value.messages.some(({ role }) => role === 'tool') && rendered === otherwise(value.messages, render)) {
    throw new NibbleError('invalid-option', "The model's chat template has no place for messages of the role tool.", {
      role: 'tool',
    });
  }
  const text = showControl(rendered, standIns);
  const answer = { reasoning: form.reasoning, calls: told.calls };
  return {
    text,
    ids: yield* tokenizer.steps(rendered, { special: true, bos: false, standIns }),
    form:
      answer.reasoning || answer.calls
        ? { ...answer, begun: opensReasoning(text, answer), closed: closesReasoning(text, answer) }
        : null,
  };
}

/**
 * Messages, and variables, that tell the template of tools, and of calls and results among the messages.
 * @returns calls: how they will be written, null where there are no tools. written: some stand in the contents
 * @throws invalid-option where the template knows no tools and its own form is insisted on
 */
function toldOf(
  messages: readonly Message[],
  template: ChatTemplate,
  form: AnswerForm,
  tools: readonly FunctionTool[],
  toolForm: 'auto' | 'native',
) {
  const asked = tools.length > 0;
  if (!asked && !messages.some(({ tool_calls: calls }) => calls !== undefined)) {
    return { messages: [...messages], variables: {}, calls: null, written: false };
  }
  const takes = takesOf(template, form.calls);
  if (asked && toolForm === 'native' && takes.form === GENERIC_FORM) {
    throw new NibbleError(
      'invalid-option',
      "The model's chat template knows no tools, or has no form of calls that is known here. Leave out toolForm, so " +
        'that they are described in the system message, or take another model.',
      { option: 'toolForm', value: toolForm },
    );
  }
  const called = withCalls(messages, takes, asked);
  if (!asked) return { messages: called, variables: {}, calls: null, written: false };
  return {
    ...withTools(called, tools, takes),
    calls: takes.form,
    written: takes.calls === null && takes.form !== GENERIC_FORM,
  };
}

/** Stands behind a message that is to be continued, as in transformers (chat_template_utils.py). */
const CONTINUES = 'CONTINUE_FINAL_MESSAGE_TAG ';

/** Messages with the mark behind the last text. @throws invalid-option for none, or a last one without text */
function marked(messages: readonly Message[]): Message[] {
  const last = messages.at(-1);
  const content = last?.content ?? '';
  if (!last || content.length === 0) {
    throw new NibbleError('invalid-option', 'There is no last message with a text that could be continued.', {
      option: 'continueFinalMessage',
    });
  }
  const behind =
    typeof content === 'string'
      ? content + CONTINUES
      : content.map((part, i) => (i === content.length - 1 ? { ...part, text: part.text + CONTINUES } : part));
  return [...messages.slice(0, -1), { ...last, content: behind }];
}

/**
 * The prompt up to the mark; blanks before it go where the template has trimmed the text.
 * @param last the text of the last message, its mark behind it
 * @throws invalid-option where that is not in the prompt
 */
function upToMark(text: string, messages: number, last: string): string {
  const at = text.lastIndexOf(CONTINUES.trim());
  if (at < 0 || !text.includes(last.trim())) {
    throw new NibbleError(
      'invalid-option',
      "The model's chat template does not show the last message as it is, so it cannot be continued. Give it as a plain prompt.",
      { option: 'continueFinalMessage', messages },
    );
  }
  return text.startsWith(CONTINUES, at) ? text.slice(0, at) : text.slice(0, at).trimEnd();
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
