/** The items that /responses is given, as messages. */
import type { MessageInput, TextPart, ToolCall } from '../../index';
import { refused, unsupported } from './errors';
import type { Fields } from './fields';

const TEXTS = ['input_text', 'output_text', 'reasoning_text', 'text'];

/** The text of a content: a text, or a list of parts that are texts. */
function contentOf(item: Fields, name: string): string | TextPart[] {
  const given = item.any(name);
  if (typeof given === 'string') return given;
  if (!Array.isArray(given)) return refused(item.at(name), 'a text or a list of parts');
  return item.each(name)!.map((part): TextPart => {
    const type = part.text('type');
    if (type === 'refusal') return { type: 'text', text: part.text('refusal') ?? '' };
    if (!type || !TEXTS.includes(type)) unsupported(part.at('type'), 'only texts are read');
    for (const name of ['annotations', 'logprobs']) part.any(name);
    return { type: 'text', text: part.text('text') ?? refused(part.at('text'), 'a text') };
  });
}

const textOf = (content: string | readonly TextPart[]): string =>
  typeof content === 'string' ? content : content.map(({ text }) => text).join('');

/** One part is as good as its text. */
const plainOf = (content: string | TextPart[]): string | TextPart[] =>
  typeof content !== 'string' && content.length === 1 ? content[0].text : content;

/** What an assistant's turn is made of: thought, message and calls are items of their own. */
type Turn = MessageInput & { role: 'assistant'; tool_calls?: ToolCall[] };

/**
 * @param fields `instructions` stand before all else, as a system message
 * @throws ApiError 400 for items that are no messages, calls of functions, what came of them, or thoughts
 */
export function messagesOf(fields: Fields): MessageInput[] {
  const instructions = fields.text('instructions');
  const messages: MessageInput[] = instructions ? [{ role: 'system', content: instructions }] : [];
  const given = fields.any('input');
  if (typeof given === 'string') return [...messages, { role: 'user', content: given }];
  const items = Array.isArray(given) && given.length > 0 ? fields.each('input')! : null;
  if (!items) return refused(fields.at('input'), 'a text or a list of items');
  /** names of calls, for what came of them */
  const names = new Map<string, string>();
  let turn: Turn | null = null;
  const begun = (): Turn => {
    const made: Turn = { role: 'assistant', content: '' };
    messages.push(made);
    return made;
  };
  for (const item of items) {
    for (const name of ['id', 'status', 'phase']) item.any(name);
    const type = item.text('type') ?? 'message';
    if (type === 'reasoning') {
      for (const name of ['summary', 'encrypted_content']) item.any(name);
      if (item.any('content') === undefined) continue;
      if (turn === null || turn.content !== '') turn = begun();
      turn.reasoning_content = textOf(contentOf(item, 'content'));
    } else if (type === 'function_call') {
      const [id, name] = [item.text('call_id') ?? '', item.text('name') ?? refused(item.at('name'), 'a text')];
      names.set(id, name);
      turn ??= begun();
      turn.tool_calls ??= [];
      turn.tool_calls.push({ id, type: 'function', function: { name, arguments: item.text('arguments') || '{}' } });
    } else if (type === 'function_call_output') {
      turn = null;
      const id = item.text('call_id') ?? '';
      const content = plainOf(contentOf(item, 'output'));
      messages.push({ role: 'tool', tool_call_id: id, content, ...(names.has(id) && { name: names.get(id) }) });
    } else if (type === 'message') {
      const role = item.text('role');
      const content = plainOf(contentOf(item, 'content'));
      if (role === 'assistant') {
        // what was thought, or was said before, is of this turn
        if (turn === null || turn.content !== '' || turn.tool_calls) turn = begun();
        turn.content = content;
      } else {
        turn = null;
        messages.push({ role: role as MessageInput['role'], content });
      }
    } else {
      unsupported(item.at('type'), 'items are messages, function_call, function_call_output and reasoning here');
    }
  }
  return messages;
}
