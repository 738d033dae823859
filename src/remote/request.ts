/**
 * One answer's options as a server's request. What changes how freely a model writes, and is not known there, is left
 * out and said; what says which answer is wanted, and cannot be asked, is refused by name.
 */
import type { GenerateOptions } from '../engine/answer';
import type { Asked } from '../engine/request';
import { GENERATE_OPTIONS } from '../options/load';
import { REQUEST_OPTIONS } from '../options/request';
import { checkOptions, isObject, type Spec } from '../options/spec';
import type { GenerateRequest, MessageInput, SamplingOptions } from '../protocol';
import { unsupported } from './server-errors';
import { type ServerKind, SOME_SERVER } from './server-kinds';

/** OpenAI's own fields. */
const STANDARD = {
  maxNewTokens: 'max_tokens',
  temperature: 'temperature',
  topP: 'top_p',
  seed: 'seed',
  stop: 'stop',
  presencePenalty: 'presence_penalty',
  frequencyPenalty: 'frequency_penalty',
  logitBias: 'logit_bias',
} as const satisfies Partial<Record<keyof SamplingOptions, string>>;

/** By token ids, which a server that has another tokenizer would read as others. */
const BY_IDS = ['suppressTokens', 'beginSuppressTokens', 'badWords', 'forcedTokens', 'forcedEos'] as const;
/** They change how fast an answer comes, and no word of it. */
const SPEED = ['speculate', 'forced'];
/** Without these it would be another answer: a server that refuses them is not asked. */
const INDISPENSABLE = ['maxNewTokens', 'stop'];
/** as load()'s engine has it where nobody says otherwise */
const MAX_NEW_TOKENS = 256;

export interface Prepared {
  /** /chat/completions or /completions */
  path: string;
  body: Record<string, unknown>;
  /** fields of the body that may be left out, by the option that they are for */
  dispensable: Map<string, string>;
  /** sentences about what is not heeded */
  notes: string[];
}

/** The options that the answer of a server looks at, checked. @throws invalid-option, unsupported-remote */
export function checkAsked(wanted: GenerateOptions): Partial<GenerateOptions> {
  const options = checkOptions<GenerateOptions>(GENERATE_OPTIONS, wanted);
  if (options.made) throw unsupported('made', 'An answer cannot go on from token ids.');
  for (const name of BY_IDS) if (options[name]) throw unsupported(name, 'It names tokens by their ids.');
  return options;
}

/** Whether what is asked depends on what kind of server it is. */
export const asksForKind = (options: Partial<GenerateOptions>): boolean =>
  Object.keys(options).some(
    (name) => !(name in STANDARD) && name in REQUEST_OPTIONS && !['logprobs', 'schema'].includes(name),
  );

/** A message as OpenAI's servers take it: arguments of calls are a text, and every call has an id. */
function messageFor(message: MessageInput): MessageInput {
  if (!message.tool_calls?.length) return message;
  const calls = message.tool_calls.map(({ id, function: { name, arguments: given }, ...rest }, place) => ({
    ...rest,
    id: id ?? `call-${place}`,
    type: 'function' as const,
    function: { name, arguments: typeof given === 'string' ? given : JSON.stringify(given ?? {}) },
  }));
  return { ...message, tool_calls: calls };
}

function toolFields(asked: Asked['tools']): Record<string, unknown> {
  const { tools = [], choice } = asked ?? {};
  if (tools.length === 0) return {};
  const named = isObject(choice) ? { type: 'function', function: { name: choice.name } } : choice;
  return {
    tools: tools.map(({ function: { name, description, parameters } }) => ({
      type: 'function',
      function: { name, description, parameters: parameters ?? { type: 'object', properties: {} } },
    })),
    tool_choice: named === 'answer' ? 'none' : named,
  };
}

/** Whether an option says nothing but what counts anyway. */
function isDefault(name: string, value: unknown): boolean {
  const { default: standard } = (REQUEST_OPTIONS as Record<string, Spec>)[name];
  return standard !== undefined && standard === value;
}

/** The body of a request while it is made. */
class Fields {
  readonly body: Record<string, unknown>;
  readonly dispensable = new Map<string, string>();
  /** options that are not heeded, and those of which that is not known */
  readonly left = new Set<string>();
  readonly unsure = new Set<string>();
  readonly #kind: ServerKind;
  readonly #refused: ReadonlySet<string>;

  constructor(body: Record<string, unknown>, kind: ServerKind, refused: ReadonlySet<string>) {
    this.body = body;
    this.#kind = kind;
    this.#refused = refused;
  }

  /** A field without which the answer is one, too. @param option that it is for; '' for none */
  wish(option: string, field: string, value: unknown): void {
    if (this.#refused.has(field)) {
      if (option) this.left.add(option);
      return;
    }
    this.body[field] = value;
    this.dispensable.set(field, option);
  }

  /** An option of REQUEST_OPTIONS that OpenAI does not have. @throws unsupported-remote */
  more(name: keyof SamplingOptions, value: unknown): void {
    const { name: server, constraints, fields, all } = this.#kind;
    if (name === 'pattern' || name === 'choice' || name === 'grammar') {
      const constrain = constraints[name];
      if (!constrain) throw unsupported(name, `It is not known how to ask ${server} for it; most servers take schema.`);
      Object.assign(this.body, constrain(value));
      return;
    }
    const field = fields[name];
    // said or not, that is what counts here: no word about it
    if (!field && isDefault(name, value)) return;
    if (!field) return void this.left.add(name);
    this.wish(name, field, value === 0 ? (all[name] ?? 0) : value);
    if (this.#kind === SOME_SERVER && !this.left.has(name)) this.unsure.add(name);
  }

  /** Sentences for the person. */
  notes(): string[] {
    const listed = (names: Set<string>) => [...names].join(', ');
    const notes: string[] = [];
    if (this.left.size > 0) notes.push(`The server does not take ${listed(this.left)}: it answered without.`);
    if (this.unsure.size > 0) notes.push(`Whether the server heeds ${listed(this.unsure)} is not known.`);
    return notes;
  }
}

/**
 * @param input what is asked
 * @param options as checkAsked() gives them
 * @param kind of the server
 * @param refused names of fields that it has refused before
 * @throws unsupported-remote
 */
export function prepare(
  model: string,
  input: GenerateRequest['input'],
  tools: Asked['tools'],
  options: Partial<GenerateOptions>,
  kind: ServerKind,
  refused: ReadonlySet<string>,
): Prepared {
  if ('ids' in input) throw unsupported('prompt of token ids', 'Give the prompt as a text.');
  const isChat = 'messages' in input;
  const asked = isChat ? { messages: input.messages.map(messageFor) } : { prompt: input.prompt };
  const body: Record<string, unknown> = { model, stream: true, max_tokens: MAX_NEW_TOKENS, ...asked };
  const fields = new Fields(body, kind, refused);
  fields.wish('', 'stream_options', { include_usage: true });
  const { logprobs, schema, continueFinalMessage, ...rest } = options;
  for (const [name, value] of Object.entries(rest)) {
    const field = (STANDARD as Record<string, string>)[name];
    if (INDISPENSABLE.includes(name)) body[field] = typeof value === 'string' ? [value] : value;
    else if (field) fields.wish(name, field, value);
    else if (name in REQUEST_OPTIONS && !SPEED.includes(name)) fields.more(name as keyof SamplingOptions, value);
  }
  if (logprobs !== undefined && logprobs !== false) {
    const most = Number(logprobs === true ? 0 : logprobs);
    fields.wish('logprobs', 'logprobs', isChat || most);
    if (isChat && most > 0 && 'logprobs' in body) fields.wish('logprobs', 'top_logprobs', most);
  }
  if (schema) body.response_format = { type: 'json_schema', json_schema: { name: 'answer', schema, strict: true } };
  if (continueFinalMessage) {
    if (!kind.continues) throw unsupported('continueFinalMessage', `It is not known how to ask ${kind.name} for it.`);
    Object.assign(body, kind.continues);
  }
  Object.assign(body, toolFields(tools));
  const path = isChat ? '/chat/completions' : '/completions';
  return { path, body, dispensable: fields.dispensable, notes: fields.notes() };
}

/** What servers say of a field that they do not have; one whose value they do not take is the caller's to change. */
const UNKNOWN =
  /unexpected|unknown|unrecogni[sz]ed|unsupported|not (supported|permitted|allowed)|\bextra\b|additional/i;

/** Those of a request's fields that a server says it does not have. */
export const refusedFields = ({ dispensable }: Prepared, said: string): string[] =>
  UNKNOWN.test(said) ? [...dispensable.keys()].filter((field) => new RegExp(`\\b${field}\\b`).test(said)) : [];
