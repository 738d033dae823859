/** An answer as Anthropic's clients read it: a message, or the events that a message grows by. */
import type { Answer, AnswerPart, GenerateResult, GenerateStats, ParsedCall } from '../../index';
import { apiError } from '../openai/errors';
import { anthropicError } from './errors';

/** Why an answer ended. */
type StopReason = 'end_turn' | 'max_tokens' | 'stop_sequence' | 'tool_use' | 'model_context_window_exceeded';

/** What is known of an answer before it begins. */
export interface Head {
  id: string;
  model: string;
  /** of the prompt */
  inputTokens: number;
}

/** How it ended. */
export interface Ending {
  reason: StopReason;
  /** the stop sequence that came */
  sequence: string | null;
}

/** Cached tokens are told apart from those that were computed, and cost nothing to keep. */
function usageOf({
  promptTokens,
  reusedTokens,
  newTokens,
}: Pick<GenerateStats, 'promptTokens' | 'reusedTokens' | 'newTokens'>) {
  return {
    input_tokens: promptTokens - reusedTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: reusedTokens,
    output_tokens: newTokens,
    output_tokens_details: null,
    server_tool_use: null,
  };
}

/** What a service tells of itself, and a model on one's own machine has not. */
const OF_A_SERVICE = { cache_creation: null, inference_geo: null, service_tier: null, speed: null };

/** A call whose arguments cannot be read is told as it was written. */
function blockOf({ id, name, arguments: input, text }: ParsedCall) {
  return input === null ? textBlock(text) : { type: 'tool_use', id, name, input, caller: { type: 'direct' } };
}

const textBlock = (text: string) => ({ type: 'text', text, citations: null });
const thinkingBlock = (thinking: string) => ({ type: 'thinking', thinking, signature: '' });

/** The message as a whole. */
export function messageOf({ id, model }: Head, result: GenerateResult, { reason, sequence }: Ending) {
  const { text, reasoning, toolCalls, stats } = result;
  return {
    id,
    type: 'message',
    role: 'assistant',
    model,
    content: [
      ...(reasoning ? [thinkingBlock(reasoning)] : []),
      ...(text ? [textBlock(text)] : []),
      ...toolCalls.map(blockOf),
    ],
    stop_reason: reason,
    stop_sequence: sequence,
    stop_details: null,
    container: null,
    diagnostics: null,
    usage: { ...usageOf(stats), ...OF_A_SERVICE },
  };
}

export type MessageEvent = { type: string } & Record<string, unknown>;

/** The block that a piece belongs to, as it begins. */
function beginning({ type, call }: AnswerPart) {
  if (type === 'reasoning') return thinkingBlock('');
  if (type === 'text') return textBlock('');
  return { type: 'tool_use', id: call!.id, name: call!.name, input: {}, caller: { type: 'direct' } };
}

const DELTAS = {
  reasoning: (text: string) => ({ type: 'thinking_delta', thinking: text }),
  text: (text: string) => ({ type: 'text_delta', text }),
  'tool-call': (text: string) => ({ type: 'input_json_delta', partial_json: text }),
} as const;

/** The end of a block. @param open a piece of it; null: there is none */
function* closing(open: AnswerPart | null, index: number): Generator<MessageEvent> {
  // a thought is sealed where others have to trust it: here nobody does
  if (open?.type === 'reasoning') {
    yield { type: 'content_block_delta', index, delta: { type: 'signature_delta', signature: '' } };
  }
  if (open) yield { type: 'content_block_stop', index };
}

/**
 * The events of an answer, in order; the last one is message_stop, or error.
 * @param parts of the answer
 * @param end asked when the answer has ended
 */
export async function* eventsOf(
  { id, model, inputTokens }: Head,
  answer: Answer,
  parts: AsyncIterable<AnswerPart>,
  end: (result: GenerateResult) => Promise<Ending>,
): AsyncGenerator<MessageEvent> {
  const usage = { ...usageOf({ promptTokens: inputTokens, reusedTokens: 0, newTokens: 0 }), ...OF_A_SERVICE };
  const none = { stop_reason: null, stop_sequence: null, stop_details: null, container: null, diagnostics: null };
  yield {
    type: 'message_start',
    message: { id, type: 'message', role: 'assistant', model, content: [], ...none, usage },
  };
  yield { type: 'ping' };
  let index = -1;
  let open: AnswerPart | null = null;
  /** whether the block has said anything */
  let told = false;
  try {
    for await (const part of parts) {
      if (open?.type !== part.type || open.call?.index !== part.call?.index) {
        yield* closing(open, index);
        open = part;
        told = false;
        index++;
        yield { type: 'content_block_start', index, content_block: beginning(part) };
      }
      // a call may come in one piece
      const { whole } = part.call ?? {};
      if (part.text) told = true;
      const text = part.text || (whole && !told ? JSON.stringify(whole.arguments ?? {}) : '');
      if (text) yield { type: 'content_block_delta', index, delta: DELTAS[part.type](text) };
    }
    yield* closing(open, index);
    const result = await answer.result;
    const { reason, sequence } = await end(result);
    yield {
      type: 'message_delta',
      delta: { stop_reason: reason, stop_sequence: sequence, stop_details: null, container: null },
      usage: usageOf(result.stats),
    };
    yield { type: 'message_stop' };
  } catch (error) {
    const { status, message } = apiError(error);
    yield anthropicError(status, message);
  }
}
