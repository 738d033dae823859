/** A program that runs beside us: what it says, and its end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const START_MS = 120_000; // a browser on a machine that has other work

/** @returns the first of these names that is an executable on PATH */
export function onPath(...names: string[]): string | null {
  const folders = (process.env.PATH ?? '').split(':').filter(Boolean);
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find(existsSync) ?? null;
}

export interface Running {
  /** Ends it and all that it started. */
  end(): Promise<void>;
}

/**
 * Starts a program in a group of its own.
 * @param sign what it prints, on either stream, when it is ready
 * @returns the program and what `sign` found
 * @throws Error with its last words where it ends, or is not ready within two minutes
 */
export async function start(
  [program, ...args]: string[],
  sign: RegExp,
  env: NodeJS.ProcessEnv = {},
): Promise<{ running: Running; found: RegExpExecArray }> {
  const child = spawn(program, args, {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  const running = { end: () => end(child) };
  let said = '';
  try {
    const found = await new Promise<RegExpExecArray>((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`${program} ${why}: ${said.slice(-2000)}`));
      const timer = setTimeout(() => fail('is not ready'), START_MS);
      child.on('error', (error) => fail(error.message));
      child.on('exit', (code) => fail(`ended with ${code}`));
      for (const stream of [child.stdout, child.stderr]) {
        stream?.setEncoding('utf8').on('data', (text: string) => {
          said = (said + text).slice(-100_000);
          const match = sign.exec(said);
          if (!match) return;
          clearTimeout(timer);
          resolve(match);
        });
      }
    });
    return { running, found };
  } catch (error) {
    await running.end();
    throw error;
  }
}

function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return Promise.resolve();
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  try {
    process.kill(-child.pid, 'SIGTERM');
  } catch {
    // it has just ended
  }
  const timer = setTimeout(() => child.pid && process.kill(-child.pid, 'SIGKILL'), 10_000);
  return ended.finally(() => clearTimeout(timer));
}
