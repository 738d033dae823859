/**
 * Messages and tools as a template takes them. What it takes is found by rendering: whether it shows tools at all, and
 * calls whose arguments are an object or their JSON. Where it shows no tools they are described in the system message,
 * and calls and results are written into the contents (the generic form, as llama.cpp has it).
 */
import { NibbleError } from '../../errors';
import type { FunctionTool } from '../../protocol';
import type { ChatTemplate } from '../chat-template';
import { type Message, textOf } from '../messages';
import { type CallForm, GENERIC_FORM } from './call-forms';
import { spacedJson, type WrittenCall, writeCalls } from './write-calls';

/** What a template takes. */
export interface Takes {
  /** the form of calls that goes with it */
  form: CallForm;
  /** how calls that were made are shown: with an object, with its JSON in a text, or not at all */
  calls: 'object' | 'text' | null;
  /** whether a message of the system is shown */
  system: boolean;
}

interface HistoryCall {
  id?: string;
  function: { name: string; arguments: unknown };
}

const PROBE: FunctionTool = {
  type: 'function',
  function: {
    name: 'nibble_tool',
    description: 'Probe',
    parameters: {
      type: 'object',
      properties: { nibble_key: { type: 'string', description: 'Probe' } },
      required: ['nibble_key'],
    },
  },
};
const QUESTION = { role: 'user', content: 'Probe' };

function rendered(template: ChatTemplate, messages: readonly object[], variables: object): string {
  try {
    return template.render(messages, { variables: { ...variables } });
  } catch {
    return '';
  }
}

/** The variables and the system message that tell a template of tools. */
function placed(tools: readonly FunctionTool[], form: CallForm, messages: readonly Message[]) {
  const place = form.tools;
  if (!place) return { messages, variables: { tools } };
  // as the texts that such templates print as they are
  const texts = tools.map((tool) => spacedJson(tool.function));
  if ('variable' in place) return { messages, variables: { [place.variable]: texts } };
  const [first, ...rest] = messages;
  const system = first?.role === 'system' ? first : { role: 'system', content: '' };
  const told = { ...system, [place.system]: `[${texts.join(', ')}]` };
  return { messages: [told, ...(first?.role === 'system' ? rest : messages)] as Message[], variables: {} };
}

const known = new WeakMap<ChatTemplate, Map<CallForm | null, Takes>>();

/** @param form that the marks tell; null: none */
export function takesOf(template: ChatTemplate, form: CallForm | null): Takes {
  const all = known.get(template) ?? new Map<CallForm | null, Takes>();
  known.set(template, all);
  const found = all.get(form) ?? probe(template, form);
  all.set(form, found);
  return found;
}

function probe(template: ChatTemplate, form: CallForm | null): Takes {
  const user = [QUESTION] as Message[];
  const told = form && placed([PROBE], form, user);
  const shows = told && rendered(template, told.messages, told.variables).includes(PROBE.function.name);
  const shown = (given: unknown) => {
    const call = { id: 'a1B2c3D4e', type: 'function', function: { name: 'nibble_called', arguments: given } };
    const calling = { role: 'assistant', content: '', tool_calls: [call] };
    const text = rendered(template, [QUESTION, calling], { tools: [PROBE] });
    return text.includes('nibble_called') && text.includes('nibble_value') && !text.includes('\\"nibble_value');
  };
  const object = { nibble_key: 'nibble_value' };
  return {
    form: shows ? form! : GENERIC_FORM,
    calls: shown(object) ? 'object' : shown(spacedJson(object)) ? 'text' : null,
    system: rendered(template, [{ role: 'system', content: 'nibble_system' }, QUESTION], {}).includes('nibble_system'),
  };
}

/** A call of a message, its arguments as an object. @throws invalid-option */
function callOf(given: unknown, place: number): WrittenCall {
  const { id, function: called } = Object(given) as HistoryCall;
  const bad = (why: string): never => {
    throw new NibbleError(
      'invalid-option',
      `Message ${place + 1} has a call ${why}. A call is { id, function: { name, arguments: an object, or its JSON } }.`,
      { message: place },
    );
  };
  const { name, arguments: said = {} } = Object(called) as HistoryCall['function'];
  if (typeof name !== 'string' || !name) return bad('without the name of its tool');
  let value: unknown = said;
  if (typeof said === 'string') {
    try {
      value = said.trim() === '' ? {} : JSON.parse(said);
    } catch {
      return bad(`of ${name} whose arguments are no JSON: ${said.slice(0, 80)}`);
    }
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return bad(`of ${name} whose arguments are no object`);
  }
  return { name, arguments: value as Record<string, unknown>, ...(typeof id === 'string' && { id }) };
}

/** @throws invalid-option for calls that are no list */
function callsOf(given: unknown, place: number): WrittenCall[] {
  if (Array.isArray(given)) return given.map((call) => callOf(call, place));
  const why = `Message ${place + 1} has tool_calls that are no list.`;
  throw new NibbleError('invalid-option', why, { message: place });
}

/** Nine letters and digits that follow from a text (FNV-1a, 32 bits, and again from there). */
export function nineOf(text: string): string {
  let out = '';
  for (let hash = 0x811c9dc5, round = 0; out.length < 9; round++) {
    for (const character of `${round}${text}`) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193) >>> 0;
    out += hash.toString(36);
  }
  return out.slice(0, 9);
}

/** What a form calls a call by. @param index its number */
export function idIn({ ids }: CallForm, id: string, name: string, index: number): string {
  if (ids === 'nine') return /^[a-zA-Z0-9]{9}$/.test(id) ? id : nineOf(id);
  if (ids === 'functions') return /:\d+$/.test(id) ? id : `functions.${name}:${index}`;
  return id;
}

/**
 * Messages with their calls and results as the template takes them.
 * @param asked there are tools: calls that the template does not show are written into the contents
 * @throws invalid-option
 */
export function withCalls(messages: readonly Message[], { form, calls: kind }: Takes, asked: boolean): Message[] {
  const generic = asked && form === GENERIC_FORM;
  let made = 0;
  /** by the id that was given: the one in the form, and the name */
  const ids = new Map<string, { id: string; name: string }>();
  const out: Message[] = [];
  const results: { tool?: unknown; content: string; tool_call_id?: unknown }[] = [];
  const calling = (said: Message, calls: readonly WrittenCall[], given: readonly object[]): Message => {
    if (calls.length === 0) return said;
    if (!asked && kind === null) return { ...said, tool_calls: given };
    if (generic || kind === null) {
      for (const { id, name } of calls) if (id) ids.set(id, { id, name });
      const text = generic
        ? spacedJson(calls.length === 1 ? { tool_call: calls[0] } : { tool_calls: calls })
        : writeCalls(form, calls);
      const words = textOf(said.content);
      return { ...said, content: words ? `${words}\n${text}` : text };
    }
    const shown = calls.map(({ name, arguments: args, id: old }, index) => {
      const id = form.ids === 'nine' ? idIn(form, old ?? `call${made}`, name, made) : old;
      made++;
      if (old !== undefined && id !== undefined) ids.set(old, { id, name });
      const called = { name, arguments: kind === 'text' ? spacedJson(args) : args };
      return { ...given[index], type: 'function', ...(id !== undefined && { id }), function: called };
    });
    return { ...said, tool_calls: shown };
  };
  const told = () => results.splice(0).map((result) => spacedJson({ tool_response: result }));
  const flush = () => {
    if (results.length > 0) out.push({ role: 'user', content: told().join('\n') });
  };
  for (const [place, message] of messages.entries()) {
    const { tool_calls: given, ...said } = message;
    const id = typeof message.tool_call_id === 'string' ? ids.get(message.tool_call_id) : undefined;
    if (message.role === 'tool' && generic) {
      const tool = message.name ?? id?.name;
      const named = message.tool_call_id !== undefined && { tool_call_id: message.tool_call_id };
      results.push({ ...(tool !== undefined && { tool }), content: textOf(message.content), ...named });
    } else if (message.role === 'user' && results.length > 0) {
      // one turn, for templates whose roles must alternate
      out.push({ ...message, content: [...told(), '', textOf(message.content)].join('\n') });
    } else {
      flush();
      if (message.role === 'tool') out.push(id ? { ...message, tool_call_id: id.id } : message);
      else if (message.role !== 'assistant' || given === undefined) out.push(message);
      else out.push(calling(said as Message, callsOf(given, place), given as object[]));
    }
  }
  flush();
  return form.single && !generic ? paired(out) : out;
}

/** Messages with one call each, and its result behind it, for templates that take no more. */
function paired(messages: readonly Message[]): Message[] {
  const out: Message[] = [];
  for (let at = 0; at < messages.length; at++) {
    const message = messages[at];
    const calls = Array.isArray(message.tool_calls) ? message.tool_calls : [];
    if (calls.length < 2) {
      out.push(message);
      continue;
    }
    let end = at + 1;
    while (messages[end]?.role === 'tool') end++;
    const results = messages.slice(at + 1, end);
    calls.forEach((call, index) => {
      const named = results.find(({ tool_call_id: id }) => id !== undefined && id === (call as HistoryCall).id);
      const result = named ?? results[index];
      out.push({ ...message, tool_calls: [call] }, ...(result ? [result] : []));
    });
    at = end - 1;
  }
  return out;
}

/** What the generic form says to the model, in the system's place. */
const genericText = (tools: readonly FunctionTool[]): string =>
  [
    'You can call these tools:',
    ...tools.map((tool) => spacedJson(tool.function)),
    '',
    'Write one JSON object and nothing else. To call a tool: {"tool_call": {"name": its name, "arguments": {...}}}. ' +
      'What it says comes as {"tool_response": {...}}. To answer: {"response": "..."}.',
  ].join('\n');

/** Messages and variables that tell the template of the tools. */
export function withTools(
  messages: readonly Message[],
  tools: readonly FunctionTool[],
  { form, system }: Takes,
): { messages: readonly Message[]; variables: Record<string, unknown> } {
  if (form !== GENERIC_FORM) return placed(tools, form, messages);
  const text = genericText(tools);
  const [first, ...rest] = messages;
  const joined = (message: Message) => ({ ...message, content: `${text}\n\n${textOf(message.content)}` });
  const before = (message: Message) => ({ ...message, content: `${textOf(message.content)}\n\n${text}` });
  if (first?.role === 'system') return { messages: [before(first), ...rest], variables: {} };
  if (system) return { messages: [{ role: 'system', content: text }, ...messages], variables: {} };
  const at = messages.findIndex(({ role }) => role === 'user');
  return { messages: messages.map((message, place) => (place === at ? joined(message) : message)), variables: {} };
}
