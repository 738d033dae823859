/** Messages to prompt text, by the model's own Jinja template. */
import { NibbleError } from '../errors';
import { compile, Refusal, type Template, TemplateError } from './jinja/index';

export interface TemplateContext {
  bosToken?: string | null;
  eosToken?: string | null;
  /** end with the opening of the assistant's turn (default) */
  addGenerationPrompt?: boolean;
  /**
   * what the template may read beside these, by name: JSON, e.g. `{ enable_thinking: false }`; they go before the rest
   */
  variables?: Readonly<Record<string, unknown>>;
}

export interface ChatTemplate {
  readonly source: string;
  /**
   * @throws NibbleError invalid-option with the template's own message where it refuses the messages, e.g. that roles
   * must alternate; corrupt-checkpoint with its name and line where the template itself cannot be rendered
   */
  render(messages: readonly object[], context?: TemplateContext): string;
}

/** ChatML, for models without a template, where the caller asks for it. */
export const CHATML_TEMPLATE =
  "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

const MAX_TEMPLATE = 1_000_000; // characters; the longest in use have about 20,000
const MAX_SENTENCE = 500; // characters of a template's own words in an error
const MAX_TEXT = 4_000_000; // characters of all messages: a million tokens and more

/**
 * The template of tokenizer_config.json's `chat_template`: a string, or a list of named ones, of which `default`
 * counts, or `tool_use` where there are tools.
 * @returns null when the model has none
 */
export function templateSource(chatTemplate: unknown, withTools = false): string | null {
  if (typeof chatTemplate === 'string') return chatTemplate;
  if (!Array.isArray(chatTemplate)) return null;
  const named = (name: string) => chatTemplate.find((entry) => entry?.name === name);
  const found = (withTools && named('tool_use')) || named('default') || chatTemplate[0];
  return typeof found?.template === 'string' ? found.template : null;
}

/** The option that gives a template in the place of the model's own. */
export const GIVEN = 'chatTemplate';

/**
 * @param name of the file that it stands in, for messages; for one that was GIVEN, invalid-option is thrown
 * @throws NibbleError corrupt-checkpoint when the template is too long or is not Jinja
 */
export function createChatTemplate(source: string, name = 'chat_template'): ChatTemplate {
  const bad = (cause: unknown): NibbleError => {
    const { message, line } = cause instanceof TemplateError ? cause : { message: String(cause), line: 0 };
    const said = shortened(message);
    const given = name === GIVEN;
    return new NibbleError(
      given ? 'invalid-option' : 'corrupt-checkpoint',
      `The ${given ? '' : "model's "}chat template (${name}${line ? `, line ${line}` : ''}) cannot be used: ${said}. ` +
        'Use a plain prompt, a template of your own, or another model.',
      { ...(given && { option: name }), template: name, line, characters: source.length },
      { cause },
    );
  };
  if (source.length > MAX_TEMPLATE) {
    throw bad(new TemplateError(`it has ${source.length} characters, at most ${MAX_TEMPLATE} are allowed`));
  }
  let template: Template;
  try {
    template = compile(source);
  } catch (cause) {
    throw bad(cause);
  }
  return {
    source,
    render(messages, context = {}) {
      checkLength(messages);
      try {
        return template.render(variables(messages, context));
      } catch (cause) {
        if (!(cause instanceof Refusal)) throw bad(cause);
        throw new NibbleError(
          'invalid-option',
          `The model's chat template refuses these messages: ${shortened(cause.message)}. Change the messages, or use a plain prompt.`,
          { messages: messages.length },
          { cause },
        );
      }
    },
  };
}

/** A sentence with names or texts of the template in it, which may be as long as it likes. */
const shortened = (sentence: string) =>
  sentence.length > MAX_SENTENCE ? `${sentence.slice(0, MAX_SENTENCE).toWellFormed()}…` : sentence;

/** Characters of all texts in a value. */
function lengthOf(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null) return 0;
  return Object.values(value).reduce((sum: number, item) => sum + lengthOf(item), 0);
}

function checkLength(messages: readonly object[]): void {
  const characters = messages.reduce((sum, { role: _, ...said }: { role?: string }) => sum + lengthOf(said), 0);
  if (characters <= MAX_TEXT) return;
  throw new NibbleError(
    'invalid-option',
    `The messages have ${characters} characters, at most ${MAX_TEXT} are allowed. Shorten them.`,
    { characters, limit: MAX_TEXT },
  );
}

function variables(messages: readonly object[], context: TemplateContext): Record<string, unknown> {
  return {
    messages,
    // transformers passes them to every template, and some ask "is not none"
    tools: null,
    documents: null,
    bos_token: context.bosToken ?? '',
    eos_token: context.eosToken ?? '',
    add_generation_prompt: context.addGenerationPrompt ?? true,
    ...context.variables,
  };
}
