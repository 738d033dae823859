/** Messages to prompt text, by the model's own Jinja template. */
import { Environment, Interpreter, Template } from '@huggingface/jinja';
import { NibbleError } from '../errors';

export interface TemplateContext {
  bosToken?: string | null;
  eosToken?: string | null;
  /** end with the opening of the assistant's turn (default) */
  addGenerationPrompt?: boolean;
  /** more variables; they win over the start and end tokens */
  variables?: Record<string, unknown>;
}

export interface ChatTemplate {
  readonly source: string;
  /** @throws NibbleError invalid-option with the template's own message, e.g. that roles must alternate */
  render(messages: readonly object[], context?: TemplateContext): string;
}

/** ChatML, for models without a template, where the caller asks for it. */
export const CHATML_TEMPLATE =
  "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

const MAX_TEMPLATE = 1_000_000; // characters; the longest in use have about 20,000
const MAX_TEXT = 4_000_000; // characters of all messages: a million tokens and more
const MAX_VALUE = 2 * MAX_TEXT; // characters of what a template makes; V8 aborts on replacements in much longer ones
const MAX_STEPS = 500_000; // evaluations, and numbers of ranges: a second or two; a long chat takes thousands

/** Expressions whose value may be larger than those it is made of. */
const MAKES = ['BinaryExpression', 'FilterExpression', 'CallExpression'];
const CHARACTERS_A_STEP = 1024;
const ITEMS_A_STEP = 8;

function sizeOf(value: unknown): number {
  if (typeof value === 'string') return value.length / CHARACTERS_A_STEP;
  return Array.isArray(value) ? value.length / ITEMS_A_STEP : 0;
}

type Node = NonNullable<Parameters<Interpreter['evaluate']>[0]>;
type Value = ReturnType<Interpreter['evaluate']>;
/** As the parser has `object.name(arguments)`. */
interface MethodCall {
  type: string;
  callee: { object: Node; property?: { value?: unknown } };
  args: Node[];
}

/** A template cannot be interrupted, so it counts: one that would run for ever is an error. */
class BoundedInterpreter extends Interpreter {
  private left = MAX_STEPS;

  spend(steps: number): void {
    this.left -= steps;
    if (!(this.left >= 0)) throw new Error(`it takes more than ${MAX_STEPS} steps`);
  }

  override evaluate(...args: Parameters<Interpreter['evaluate']>): Value {
    this.spend(1);
    // the library's "first" of an empty list is no value at all; a name that nobody set is Jinja's undefined
    const result = this.strip(...args) ?? super.evaluate(...args) ?? args[1].lookupVariable('');
    const { value } = result;
    if (typeof value === 'string' && value.length > MAX_VALUE) throw new Error(`it makes over ${MAX_VALUE} characters`);
    // a list that is doubled in a loop would fill the memory long before the steps are spent
    if (MAKES.includes(args[0]?.type ?? '')) this.spend(sizeOf(value));
    return result;
  }

  /** text.strip(characters): the library strips white space whatever the characters are; Qwen 3 strips newlines only. */
  private strip(node: Node | undefined, environment: Environment): Value | null {
    const call = node as Partial<MethodCall> | undefined;
    const side = call?.type === 'CallExpression' && call.args?.length === 1 && call.callee?.property?.value;
    if (side !== 'strip' && side !== 'lstrip' && side !== 'rstrip') return null;
    const text = this.evaluate(call!.callee!.object, environment);
    const { value: characters } = this.evaluate(call!.args![0], environment);
    if (typeof text.value !== 'string' || typeof characters !== 'string') return null;
    let [start, end] = [0, text.value.length];
    while (side !== 'rstrip' && start < end && characters.includes(text.value[start])) start++;
    while (side !== 'lstrip' && start < end && characters.includes(text.value[end - 1])) end--;
    return new (text.constructor as new (value: string) => Value)(text.value.slice(start, end));
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
  return { source, render: (messages, context = {}) => render(program, messages, context) };
}

/** Characters of all texts in a value. */
function lengthOf(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null) return 0;
  return Object.values(value).reduce((sum: number, item) => sum + lengthOf(item), 0);
}

const messageOf = (thrown: unknown) => (thrown instanceof Error ? thrown.message : String(thrown));

function render(program: Template['parsed'], messages: readonly object[], context: TemplateContext): string {
  const characters = messages.reduce((sum, { role: _, ...said }: { role?: string }) => sum + lengthOf(said), 0);
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

function globals(messages: readonly object[], context: TemplateContext): Record<string, unknown> {
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
    // transformers passes them to every template, and some ask "is not none"
    tools: null,
    documents: null,
    bos_token: context.bosToken ?? '',
    eos_token: context.eosToken ?? '',
    add_generation_prompt: context.addGenerationPrompt ?? true,
    ...context.variables,
  };
}

/** Python's date codes, in local time and English; a "-" after the % leaves out a leading zero. */
function strftime(format: string): string {
  const now = new Date();
  const part = (options: Intl.DateTimeFormatOptions) => now.toLocaleDateString('en-US', options);
  const two = (n: number) => String(n).padStart(2, '0');
  const codes: Record<string, string> = {
    d: two(now.getDate()),
    m: two(now.getMonth() + 1),
    Y: String(now.getFullYear()),
    y: two(now.getFullYear() % 100),
    b: part({ month: 'short' }),
    B: part({ month: 'long' }),
    a: part({ weekday: 'short' }),
    A: part({ weekday: 'long' }),
    H: two(now.getHours()),
    I: two(now.getHours() % 12 || 12),
    p: now.getHours() < 12 ? 'AM' : 'PM',
    M: two(now.getMinutes()),
    S: two(now.getSeconds()),
    '%': '%',
  };
  return format.replace(/%(-?)([\w%])/g, (code, bare, letter) => {
    const text = codes[letter] ?? code;
    return bare ? text.replace(/^0/, '') : text;
  });
}
