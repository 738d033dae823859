/** The output of /responses as it grows: its items, and the events that tell of them. */
import type {
  ResponseFunctionToolCall,
  ResponseOutputItem,
  ResponseOutputMessage,
  ResponseOutputText,
  ResponseReasoningItem,
  ResponseStreamEvent,
} from 'openai/resources/responses/responses';
import type { AnswerPart, TokenLogprob } from '../../index';
import { Said } from './answers';
import { newId } from './context';
import { logprobsTold } from './logprobs';

/** An event before it has its number in the stream. */
export type Unnumbered = ResponseStreamEvent extends infer E
  ? E extends unknown
    ? Omit<E, 'sequence_number'>
    : never
  : never;

type Item = ResponseOutputMessage | ResponseReasoningItem | ResponseFunctionToolCall;
type Status = 'completed' | 'incomplete';
type ReasoningPart = NonNullable<ResponseReasoningItem['content']>[number];
type TextPart = ResponseOutputText & { logprobs: NonNullable<ResponseOutputText['logprobs']> };

/** Of an answer, what is said in one piece: a thought, a text, or a call. */
interface Open {
  item: Item & { id: string };
  /** which call it is of */
  call?: number;
  part: TextPart | ReasoningPart | null;
}

/** Collects the items of one answer. */
export class Output {
  readonly items: ResponseOutputItem[] = [];
  readonly #said = new Said();
  readonly #withLogprobs: boolean;
  #open: Open | null = null;

  constructor(withLogprobs: boolean) {
    this.#withLogprobs = withLogprobs;
  }

  get #at() {
    return { output_index: this.items.length - 1, item_id: this.#open!.item.id };
  }

  /** @returns the events of a part, of what ends before it too */
  *take(part: AnswerPart): Generator<Unnumbered> {
    const { type, call, logprobs = [] } = part;
    const open = this.#open;
    const goesOn = open && open.call === call?.index && open.item.type === ITEM_OF[type];
    const added = this.#said.take(part);
    if (!goesOn) {
      yield* this.end('completed');
      yield* this.#begin(type, call);
    }
    if (added) yield* this.#add(added, logprobs);
  }

  *#begin(type: AnswerPart['type'], call: AnswerPart['call']): Generator<Unnumbered> {
    const item = newItem(type, call);
    const part: Open['part'] =
      type === 'text'
        ? { type: 'output_text', text: '', annotations: [], logprobs: [] }
        : type === 'reasoning'
          ? { type: 'reasoning_text', text: '' }
          : null;
    this.#open = { item, call: call?.index, part };
    this.items.push(item);
    yield { type: 'response.output_item.added', output_index: this.#at.output_index, item: structuredClone(item) };
    if (!part) return;
    yield { type: 'response.content_part.added', ...this.#at, content_index: 0, part: { ...part } };
    (item as { content: unknown[] }).content.push(part);
  }

  *#add(delta: string, tokens: readonly TokenLogprob[]): Generator<Unnumbered> {
    const { item, part } = this.#open!;
    const at = { ...this.#at, content_index: 0, delta };
    if (part?.type === 'output_text') {
      const logprobs = this.#withLogprobs ? logprobsTold(tokens) : [];
      part.text += delta;
      part.logprobs.push(...logprobs);
      yield { type: 'response.output_text.delta', ...at, logprobs };
    } else if (part) {
      part.text += delta;
      yield { type: 'response.reasoning_text.delta', ...at };
    } else {
      (item as ResponseFunctionToolCall).arguments += delta;
      yield { type: 'response.function_call_arguments.delta', ...this.#at, delta };
    }
  }

  /** Ends the item under way, where there is one. */
  *end(status: Status): Generator<Unnumbered> {
    if (!this.#open) return;
    const { item, part } = this.#open;
    const at = { ...this.#at, content_index: 0 };
    if (part?.type === 'output_text') {
      yield { type: 'response.output_text.done', ...at, text: part.text, logprobs: part.logprobs };
    } else if (part) {
      yield { type: 'response.reasoning_text.done', ...at, text: part.text };
    } else {
      yield {
        type: 'response.function_call_arguments.done',
        ...this.#at,
        arguments: (item as ResponseFunctionToolCall).arguments,
      };
    }
    if (part) yield { type: 'response.content_part.done', ...at, part };
    item.status = status;
    yield { type: 'response.output_item.done', output_index: at.output_index, item };
    this.#open = null;
  }
}

const ITEM_OF = { text: 'message', reasoning: 'reasoning', 'tool-call': 'function_call' } as const satisfies Record<
  AnswerPart['type'],
  Item['type']
>;

function newItem(type: AnswerPart['type'], call: AnswerPart['call']): Item & { id: string } {
  const status = 'in_progress';
  if (type === 'text') return { id: newId('msg_'), type: 'message', role: 'assistant', status, content: [] };
  if (type === 'reasoning') return { id: newId('rs_'), type: 'reasoning', status, summary: [], content: [] };
  const { id, name } = call!;
  return { id: newId('fc_'), type: 'function_call', status, call_id: id, name, arguments: '' };
}
