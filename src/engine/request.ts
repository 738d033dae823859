/** One answer from a held model: where the worker is lost under it, it goes on in the next one. */
import { transfer } from 'comlink';
import { NibbleError } from '../errors';
import { GENERATE_OPTIONS, TOOL_NAMES } from '../options/load';
import { checkOptions } from '../options/spec';
import type { GenerateRequest, GenerateResult, ParsedCall, TokenLogprob, TokenMessage } from '../protocol';
import { type Answer, AnswerQueue, type GenerateOptions, type Push } from './answer';
import { idsOf, plain } from './arguments';
import type { HeldModel } from './held-model';
import { NO_MEMORY } from './no-memory';
import { cancellable, type RunningWorker } from './start-worker';
import { stoppedBy } from './stoppable';

/** What is asked; the input may be made, or refused, when the answer begins. */
export type Asked = Pick<GenerateRequest, 'id' | 'conversation' | 'saved' | 'maxContext' | 'together' | 'tools'> & {
  input: () => GenerateRequest['input'] | Promise<GenerateRequest['input']>;
};

/**
 * @param asked its id is unique in the page
 * @param options with `signal`: ends the answer as `aborted`, with what there is, also where the worker does not hear
 * that; while the model is being loaded again, the answer fails with that code
 */
export function answerFrom(model: HeldModel, { input, ...asked }: Asked, wanted: GenerateOptions): Answer {
  const askedAt = performance.now();
  const stopping = new AbortController();
  const ids: number[] = [];
  /** of the ids that were not `made` */
  const logprobs: TokenLogprob[] = [];
  /** what the caller has had */
  const said = { text: '', reasoning: '', mark: '', 'tool-call': '' };
  const toolCalls: ParsedCall[] = [];
  let raw = '';
  let firstMs = 0;
  let attempts = 0;

  const start = async (push: Push): Promise<GenerateResult> => {
    const { signal, onPrefill, made = [], ...given } = checkOptions<GenerateOptions>(GENERATE_OPTIONS, wanted);
    ids.push(...idsOf('made', made));
    for (const name of TOOL_NAMES) delete given[name];
    const { templateOptions } = given;
    if (templateOptions) given.templateOptions = plain('templateOptions', templateOptions);
    if (given.schema) given.schema = plain('schema', given.schema);
    // drawn here, so that a repeated request goes on with the same random numbers
    const options = { ...given, seed: given.seed ?? crypto.getRandomValues(new Uint32Array(1))[0] };
    const answer = async (): Promise<GenerateResult> => {
      try {
        const what = await input();
        const ask = (worker: RunningWorker) => {
          const { port1, port2 } = new MessageChannel();
          const attempt = ++attempts;
          // a repeated request tells everything again
          let [place, at] = [0, 0];
          port1.onmessage = ({ data }: MessageEvent<TokenMessage>) => {
            if (attempt !== attempts) return;
            if (data.prefill) return void onPrefill?.(data.prefill);
            firstMs ||= performance.now() - askedAt;
            for (const id of data.ids) ids[place++] = id;
            const { text, raw: written = text, type = 'text', call, logprobs: told = [] } = data;
            logprobs.push(...told);
            const known = Math.max(0, Math.min(written.length, raw.length - at));
            at += written.length;
            const ended = call?.whole !== undefined && toolCalls.length > call.index;
            if (written.length > 0 ? known === written.length : ended) return;
            // what reads otherwise than it is written comes in the same pieces each time
            const fresh = data.raw === undefined ? text.slice(known) : text;
            const rest = written.slice(known);
            raw += rest;
            said[type] += fresh;
            if (call?.whole) toolCalls.push(call.whole);
            push(type, fresh, { raw: rest, call, logprobs: told });
          };
          const request = { ...asked, input: what, options, made: [...ids], prefill: onPrefill !== undefined };
          return cancellable(worker, asked.id, stopping.signal, () =>
            worker.api.generate(request, transfer(port2, [port2])),
          );
        };
        const result = await model.run(ask, { signal: stopping.signal, progress: () => ids.length });
        if (attempts > 1) {
          Object.assign(result.stats, { ttftMs: firstMs, recoveries: attempts - 1 });
          // the worker knows those of its own draws
          const before = result.ids.length - made.length - (result.logprobs?.length ?? 0);
          if (result.logprobs) result.logprobs = [...logprobs.slice(0, before), ...result.logprobs];
        }
        return result;
      } catch (error) {
        if (!(error instanceof NibbleError && error.details.reason === 'deaf')) throw error;
        // what is still on its way comes too late
        attempts++;
        const heard = { text: said.text, reasoning: said.reasoning, toolCalls };
        const none = { promptTokens: 0, reusedTokens: 0, droppedTokens: 0, prefillTps: 0, decodeTps: 0 };
        const stats = { ...none, newTokens: ids.length, ttftMs: firstMs };
        const told = (wanted.logprobs ?? false) !== false && { logprobs };
        return { ids, ...heard, raw, ...told, finish: 'aborted', stats, memory: NO_MEMORY, note: error.message };
      }
    };
    return stoppedBy(signal, stopping, answer);
  };
  return new AnswerQueue(start, stopping);
}
