/**
 * Arguments of the library's functions that are no options: checked before anything crosses to the worker, where what
 * cannot be cloned would fail without a name.
 */
import { NibbleError } from '../errors';
import { PLAN_QUERY } from '../options/load';
import { allowed, checkOptions, refuse } from '../options/spec';
import type { MessageInput, PlanQuery } from '../protocol';

const MESSAGES = "a list of messages, such as [{ role: 'user', content: 'Hello' }]";

/**
 * A copy of messages that can be sent: a framework's reactive objects, for one, cannot.
 * @throws invalid-option for anything but a list of objects
 */
export function messagesOf(given: unknown): MessageInput[] {
  const list: unknown = Array.isArray(given) ? given : refuse('messages', given, MESSAGES);
  for (const message of list as unknown[]) {
    if (typeof message !== 'object' || message === null || Array.isArray(message)) {
      refuse('messages', message, `${MESSAGES}, and every message an object`);
    }
  }
  return plain('messages', list as MessageInput[]);
}

/** What JSON would say of a value, read as own properties: pages that add `toJSON` to every list change nothing. */
function copied(name: string, value: unknown, around = new Set<unknown>()): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new Error(`${name} is ${value}`);
  if (typeof value === 'bigint') throw new Error(`${name} is a BigInt`);
  if (value instanceof Date) return value.toISOString();
  if (typeof value !== 'object' || value === null) return value;
  if (around.has(value)) throw new Error(`${name} refers to itself`);
  around.add(value);
  const isLeft = (inner: unknown) => inner !== undefined && typeof inner !== 'function' && typeof inner !== 'symbol';
  const copy = Array.isArray(value)
    ? value.map((inner) => (isLeft(inner) ? copied(name, inner, around) : null))
    : Object.fromEntries(
        Object.entries(value).flatMap(([key, inner]) => (isLeft(inner) ? [[key, copied(key, inner, around)]] : [])),
      );
  around.delete(value);
  return copy;
}

/** A copy of what JSON can say. @throws invalid-option for what refers to itself, or holds numbers that JSON lacks */
export function plain<T>(name: string, value: T): T {
  try {
    return copied(name, value) as T;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new NibbleError(
      'invalid-option',
      `${name} cannot be sent to the worker: ${why}.`,
      { option: name },
      { cause },
    );
  }
}

/** @throws invalid-option for anything but a list (or a typed array) of numbers */
export function idsOf(name: string, given: unknown, allowed = 'a list of token ids'): number[] {
  const typed = ArrayBuffer.isView(given) && !(given instanceof DataView) ? given : null;
  const list: unknown = typed ? Array.from(typed as unknown as ArrayLike<unknown>) : given;
  if (!Array.isArray(list)) return refuse(name, given, allowed);
  const other = list.find((id) => typeof id !== 'number');
  if (other !== undefined || list.includes(undefined)) refuse(name, other, `${allowed}, all of them numbers`);
  return [...list];
}

/** @throws invalid-option */
export function textOf(name: string, given: unknown): string {
  return typeof given === 'string' ? given : refuse(name, given, 'a text');
}

/** A list of texts, of one that stands alone too. @throws invalid-option */
export function textsOf(name: string, given: unknown): string[] {
  const list = typeof given === 'string' ? [given] : given;
  const allowed = 'a text or a list of at least one text';
  if (!Array.isArray(list) || list.length === 0) return refuse(name, given, allowed);
  const other = list.findIndex((text) => typeof text !== 'string');
  return other < 0 ? [...list] : refuse(`${name}[${other}]`, list[other], 'a text');
}

/** A query as the worker takes it. @throws invalid-option */
export function planQuery(query: PlanQuery): PlanQuery {
  const checked = checkOptions<Omit<PlanQuery, 'conversation'>>(PLAN_QUERY, query);
  for (const name of ['promptTokens', 'maxNewTokens'] as const) {
    if (checked[name] === undefined) refuse(name, undefined, allowed(PLAN_QUERY[name]));
  }
  // here null says something: no budget
  return { ...checked, ...(query.memoryBudget === null && { memoryBudget: null }) } as PlanQuery;
}
