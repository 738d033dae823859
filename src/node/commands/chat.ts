/** nibble chat: a conversation at the terminal. Ctrl-C stops an answer; twice, or /quit, ends it. */
import { createInterface } from 'node:readline/promises';
import { withoutSecrets } from '../../errors';
import type { ChatMessage } from '../../protocol';
import { type Arguments, invalid, samplingOptions } from '../arguments';
import { nextId, open } from '../open';
import { COMMAND } from '../terminal';

export async function chat(args: Arguments): Promise<void> {
  if (args.flag('json'))
    throw invalid('json', undefined, `${COMMAND} chat is a conversation: use ${COMMAND} generate --chat --json.`);
  const { session, info } = await open(args, args.positional(0, 'MODEL'));
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  const { signal, gently, stop } = args.interrupt;
  let running: number | null = null;
  let stopping = false;
  const cancel = () => {
    if (running !== null) void session.cancel(running);
  };
  // readline takes the terminal's Ctrl-C, which here stops the answer alone
  lines.on('SIGINT', () => {
    if (running === null || stopping) return stop();
    stopping = true;
    cancel();
  });
  signal.addEventListener('abort', cancel);
  process.stdout.write(`${withoutSecrets(info.name)} on ${info.backend}. /quit ends.\n`);
  const messages: ChatMessage[] = [];
  const system = args.text('system');
  if (system) messages.push({ role: 'system', content: system });
  process.stdout.write('> ');
  for await (const line of lines) {
    if (line.trim() === '/quit') break;
    if (line.trim() !== '') {
      messages.push({ role: 'user', content: line });
      running = nextId();
      const request = { id: running, input: { messages }, options: samplingOptions(args) };
      const answer = () => session.generate(request, { postMessage: (token) => void process.stdout.write(token.text) });
      const { text, reasoning, stats, note } = await gently(answer);
      running = null;
      stopping = false;
      messages.push({ role: 'assistant', content: text, ...(reasoning && { reasoning_content: reasoning }) });
      process.stdout.write(
        `\n  [${stats.newTokens} tokens, ${stats.decodeTps.toFixed(1)} tok/s${note ? `; ${note}` : ''}]\n`,
      );
    }
    if (signal.aborted) break;
    process.stdout.write('> ');
  }
  lines.close();
  await session.dispose();
}
