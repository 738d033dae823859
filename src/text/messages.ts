/** Messages as a caller gives them -> as a template takes them. */
import { NibbleError } from '../errors';

import type { ChatTemplate } from './chat-template';

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool'];

/** A message that is checked: content is a text or a list of parts of type text. */
export type Message = Record<string, unknown> & { role: string; content: string | { type: 'text'; text: string }[] };

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const cut = (value: unknown) => (typeof value === 'string' ? `"${value.slice(0, 40)}"` : typeof value);

/** @throws invalid-option: which message, and why */
function checked(value: unknown, place: number): Message {
  const bad = (why: string): never => {
    throw new NibbleError(
      'invalid-option',
      `Message ${place + 1} ${why}. Messages are objects with role (${ROLES.join(', ')}) and content (text).`,
      { message: place },
    );
  };
  if (!isObject(value))
    return bad(`is ${value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`}`);
  const { role, content, tool_calls: calls } = value;
  if (!ROLES.includes(role as string)) return bad(`has the role ${cut(role)}`);
  if (Array.isArray(content)) {
    for (const part of content) {
      const type = isObject(part) ? part.type : undefined;
      if (type !== 'text') return bad(`has a part of type ${cut(type)}, and text is all that is read`);
      if (typeof (part as { text?: unknown }).text !== 'string') return bad('has a part without text');
    }
  } else if (typeof content !== 'string') {
    const calling = role === 'assistant' && Array.isArray(calls) && calls.length > 0;
    if ((content ?? null) !== null || !calling)
      return bad(
        `has ${content === undefined ? 'no content' : `content that is ${content === null ? 'null' : `a ${typeof content}`}`}`,
      );
  }
  // as transformers has it: what is null is not there, and templates know what was thought by either name
  const said = Object.fromEntries(Object.entries(value).filter(([, item]) => item !== null && item !== undefined));
  const thought = said.reasoning_content ?? said.thinking ?? said.reasoning;
  return {
    ...said,
    ...(thought !== undefined && { reasoning_content: thought, thinking: said.thinking ?? thought }),
    role: role as string,
    content: (content ?? '') as Message['content'],
  };
}

/** @throws invalid-option for what is no list of messages, and for what is no JSON in them */
export function checkMessages(messages: unknown): Message[] {
  if (!Array.isArray(messages)) {
    throw new NibbleError('invalid-option', 'Messages are a list: [{ role: "user", content: "…" }].');
  }
  return messages.map(checked);
}

const PROBE = 'nibble probe';
const PARTS: Message['content'] = [{ type: 'text', text: PROBE }];

/** Whether the template shows a content of this kind as it is, and not as Python would print it. */
function shows(template: ChatTemplate, content: Message['content']): boolean {
  try {
    const text = template.render([{ role: 'user', content }], {});
    return text.includes(PROBE) && !/['"]text['"]/.test(text);
  } catch {
    return false;
  }
}

/** Which kinds of content a template takes; asked once, and only where it matters. */
export interface ContentKinds {
  parts(): boolean;
  text(): boolean;
}

export function contentKinds(template: ChatTemplate): ContentKinds {
  let [parts, text]: (boolean | undefined)[] = [];
  return {
    parts: () => (parts ??= shows(template, PARTS)),
    text: () => (text ??= shows(template, PROBE)),
  };
}

export const textOf = (content: Message['content']): string =>
  typeof content === 'string' ? content : content.map(({ text }) => text).join('\n');
