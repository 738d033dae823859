/**
 * A tokenizer's own `response_template` (transformers 5.24, utils/chat_parsing) as a form of answers: fields with marks
 * or patterns around them, and how their contents are read. What these templates say in practice is what the rows of
 * CALL_FORMS say, so one becomes a row; one that says more is not followed, and that is said.
 */

import { isObject } from '../messages';
import type { Marks } from '../reasoning';
import type { CallForm, Payload } from './call-forms';

export interface OwnForm {
  reasoning: Marks | null;
  calls: CallForm | null;
}

/** What cannot be followed: the end of a sentence. */
class Beyond extends Error {}

type Part = { text: string } | { capture: string } | 'blank';
type Field = Readonly<Record<string, unknown>>;

/** A pattern as literal texts, white space and named groups, in order. @throws Beyond for anything else */
function partsOf(pattern: string): Part[] {
  const parts: Part[] = [];
  const literal = (text: string) => {
    const last = parts.at(-1);
    if (last && last !== 'blank' && 'text' in last) last.text += text;
    else parts.push({ text });
  };
  const token =
    /\\s[*+]|\(\?P<(\w+)>((?:\[(?:\\.|[^\]\\])*\]|\\.|[^()[\]\\])*)\)|\(\?:((?:\\.|[^()\\])*)\)|\\([^a-zA-Z0-9])|\\(n)|([^\\()[\]{}.*+?|^$])/y;
  for (let at = 0; at < pattern.length; at = token.lastIndex) {
    token.lastIndex = at;
    const found = token.exec(pattern);
    if (!found) throw new Beyond(`has the pattern ${JSON.stringify(pattern.slice(0, 80))}`);
    const [whole, capture, , alternatives, escaped, newline, plain] = found;
    if (whole.startsWith('\\s')) parts.push('blank');
    else if (capture) parts.push({ capture });
    // of several endings the first is taken
    else if (alternatives) parts.push(...partsOf(alternatives.split(/(?<!\\)\|/)[0]));
    else literal(escaped ?? (newline ? '\n' : plain));
  }
  return parts;
}

/** A field's mark at one end, in parts. */
function marksAt(field: Field, end: 'open' | 'close'): Part[][] {
  const given = field[end];
  const texts = typeof given === 'string' ? [given] : Array.isArray(given) ? given : [];
  if (texts.length > 0 && texts.every((text) => typeof text === 'string')) return texts.map((text) => [{ text }]);
  const pattern = field[`${end}_pattern`];
  return typeof pattern === 'string' ? [partsOf(pattern)] : [];
}

const textsOf = (parts: readonly Part[]): string[] =>
  parts.flatMap((part) => (part !== 'blank' && 'text' in part ? [part.text] : []));
const captures = (parts: readonly Part[]): string[] =>
  parts.flatMap((part) => (part !== 'blank' && 'capture' in part ? [part.capture] : []));

/** Where the transform takes name and arguments from: "{name}", "{content.name}" and so on, without the braces. */
function placesIn(transform: unknown): { name: string; arguments: string } {
  const called = isObject(transform) ? transform.function : undefined;
  const place = (value: unknown) => (typeof value === 'string' ? /^\{([\w.]+)\}$/.exec(value)?.[1] : undefined);
  if (place(called) === 'content') return { name: 'content.name', arguments: 'content.arguments' };
  const [name, given] = isObject(called) ? [place(called.name), place(called.arguments)] : [];
  if (!name || !given) throw new Beyond('has a transform of another shape');
  return { name, arguments: given };
}

function payloadOf(field: Field, open: readonly Part[], close: readonly Part[]): { payload: Payload; before: string } {
  const { content = 'text', content_args: given, transform } = field;
  const args = isObject(given) ? given : {};
  const places = placesIn(transform);
  const key = (place: string) => /^content\.(\w+)$/.exec(place)?.[1];
  const texts = textsOf(open);
  const [mark = ''] = texts;
  if (content === 'json' && places.name === 'name' && captures(open).includes('name')) {
    const delimiters = Array.isArray(args.string_delims) ? args.string_delims : [];
    const quotes = delimiters.map((pair) => (Array.isArray(pair) && pair[0] === pair[1] ? String(pair[0]) : ''));
    if (quotes.includes('')) throw new Beyond('has strings between two marks');
    const behind = texts.slice(1).join('');
    // a mark ends with its bracket, and may be one token
    const [, opening, ahead] = /^(.*[>\]])?([\s\S]*)$/s.exec(mark)!;
    const exact = (text: string) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
    return {
      payload: {
        kind: 'named',
        header: new RegExp(`^${exact(opening ? ahead : '')}(?<name>[\\w.-]+)${exact(behind)}$`),
        before: (name) => (opening ? ahead : '') + name + behind,
        opens: '{',
        dialect: { quotes, bare: args.unquoted_keys === true },
      },
      before: opening ?? mark,
    };
  }
  if (content === 'json') {
    const [name, value] = [key(places.name), key(places.arguments)];
    if (!name || !value) throw new Beyond('has a transform of another shape');
    return { payload: { kind: 'json', name, arguments: value }, before: mark };
  }
  if (content === 'python-call-list') {
    const header = /^(?<name>[\w.-]+)$/;
    return { payload: { kind: 'named', header, before: (name) => name, opens: '(' }, before: mark };
  }
  if (content === 'xml-inline' && typeof args.tag_pattern === 'string' && captures(open).includes('name')) {
    const inner = partsOf(args.tag_pattern.replace('.*?', '[^<]*'));
    const [keyOpen, keyEnd, ...rest] = textsOf(inner);
    const [nameEnd] = texts.slice(-1);
    // the mark and the tag of the name are one, or two
    const own = texts.length === 2 ? mark : texts[1];
    const closing = textsOf(close);
    const valueClose = rest.at(-1);
    if (!keyOpen || !keyEnd || !valueClose || !nameEnd) throw new Beyond('has tags of another shape');
    return {
      payload: {
        kind: 'tags',
        call: [own, nameEnd, closing[0] ?? ''],
        argument: [keyOpen, keyEnd, rest.length > 1 ? rest[0] : '', valueClose],
      },
      before: mark,
    };
  }
  throw new Beyond(`has calls that are ${JSON.stringify(content)}`);
}

function callsOf(field: Field): CallForm {
  const open = marksAt(field, 'open');
  const [close = []] = marksAt(field, 'close');
  if (open.length === 0) throw new Beyond('has calls without an opening mark');
  const { payload, before } = payloadOf(field, open[0], close);
  if (!before) throw new Beyond('has calls without an opening mark');
  const closing = textsOf(close);
  const list = payload.kind === 'named' && payload.opens === '(';
  return {
    name: 'response_template',
    knownBy: [],
    open: [before, ...open.slice(1).flatMap((parts) => textsOf(parts).slice(0, 1))],
    close: (payload.kind === 'tags' ? closing[1] : closing[0]) ?? '',
    ...(list && { beside: ['[', ']'], around: ['[', ']'] as const }),
    payload,
  };
}

/**
 * @param template the `response_template` of tokenizer_config.json, whatever that is
 * @returns its form, null where there is none; `fault`: why it is not followed, a sentence
 */
export function responseTemplate(template: unknown): { form: OwnForm | null; fault: string | null } {
  if (template === undefined || template === null) return { form: null, fault: null };
  try {
    if (!isObject(template) || !isObject(template.fields)) throw new Beyond('is no object with fields');
    if ((template.version ?? 1) !== 1) throw new Beyond(`has the version ${JSON.stringify(template.version)}`);
    const { reasoning_content: first, thinking: second = first, tool_calls: called } = template.fields;
    const thought = isObject(first) ? first : second;
    const [open] = isObject(thought) ? textsOf(marksAt(thought, 'open')[0] ?? []) : [];
    const [close] = isObject(thought) ? textsOf(marksAt(thought, 'close')[0] ?? []) : [];
    const reasoning = open && close ? { open: open.trim(), close: close.trim() } : null;
    return { form: { reasoning, calls: isObject(called) ? callsOf(called) : null }, fault: null };
  } catch (error) {
    if (!(error instanceof Beyond)) throw error;
    return { form: null, fault: `The tokenizer's response_template is not followed: it ${error.message}.` };
  }
}
