/** POST /responses. Nothing is kept: a conversation goes on with all of its items as `input`. */
import type { Response, ResponseUsage } from 'openai/resources/responses/responses';
import type { GenerateOptions, GenerateResult } from '../../index';
import { answersTo, piecesOf, takenBy } from './answers';
import { type Context, newId, noted, type Reply } from './context';
import { apiError } from './errors';
import type { Fields } from './fields';
import { Output, type Unnumbered } from './response-events';
import { messagesOf } from './response-input';
import { formatOf, logprobsOf, refuseAll, responseSamplingOf, templateOf } from './sampling';
import { toolsOf } from './tools';

const PARAMS = { schema: 'text.format', maxNewTokens: 'max_output_tokens' };

const KEPT = 'no response is kept; give the items so far as input';

/** What a request asks of the engine, and what of it the response tells again. */
function askedOf(fields: Fields) {
  refuseAll(fields, {
    previous_response_id: KEPT,
    conversation: KEPT,
    background: 'an answer comes while it is waited for',
    prompt: 'there are no stored prompts',
  });
  const tools = toolsOf(fields);
  const included = fields.list('include') ?? [];
  const text = fields.inner('text');
  const effort = fields.inner('reasoning')?.text('effort');
  const options: GenerateOptions = {
    ...responseSamplingOf(fields),
    ...logprobsOf(fields, included.includes('message.output_text.logprobs')),
    ...formatOf(text?.inner('format')),
    ...templateOf(fields, effort),
    ...tools.options,
  };
  if (fields.flag('store')) fields.unheeded('store');
  const echoed = {
    instructions: fields.text('instructions') ?? null,
    metadata: (fields.json('metadata') as Response['metadata']) ?? null,
    parallel_tool_calls: !tools.oneCall,
    temperature: options.temperature ?? null,
    top_p: options.topP ?? null,
    max_output_tokens: options.maxNewTokens ?? null,
    tool_choice: (fields.any('tool_choice') as Response['tool_choice']) ?? 'auto',
    tools: (fields.list('tools') as Response['tools']) ?? [],
    text: (text?.object as Response['text']) ?? { format: { type: 'text' as const } },
    truncation: options.overflow === 'shift' ? ('auto' as const) : ('disabled' as const),
    previous_response_id: null,
    reasoning: effort ? { effort: effort as NonNullable<Response['reasoning']>['effort'] } : null,
  };
  return { messages: messagesOf(fields), options, echoed, oneCall: tools.oneCall };
}

async function usageOf(engine: Context['engine'], result: GenerateResult): Promise<ResponseUsage> {
  const { prompt, cached, answer, reasoning } = await takenBy(engine, [result]);
  return {
    input_tokens: prompt,
    input_tokens_details: { cached_tokens: cached, cache_write_tokens: 0 },
    output_tokens: answer,
    output_tokens_details: { reasoning_tokens: reasoning },
    total_tokens: prompt + answer,
  };
}

const textsOf = ({ items }: Output): string =>
  items
    .flatMap((item) => (item.type === 'message' ? item.content : []))
    .map((part) => (part.type === 'output_text' ? part.text : ''))
    .join('');

/** @returns what is answered, when all is said, or the events of its stream */
export async function responses(context: Context, fields: Fields): Promise<Reply> {
  const { engine, model, created, signal } = context;
  const { messages, options, echoed, oneCall } = askedOf(fields);
  const stream = fields.flag('stream') ?? false;
  const output = new Output(options.logprobs !== undefined);
  const id = newId('resp_');
  const response = (status: Response['status'], more: Partial<Response> = {}): Response => ({
    id,
    object: 'response',
    created_at: created,
    status,
    error: null,
    incomplete_details: null,
    model,
    access_programs: null,
    output: status === 'in_progress' ? [] : output.items,
    output_text: status === 'in_progress' ? '' : textsOf(output),
    ...echoed,
    ...more,
  });
  const ended = async (result: GenerateResult): Promise<Response> => {
    const usage = await usageOf(engine, result);
    const whole = result.finish !== 'length';
    const more = whole ? {} : { incomplete_details: { reason: 'max_output_tokens' as const } };
    return { ...response(whole ? 'completed' : 'incomplete', { usage, ...more }), ...noted([result]) };
  };
  const pieces = piecesOf(answersTo(context, [messages], 1, { ...options, signal }), oneCall);

  /** What is told, and at the end the response. */
  async function* told(): AsyncGenerator<Unnumbered, Response> {
    try {
      // what is refused before anything is said is no stream
      let next = await pieces.next();
      yield { type: 'response.created', response: response('in_progress') };
      yield { type: 'response.in_progress', response: response('in_progress') };
      for (;;) {
        const { part, result } = next.value!;
        if (part) yield* output.take(part);
        else {
          yield* output.end(result.finish === 'length' ? 'incomplete' : 'completed');
          return ended(result);
        }
        next = await pieces.next();
      }
    } catch (thrown) {
      throw apiError(thrown, PARAMS);
    }
  }

  async function* events(): AsyncGenerator<string, void> {
    let sequence_number = 0;
    const event = (one: Unnumbered) =>
      `event: ${one.type}\ndata: ${JSON.stringify({ ...one, sequence_number: sequence_number++ })}\n\n`;
    const all = told();
    try {
      let next = await all.next();
      while (!next.done) {
        yield event(next.value);
        next = await all.next();
      }
      const { value } = next;
      const type = value.status === 'completed' ? 'response.completed' : 'response.incomplete';
      yield event({ type, response: value });
    } catch (thrown) {
      if (sequence_number === 0 || signal.aborted) throw thrown;
      const { message } = apiError(thrown);
      yield event({
        type: 'response.failed',
        response: response('failed', { error: { code: 'server_error', message } }),
      });
    } finally {
      await pieces.return();
    }
  }

  async function whole(): Promise<Response> {
    const all = told();
    for (;;) {
      const { done, value } = await all.next();
      if (done) return value;
    }
  }

  return stream ? events() : whole();
}
