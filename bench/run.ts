/** How a benchmark on the engine in Node ends. */
import process from 'node:process';
import { SwiftShaderChild } from '../src/node/dawn';

/** Runs it, in a process that sees SwiftShader where it asks for one, and ends: Dawn keeps threads alive. */
export async function runToExit(work: () => Promise<number>): Promise<never> {
  const status = await work().catch((error: unknown) => {
    if (error instanceof SwiftShaderChild) return error.run();
    console.error((error as Error)?.message ?? error);
    if (process.env.DEBUG) console.error((error as Error)?.stack);
    return 1;
  });
  process.exit(status);
}
