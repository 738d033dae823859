/** nibble chat: a conversation at the terminal. Ctrl-C stops an answer; twice, or /quit, ends it. */
import { createInterface } from 'node:readline/promises';
import type { ChatMessage } from '../../protocol';
import { type Arguments, invalid, samplingOptions } from '../arguments';
import { nextId, open } from '../open';

export async function chat(args: Arguments): Promise<void> {
  if (args.flag('json'))
    throw invalid('json', undefined, 'nibble chat is a conversation: use nibble generate --chat --json.');
  const { session, info } = await open(args, args.positional(0, 'MODEL'));
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  let running: number | null = null;
  lines.on('SIGINT', () => {
    if (running === null) lines.close();
    else void session.cancel(running);
  });
  process.stdout.write(`${info.name} on ${info.backend}. /quit ends.\n`);
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
      const { text, reasoning, stats, note } = await session.generate(request, {
        postMessage: (token) => void process.stdout.write(token.text),
      });
      running = null;
      messages.push({ role: 'assistant', content: text, ...(reasoning && { reasoning_content: reasoning }) });
      process.stdout.write(
        `\n  [${stats.newTokens} tokens, ${stats.decodeTps.toFixed(1)} tok/s${note ? `; ${note}` : ''}]\n`,
      );
    }
    process.stdout.write('> ');
  }
  lines.close();
  await session.dispose();
}
