/** Messages to prompt text, by the model's own Jinja template. */
import { Environment, Interpreter, Template } from '@huggingface/jinja';
import { NibbleError } from '../errors';
import type { ChatMessage } from '../protocol';

export interface TemplateContext {
  bosToken?: string | null;
  eosToken?: string | null;
  /** end with the opening of the assistant's turn (default) */
  addGenerationPrompt?: boolean;
}

export interface ChatTemplate {
  /** @throws NibbleError invalid-option with the template's own message, e.g. that roles must alternate */
  render(messages: readonly ChatMessage[], context?: TemplateContext): string;
}

/** ChatML, for models without a template, where the caller asks for it. */
export const CHATML_TEMPLATE =
  "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

const MAX_TEMPLATE = 1_000_000; // characters; the longest in use have about 20,000
const MAX_TEXT = 16_000_000; // characters of all messages
const MAX_STEPS = 500_000; // evaluations, and numbers of ranges: a second or two; a long chat takes thousands

/** A template cannot be interrupted, so it counts: one that would run for ever is an error. */
class BoundedInterpreter extends Interpreter {
  private left = MAX_STEPS;

  spend(steps: number): void {
    this.left -= steps;
    if (!(this.left >= 0)) throw new Error(`it takes more than ${MAX_STEPS} steps`);
  }

  override evaluate(...args: Parameters<Interpreter['evaluate']>): ReturnType<Interpreter['evaluate']> {
    this.spend(1);
    return super.evaluate(...args);
  }

  /** Jinja's range(stop), range(start, stop, step). */
  range = (first: number, second?: number, step = 1): number[] => {
    const [start, stop] = second === undefined ? [0, first] : [first, second];
    const length = Math.max(0, Math.ceil((stop - start) / step));
    this.spend(length);
    return Array.from({ length }, (_, i) => start + i * step);
  };
}

/**
 * The template of tokenizer_config.json's `chat_template`: a string, or a list of named ones, of which `default` counts.
 * @returns null when the model has none
 */
export function templateSource(chatTemplate: unknown): string | null {
  if (typeof chatTemplate === 'string') return chatTemplate;
  if (!Array.isArray(chatTemplate)) return null;
  const named = chatTemplate.find((entry) => entry?.name === 'default') ?? chatTemplate[0];
  return typeof named?.template === 'string' ? named.template : null;
}

/** @throws NibbleError corrupt-checkpoint when the template is too long or is not Jinja */
export function createChatTemplate(source: string): ChatTemplate {
  const bad = (why: string, cause?: unknown) =>
    new NibbleError(
      'corrupt-checkpoint',
      `The model's chat template cannot be used (${why}). Use a plain prompt, or another model.`,
      { characters: source.length, limit: MAX_TEMPLATE },
      { cause },
    );
  if (source.length > MAX_TEMPLATE)
    throw bad(`it has ${source.length} characters, at most ${MAX_TEMPLATE} are allowed`);
  let program: Template['parsed'];
  try {
    program = new Template(source).parsed;
  } catch (cause) {
    throw bad(messageOf(cause), cause);
  }
  return { render: (messages, context = {}) => render(program, messages, context) };
}

const messageOf = (thrown: unknown) => (thrown instanceof Error ? thrown.message : String(thrown));

function render(program: Template['parsed'], messages: readonly ChatMessage[], context: TemplateContext): string {
  const characters = messages.reduce((sum, { content }) => sum + content.length, 0);
  if (characters > MAX_TEXT) {
    throw new NibbleError(
      'invalid-option',
      `The messages have ${characters} characters, at most ${MAX_TEXT} are allowed. Shorten them.`,
      { characters, limit: MAX_TEXT },
    );
  }
  try {
    const environment = new Environment();
    const interpreter = new BoundedInterpreter(environment);
    const names = { ...globals(messages, context), range: interpreter.range };
    for (const [name, value] of Object.entries(names)) environment.set(name, value);
    return String((interpreter.run(program) as { value: unknown }).value);
  } catch (cause) {
    throw new NibbleError(
      'invalid-option',
      `The model's chat template refuses these messages: ${messageOf(cause)}. Change the messages, or use a plain prompt.`,
      { messages: messages.length },
      { cause },
    );
  }
}

function globals(messages: readonly ChatMessage[], context: TemplateContext): Record<string, unknown> {
  return {
    true: true,
    True: true,
    false: false,
    False: false,
    none: null,
    None: null,
    raise_exception: (message: string) => {
      throw new Error(message);
    },
    strftime_now: strftime,
    messages,
    bos_token: context.bosToken ?? '',
    eos_token: context.eosToken ?? '',
    add_generation_prompt: context.addGenerationPrompt ?? true,
  };
}

/** The date codes that templates use (Llama 3's "%d %b %Y"), in local time and English. */
function strftime(format: string): string {
  const now = new Date();
  const part = (options: Intl.DateTimeFormatOptions) => now.toLocaleDateString('en-US', options);
  const two = (n: number) => String(n).padStart(2, '0');
  const codes: Record<string, string> = {
    d: two(now.getDate()),
    m: two(now.getMonth() + 1),
    Y: String(now.getFullYear()),
    b: part({ month: 'short' }),
    B: part({ month: 'long' }),
    a: part({ weekday: 'short' }),
    A: part({ weekday: 'long' }),
    H: two(now.getHours()),
    M: two(now.getMinutes()),
    S: two(now.getSeconds()),
    '%': '%',
  };
  return format.replace(/%([\w%])/g, (code, letter) => codes[letter] ?? code);
}
