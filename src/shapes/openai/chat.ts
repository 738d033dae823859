/** POST /chat/completions. */
import type { ChatCompletion, ChatCompletionChunk, ChatCompletionMessage } from 'openai/resources/chat/completions';
import type { FinishReason, GenerateOptions, GenerateResult, MessageInput, TokenLogprob } from '../../index';
import { answersTo, type Piece, piecesOf, Said, takenBy } from './answers';
import { type Context, DONE, event, newId, noted, type Reply, usage } from './context';
import { refused } from './errors';
import type { Fields } from './fields';
import { logprobsTold } from './logprobs';
import { countOf, formatOf, logprobsOf, refuseAll, samplingOf, templateOf } from './sampling';
import { toolsOf } from './tools';

type Choice = ChatCompletion['choices'][number];
type Delta = ChatCompletionChunk['choices'][number]['delta'] & { reasoning_content?: string };
type Logprobs = NonNullable<Choice['logprobs']>;

const FINISHES = {
  stop: 'stop',
  'tool-calls': 'tool_calls',
  length: 'length',
  aborted: 'stop',
} as const satisfies Record<FinishReason, Choice['finish_reason']>;

/** What a request asks of the engine. */
function askedOf(fields: Fields) {
  refuseAll(fields, { audio: 'answers are text', web_search_options: 'nothing is looked up' });
  const tools = toolsOf(fields);
  const limit = fields.whole('max_completion_tokens', 1) ?? fields.whole('max_tokens', 1);
  fields.any('max_tokens');
  const goesOn = fields.flag('continue_final_message');
  const options: GenerateOptions = {
    ...samplingOf(fields),
    ...(limit !== undefined && { maxNewTokens: limit }),
    ...(goesOn !== undefined && { continueFinalMessage: goesOn }),
    ...logprobsOf(fields, fields.flag('logprobs') ?? false),
    ...formatOf(fields.inner('response_format')),
    ...templateOf(fields, fields.text('reasoning_effort')),
    ...tools.options,
  };
  const messages = fields.list('messages');
  if (!messages?.length) return refused(fields.at('messages'), 'a list of at least one message');
  return { messages: messages as MessageInput[], options, oneCall: tools.oneCall };
}

const choiceLogprobs = (tokens: readonly TokenLogprob[]): Logprobs => ({
  content: logprobsTold(tokens),
  refusal: null,
});

function messageOf({ text, reasoning, calls }: Said): ChatCompletionMessage & { reasoning_content?: string } {
  return {
    role: 'assistant',
    content: text === '' && calls.length > 0 ? null : text,
    refusal: null,
    ...(reasoning && { reasoning_content: reasoning }),
    ...(calls.length > 0 && {
      tool_calls: calls.map(({ id, name, arguments: given }) => ({
        id,
        type: 'function' as const,
        function: { name, arguments: given },
      })),
    }),
  };
}

/** What a part adds to a message; null: nothing. */
function deltaOf(said: Said, part: NonNullable<Piece['part']>): Delta | null {
  const known = said.calls.length;
  const added = said.take(part);
  if (part.type === 'text') return { content: added };
  if (part.type === 'reasoning') return { reasoning_content: added };
  const { index, id, name } = part.call!;
  if (said.calls.length > known) {
    return { tool_calls: [{ index, id, type: 'function', function: { name, arguments: added } }] };
  }
  return added ? { tool_calls: [{ index, function: { arguments: added } }] } : null;
}

/** @returns what is answered, when all is said, or the events of its stream */
export async function chat(context: Context, fields: Fields): Promise<Reply> {
  const { engine, model, created, signal } = context;
  const { messages, options, oneCall } = askedOf(fields);
  const n = countOf(fields);
  const stream = fields.flag('stream') ?? false;
  const streamOptions = fields.inner('stream_options');
  const withUsage = streamOptions?.flag('include_usage') ?? false;
  const withLogprobs = options.logprobs !== undefined;
  const id = newId('chatcmpl-');
  const answers = () => piecesOf(answersTo(context, [messages], n, { ...options, signal }), oneCall);
  const saids = Array.from({ length: n }, () => new Said());
  const results: GenerateResult[] = [];

  async function whole(): Promise<ChatCompletion> {
    for await (const { index, part, result } of answers()) {
      if (part) saids[index].take(part);
      else results[index] = result;
    }
    const choices = saids.map((said, index): Choice => {
      const finish_reason = FINISHES[results[index].finish];
      const logprobs = withLogprobs ? choiceLogprobs(said.logprobs) : null;
      return { index, message: messageOf(said), logprobs, finish_reason };
    });
    const spent = usage(await takenBy(engine, results, n));
    return { id, object: 'chat.completion', created, model, choices, usage: spent, ...noted(results) };
  }

  async function* events(): AsyncGenerator<string, void> {
    const head = { id, object: 'chat.completion.chunk', created, model } as const;
    const chunk = (index: number, delta: Delta, tokens: readonly TokenLogprob[] = [], ended?: GenerateResult) => {
      const logprobs = withLogprobs && tokens.length > 0 ? choiceLogprobs(tokens) : null;
      const finish_reason = ended ? FINISHES[ended.finish] : null;
      const choice: ChatCompletionChunk['choices'][number] = { index, delta, logprobs, finish_reason };
      const all: ChatCompletionChunk = { ...head, choices: [choice], ...(withUsage && { usage: null }) };
      return event({ ...all, ...(ended && noted([ended])) });
    };
    const begun = new Set<number>();
    for await (const { index, part, result } of answers()) {
      if (!begun.has(index)) yield chunk(index, { role: 'assistant', content: '' });
      begun.add(index);
      if (result) {
        results[index] = result;
        yield chunk(index, {}, [], result);
        continue;
      }
      const delta = deltaOf(saids[index], part);
      if (delta) yield chunk(index, delta, part.type === 'text' ? part.logprobs : []);
    }
    if (withUsage) {
      const all: ChatCompletionChunk = { ...head, choices: [], usage: usage(await takenBy(engine, results, n)) };
      yield event(all);
    }
    yield DONE;
  }

  return stream ? events() : whole();
}
