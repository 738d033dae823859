/**
 * The command `nibble`: which command, its errors, its exit status. Flags and JSON are a contract: other programs call
 * it.
 */
import { readFileSync } from 'node:fs';
import { asNibbleError } from '../errors';
import { completeEngineOptions } from '../runtime/engine-options';
import { engineOptions, invalid, parse, samplingOptions, tableOf } from './arguments';
import { COMMANDS } from './commands';
import { SwiftShaderChild } from './dawn';
import { flagsOf, help, helpOf } from './help';
import { Ended, INTERRUPTED, type Interrupt, watchInterrupts } from './interrupt';
import { PACKAGE_JSON, tell, write } from './terminal';

const say = (text: string) => write(process.stdout, `${text}\n`);

const version = () => JSON.parse(readFileSync(PACKAGE_JSON, 'utf8')).version as string;

async function run([name = '--help', ...rest]: readonly string[], interrupt: Interrupt): Promise<void> {
  if (['--version', '-v'].includes(name)) return say(version());
  if (['--help', '-h', 'help'].includes(name)) {
    const asked = rest[0];
    return say(asked && Object.hasOwn(COMMANDS, asked) ? helpOf(asked, COMMANDS[asked]) : help(COMMANDS));
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) {
    const what = name.startsWith('-')
      ? `The command comes first, and "${name}" is none`
      : `There is no command "${name}"`;
    throw invalid('command', name, `${what}. There are: ${Object.keys(COMMANDS).join(', ')}.`);
  }
  const args = parse(name, rest, tableOf(flagsOf(command)), command.positionals, interrupt);
  if (args.flag('help')) return say(helpOf(name, command));
  // also where nothing is loaded: an option that cannot be is refused, not passed over
  completeEngineOptions(engineOptions(args));
  if (command.request) samplingOptions(args);
  await command.run(args);
}

/** @returns the exit status */
export async function main(argv: readonly string[]): Promise<number> {
  const interrupt = watchInterrupts();
  const { signal } = interrupt;
  try {
    await Promise.race([run(argv, interrupt), interrupt.ended]);
    return signal.aborted ? INTERRUPTED : 0;
  } catch (thrown) {
    if (thrown instanceof Ended) return thrown.status;
    if (thrown instanceof SwiftShaderChild) return thrown.run();
    const error = asNibbleError(thrown);
    if (argv.includes('--json')) await say(JSON.stringify({ error }));
    else if (!signal.aborted) await write(process.stderr, `${error.message}\n`);
    if (argv.includes('--verbose') && !(thrown === error))
      tell(error.cause instanceof Error ? (error.cause.stack ?? '') : '');
    return signal.aborted ? INTERRUPTED : 1;
  } finally {
    interrupt.release();
  }
}
