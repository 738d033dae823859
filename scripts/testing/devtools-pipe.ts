/**
 * A headless Chromium that is spoken to over its own pipe, and with no more of DevTools than is asked for. Playwright
 * watches the network of every page and worker, for which the renderer keeps the bodies of all responses: memory that
 * no visitor's browser holds (measured: 88 MiB more while 159 MB were loaded). It also has every page believe that it
 * is in front, so that none is ever hidden or frozen.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { chromiumVersion, installChromium, QUIET_FLAGS, WEBGPU_FLAGS } from './chromium.ts';

interface Message {
  id?: number;
  sessionId?: string;
  method?: string;
  params?: { sessionId?: string; targetInfo?: { type: string } };
  result?: Record<string, unknown>;
  error?: { message: string };
}

export interface PipedPage {
  /** Runs an expression in the page and waits for its promise. */
  evaluate<T>(expression: string): Promise<T>;
  /** Opens another page of the origin in its place. */
  navigate(url: string): Promise<void>;
  /** usedSize + backingStorageSize of the page's worker with the most; 0 without one */
  workerHeap(): Promise<number>;
  /** Puts another tab in front of the page, or the page in front again. */
  hide(hidden: boolean): Promise<void>;
  /** Has the browser freeze the page and its workers, as it does with tabs long hidden, or go on with it. */
  freeze(frozen: boolean): Promise<void>;
  /** Ends the page's process, as a system does that needs its memory; navigate() opens a page again. */
  end(): Promise<void>;
  profile: string;
  machine: string;
  close(): Promise<void>;
}

/** Opens the page in a browser of its own, with a new profile. */
export async function openPipedPage(url: string): Promise<PipedPage> {
  const profile = await mkdtemp(join(tmpdir(), 'nibble-profile-'));
  const executable = await installChromium();
  const flags = ['--headless=new', '--remote-debugging-pipe', `--user-data-dir=${profile}`];
  const browser = spawn(executable, [...flags, ...QUIET_FLAGS, ...WEBGPU_FLAGS, 'about:blank'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
  });
  const [, , , input, output] = browser.stdio as unknown as [null, null, null, Writable, Readable];
  const waiting = new Map<number, (message: Message) => void>();
  const workers = new Set<string>();
  let id = 0;
  let rest = '';
  let sessionId: string;
  let onCrash = () => {};
  output.setEncoding('utf8').on('data', (text: string) => {
    const messages = (rest + text).split('\0');
    rest = messages.pop()!;
    for (const each of messages) {
      const message: Message = JSON.parse(each);
      if (message.id !== undefined) {
        waiting.get(message.id)?.(message);
        waiting.delete(message.id);
      } else if (message.method === 'Inspector.targetCrashed') {
        // its workers' sessions tell of it too
        if (message.sessionId !== sessionId) continue;
        for (const answer of waiting.values()) answer({ error: { message: 'The renderer crashed.' } });
        waiting.clear();
        onCrash();
      } else if (message.method === 'Target.attachedToTarget') {
        if (message.params?.targetInfo?.type === 'worker') workers.add(message.params.sessionId!);
      } else if (message.method === 'Target.detachedFromTarget') workers.delete(message.params!.sessionId!);
    }
  });

  function send<T>(method: string, params: object = {}, session?: string): Promise<T> {
    return new Promise((resolve, reject) => {
      waiting.set(++id, ({ result, error }) =>
        error ? reject(new Error(`${method}: ${error.message}`)) : resolve(result as T),
      );
      input.write(`${JSON.stringify({ id, method, params, sessionId: session })}\0`);
    });
  }

  async function pageTarget(): Promise<string> {
    for (;;) {
      const { targetInfos } = await send<{ targetInfos: { type: string; targetId: string }[] }>('Target.getTargets');
      const page = targetInfos.find(({ type }) => type === 'page');
      if (page) return page.targetId;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  const targetId = await pageTarget();
  ({ sessionId } = await send<{ sessionId: string }>('Target.attachToTarget', { targetId, flatten: true }));
  await send('Target.setAutoAttach', { autoAttach: true, waitForDebuggerOnStart: false, flatten: true }, sessionId);

  await send('Inspector.enable', {}, sessionId);
  async function navigate(to: string): Promise<void> {
    await send('Page.navigate', { url: to }, sessionId);
    const arrived = { expression: `location.href === '${new URL(to).href}' && document.readyState === 'complete'` };
    for (;;) {
      const { result } = await send<{ result: { value: boolean } }>('Runtime.evaluate', arrived, sessionId);
      if (result.value) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  await navigate(url);

  let inFront: string | undefined;
  return {
    navigate,
    async hide(hidden) {
      if (hidden)
        ({ targetId: inFront } = await send<{ targetId: string }>('Target.createTarget', { url: 'about:blank' }));
      else {
        await send('Target.activateTarget', { targetId });
        await send('Target.closeTarget', { targetId: inFront });
      }
    },
    async end() {
      const crashed = new Promise<void>((resolve) => {
        onCrash = resolve;
      });
      send('Page.crash', {}, sessionId).catch(() => {});
      await crashed;
    },
    async freeze(frozen) {
      await send('Page.setWebLifecycleState', { state: frozen ? 'frozen' : 'active' }, sessionId);
    },
    profile,
    machine: `${chromiumVersion(executable)}, ${cpus().length} cores (${cpus()[0]?.model.trim()})`,
    async evaluate<T>(expression: string) {
      const { result, exceptionDetails } = await send<{
        result: { value: T };
        exceptionDetails?: { exception?: { description?: string } };
      }>('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true }, sessionId);
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? 'The page failed.');
      return result.value;
    },
    async workerHeap() {
      // a worker that ends meanwhile never answers
      const late = new Promise<number>((resolve) => setTimeout(resolve, 2000, 0));
      const heaps = [...workers].map((worker) =>
        send<{ usedSize: number; backingStorageSize?: number }>('Runtime.getHeapUsage', {}, worker).then(
          ({ usedSize, backingStorageSize = 0 }) => usedSize + backingStorageSize,
          () => 0,
        ),
      );
      return Math.max(0, ...(await Promise.all(heaps.map((heap) => Promise.race([heap, late])))));
    },
    async close() {
      const ended = once(browser, 'exit');
      send('Browser.close').catch(() => {});
      await ended;
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
