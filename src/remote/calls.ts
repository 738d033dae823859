/**
 * Calls of tools out of a server's deltas, whether they come in one piece or in many. Two that have the same id are
 * told apart, one without an id gets its own, and a new id under an index that is taken is another call: none is lost.
 */
import type { Push } from '../engine/answer';
import { isObject } from '../options/spec';
import type { ParsedCall } from '../protocol';

interface Call {
  /** as the server counts, and as it names it */
  place: unknown;
  told: unknown;
  id: string;
  name: string;
  text: string;
}

function parsed({ id, name, text }: Call, known: ReadonlySet<string>): ParsedCall {
  let error: string | undefined;
  let given: Record<string, unknown> | null = null;
  try {
    const value: unknown = text.trim() === '' ? {} : JSON.parse(text);
    if (isObject(value)) given = value;
    else error = `The arguments of ${name} are no JSON object.`;
  } catch {
    error = `The arguments of ${name} are no JSON, or are cut off.`;
  }
  if (given && !known.has(name)) error = `There is no tool ${name}.`;
  return { id, name, arguments: given, text, ...(error && { error }) };
}

export class Calls {
  readonly whole: ParsedCall[] = [];
  readonly #open: Call[] = [];
  readonly #push: Push;
  readonly #known: ReadonlySet<string>;

  /** @param known names of the tools that there are */
  constructor(push: Push, known: ReadonlySet<string>) {
    this.#push = push;
    this.#known = known;
  }

  /** @param deltas `tool_calls` of a chunk, whatever stands there */
  take(deltas: unknown): void {
    if (!Array.isArray(deltas)) return;
    for (const delta of deltas) if (isObject(delta)) this.#take(delta);
  }

  #take({ index, id, function: own }: Record<string, unknown>): void {
    const { name, arguments: given } = isObject(own) ? own : ({} as Record<string, unknown>);
    const piece = typeof given === 'string' ? given : isObject(given) ? JSON.stringify(given) : '';
    let call = index === undefined && !id ? this.#open.at(-1) : this.#open.findLast(({ place }) => place === index);
    // one that goes on repeats its id, if it has one
    if (call && id && call.told && id !== call.told && name) call = undefined;
    if (index === undefined && id) call = this.#open.findLast(({ told }) => told === id);
    if (!call) {
      if (typeof name !== 'string') return;
      call = { place: index, told: id, id: this.#ownId(id), name, text: '' };
      this.#open.push(call);
      this.#tell(call, '');
    }
    if (piece) {
      call.text += piece;
      this.#tell(call, piece);
    }
  }

  #ownId(told: unknown): string {
    const taken = this.#open.map(({ id }) => id);
    const wish = typeof told === 'string' && told ? told : `call-${taken.length}`;
    let id = wish;
    for (let more = 2; taken.includes(id); more++) id = `${wish}-${more}`;
    return id;
  }

  #tell(call: Call, text: string, whole?: ParsedCall): void {
    const { id, name } = call;
    this.#push('tool-call', text, { call: { index: this.#open.indexOf(call), id, name, ...(whole && { whole }) } });
  }

  /** Nothing more comes. */
  end(): void {
    for (const call of this.#open) {
      const whole = parsed(call, this.#known);
      this.whole.push(whole);
      this.#tell(call, '', whole);
    }
  }
}
