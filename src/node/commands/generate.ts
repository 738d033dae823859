/** nibble generate: one answer. */
import type { GenerateRequest, GenerateResult, TokenMessage } from '../../protocol';
import { type Arguments, invalid, samplingOptions } from '../arguments';
import { nextId, open } from '../open';
import { COMMAND, log, mib, print, tell } from '../terminal';

async function input(args: Arguments): Promise<GenerateRequest['input']> {
  if (['prompt', 'chat', 'ids'].filter((name) => args.text(name) !== undefined).length !== 1) {
    throw invalid('prompt', undefined, `${COMMAND} generate needs exactly one of --prompt, --chat and --ids.`);
  }
  const prompt = await args.input('prompt');
  const chat = await args.input('chat');
  const ids = await args.ids();
  if (ids) return { ids };
  return chat === undefined ? { prompt: prompt as string } : { messages: [{ role: 'user', content: chat }] };
}

/** The object that --json prints. */
export function resultJson({ ids, raw, reasoning, logprobs, finish, stats, memory }: GenerateResult): object {
  return {
    ids,
    text: raw,
    reasoning,
    ...(logprobs && { logprobs }),
    finish,
    stats: {
      prompt_tokens: stats.promptTokens,
      new_tokens: stats.newTokens,
      ...(stats.droppedTokens > 0 && { dropped_tokens: stats.droppedTokens }),
      ttft_ms: stats.ttftMs,
      prefill_tps: stats.prefillTps,
      decode_tps: stats.decodeTps,
    },
    memory: { weights: memory.weights, kv: memory.kv, scratch: memory.scratch, total: memory.total, peak: memory.peak },
  };
}

export async function generate(args: Arguments): Promise<void> {
  const request = { id: nextId(), input: await input(args), options: samplingOptions(args) };
  const { session, info } = await open(args, args.positional(0, 'MODEL'));
  const live = !args.flag('json') && info.hasTokenizer;
  const show = ({ text }: TokenMessage) => {
    if (live) process.stdout.write(text);
  };
  const { signal, gently } = args.interrupt;
  const answer = () => {
    signal.addEventListener('abort', () => void session.cancel(request.id));
    return session.generate(request, { postMessage: show });
  };
  await gently(async () => tellResult(args, await answer(), info.hasTokenizer));
  await session.dispose();
}

async function tellResult(args: Arguments, result: GenerateResult, hasText: boolean): Promise<void> {
  await print(args, resultJson(result), () => (hasText ? '' : result.ids.join(',')));
  const { stats, memory } = result;
  log(
    args,
    `${result.finish}: ${stats.promptTokens} + ${stats.newTokens} tokens, first after ${stats.ttftMs.toFixed(0)} ms, ` +
      `${stats.prefillTps.toFixed(2)} tok/s prefill, ${stats.decodeTps.toFixed(2)} tok/s decode; ` +
      `${mib(memory.total)}, of which cache ${mib(memory.kv)} (full context: ${mib(memory.kvFullContext)})`,
  );
  if (result.note) tell(result.note);
}
