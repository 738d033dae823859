/** nibble generate: one answer. */
import type { GenerateRequest, GenerateResult, TokenMessage } from '../../protocol';
import { type Arguments, invalid, samplingOptions } from '../arguments';
import { nextId, open } from '../open';
import { log, mib, print } from '../terminal';

function input(args: Arguments): GenerateRequest['input'] {
  const prompt = args.text('prompt');
  const chat = args.text('chat');
  const ids = args.ids();
  if ([prompt, chat, ids].filter((given) => given !== undefined).length !== 1) {
    throw invalid('prompt', undefined, 'nibble generate needs exactly one of --prompt, --chat and --ids.');
  }
  if (ids) return { ids };
  return chat === undefined ? { prompt: prompt as string } : { messages: [{ role: 'user', content: chat }] };
}

/** The object that --json prints. */
export function resultJson({ ids, raw, reasoning, finish, stats, memory }: GenerateResult): object {
  return {
    ids,
    text: raw,
    reasoning,
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
  const request = { id: nextId(), input: input(args), options: samplingOptions(args) };
  const { session, info } = await open(args, args.positional(0, 'MODEL'));
  const live = !args.flag('json') && info.hasTokenizer;
  const show = ({ text }: TokenMessage) => {
    if (live) process.stdout.write(text);
  };
  const stop = () => void session.cancel(request.id);
  process.once('SIGINT', stop);
  const result = await session.generate(request, { postMessage: show });
  process.removeListener('SIGINT', stop);
  await print(args, resultJson(result), () => (info.hasTokenizer ? '' : result.ids.join(',')));
  const { stats, memory } = result;
  log(
    args,
    `${result.finish}: ${stats.promptTokens} + ${stats.newTokens} tokens, first after ${stats.ttftMs.toFixed(0)} ms, ` +
      `${stats.prefillTps.toFixed(2)} tok/s prefill, ${stats.decodeTps.toFixed(2)} tok/s decode; ` +
      `${mib(memory.total)}, of which cache ${mib(memory.kv)} (full context: ${mib(memory.kvFullContext)})`,
  );
  if (result.note) process.stderr.write(`${result.note}\n`);
  await session.dispose();
}
