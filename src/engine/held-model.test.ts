/**
 * What is done about a loss, with workers that do nothing by themselves. It is long because each loss has a moment of
 * its own, and all are told with the same fake worker.
 */
import { expose } from 'comlink';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { NibbleError } from '../errors';
import { type Fill, HeldModel, MOVED } from './held-model';
import { cancellable, type RunningWorker } from './start-worker';

const lost = () => new NibbleError('device-lost', 'The GPU went away.', { reason: 'unknown' });
const AGAIN = /twice within a minute. Reload the page to go on/;

interface FakeWorker extends Worker {
  /** as a script that fails does */
  crash(message?: string): void;
  /** from now on it hears nothing: what it is sent waits */
  hang(): void;
}

/** A model in fake workers: `fills` is told of each load, and `ask` answers every call. */
function hold({
  fills = [] as ((signal: AbortSignal, worker: RunningWorker) => Promise<void>)[],
  ask = async () => 'answer',
} = {}) {
  const workers: FakeWorker[] = [];
  const told: (string | null)[] = [];
  const signals: AbortSignal[] = [];
  const create = () => {
    const { port1, port2 } = new MessageChannel();
    const inner = new MessageChannel();
    expose({ hello: () => false, info: () => ask(), cancel: () => {} }, inner.port2);
    let hangs = false;
    port2.onmessage = ({ data }) => hangs || inner.port1.postMessage(data);
    inner.port1.onmessage = ({ data }) => port2.postMessage(data);
    const worker = Object.assign(port1, {
      terminate() {
        for (const port of [port1, port2, inner.port1, inner.port2]) port.close();
      },
      crash: (message?: string) => port1.dispatchEvent(Object.assign(new Event('error'), { message })),
      hang: () => {
        hangs = true;
      },
    }) as unknown as FakeWorker;
    workers.push(worker);
    return worker;
  };
  const fill: Fill = async (worker, why, signal) => {
    told.push(why);
    signals.push(signal);
    await fills.shift()?.(signal, worker);
  };
  const model = new HeldModel([create], fill);
  const call = () => model.run(({ api }) => api.info() as Promise<unknown>);
  /** a call that the signal cancels */
  const stoppable = (signal: AbortSignal) =>
    model.run((worker) => cancellable(worker, 1, signal, () => worker.api.info() as Promise<unknown>), { signal });
  return { model, workers, told, signals, call, stoppable };
}

/** Until what is on its way between page and worker has arrived: many turns of the event loop. */
async function rest() {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Throws what the list says, call by call, and then answers. */
const failing = (...errors: (Error | null)[]) => {
  return async () => {
    const error = errors.shift();
    if (error) throw error;
    return 'answer';
  };
};
const untilAborted = async (signal: AbortSignal) => {
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
  throw new NibbleError('aborted', 'The request was stopped.');
};
const forever = () => new Promise<never>(() => {});
/** Time goes on by so many seconds. */
const later = (seconds: number) => {
  const now = performance.now() + 1000 * seconds;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
};
/** From now on timers run when a test says so; messages come as ever. */
const holdTimers = () => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

describe('a lost device', () => {
  it('is recovered from: another worker, the model in it, the call again', async () => {
    const { call, workers, told } = hold({ ask: failing(null, lost()) });
    expect(await call()).toBe('answer');
    expect(await call()).toBe('answer');
    expect(workers).toHaveLength(2);
    expect(told).toEqual([null, 'The graphics device was lost: the model is being loaded again.']);
  });

  it('in the load too', async () => {
    const { model, workers } = hold({ fills: [() => Promise.reject(lost())] });
    await model.ready();
    expect(workers).toHaveLength(2);
  });

  it('twice within a minute asks to reload the page, for good', async () => {
    const { call, workers } = hold({ ask: failing(lost(), null, lost()) });
    expect(await call()).toBe('answer');
    later(59);
    const again = { code: 'device-lost', message: expect.stringMatching(AGAIN), details: { reason: 'unknown' } };
    await expect(call()).rejects.toMatchObject(again);
    await expect(call()).rejects.toMatchObject(again);
    expect(workers).toHaveLength(2);
  });

  it('twice while it is loaded, too, however long that takes', async () => {
    const slow = async () => {
      later(500);
      throw lost();
    };
    const { model, told } = hold({ fills: [() => Promise.reject(lost()), slow] });
    await expect(model.ready()).rejects.toMatchObject({ code: 'device-lost', message: expect.stringMatching(AGAIN) });
    expect(told).toHaveLength(2);
  });

  it('after a minute is another first one', async () => {
    const { call, workers } = hold({ ask: failing(lost(), null, lost()) });
    await call();
    later(61);
    expect(await call()).toBe('answer');
    expect(workers).toHaveLength(3);
  });

  it('under several calls is one loss', async () => {
    const { model, workers, call } = hold({ ask: failing(lost(), lost(), lost()) });
    await model.ready();
    expect(await Promise.all([call(), call(), call()])).toEqual(['answer', 'answer', 'answer']);
    expect(workers).toHaveLength(2);
  });

  it('that the same call brings about each time is not tried a third time', async () => {
    const { model, workers } = hold({ ask: () => Promise.reject(lost()) });
    const error = await model
      .run(({ api }) => {
        later(61);
        return api.info();
      })
      .catch((thrown) => thrown);
    expect(error).toMatchObject({ code: 'device-lost', message: 'The GPU went away.' });
    expect(workers).toHaveLength(2);
  });

  it('under a call that comes further each time is recovered from each time', async () => {
    const { model, workers } = hold({ ask: failing(lost(), lost(), lost()) });
    let done = 0;
    const call = () =>
      model.run(
        ({ api }) => {
          later(61);
          done++;
          return api.info() as Promise<unknown>;
        },
        { progress: () => done },
      );
    expect(await call()).toBe('answer');
    expect(workers).toHaveLength(4);
  });

  it('without another adapter asks to reload the page', async () => {
    const none = () => Promise.reject(new NibbleError('webgpu-unavailable', 'There is no adapter.'));
    const { call } = hold({ ask: failing(lost()), fills: [async () => {}, none] });
    await expect(call()).rejects.toMatchObject({
      code: 'device-lost',
      message: expect.stringMatching(/no other. Reload/),
    });
  });

  it('is no loss where there never was an adapter', async () => {
    const none = () => Promise.reject(new NibbleError('webgpu-unavailable', 'There is no adapter.'));
    const { call, workers } = hold({ fills: [none] });
    await expect(call()).rejects.toMatchObject({ code: 'webgpu-unavailable' });
    expect(workers).toHaveLength(1);
  });

  it('and no network: the next call tries again', async () => {
    const away = () => Promise.reject(new NibbleError('network', 'The server is away.'));
    const { call, workers } = hold({ ask: failing(lost()), fills: [async () => {}, away] });
    await expect(call()).rejects.toMatchObject({ code: 'network' });
    expect(await call()).toBe('answer');
    expect(workers).toHaveLength(3);
  });
});

describe('a worker that has gone to another tab', () => {
  it('is none that was lost, however often that happens within a minute while nothing is asked', async () => {
    const { call, workers, told } = hold();
    for (let moves = 0; moves < 3; moves++) {
      expect(await call()).toBe('answer');
      workers[moves].crash(MOVED);
      await rest();
    }
    expect(await call()).toBe('answer');
    expect(told).toHaveLength(4);
  });
});

describe('a recovery that fails', () => {
  it('for another reason is over: a loss a minute later is another first one', async () => {
    const away = () => Promise.reject(new NibbleError('network', 'The server is away.'));
    const { call, workers } = hold({
      ask: failing(lost()),
      fills: [async () => {}, away, () => Promise.reject(lost())],
    });
    await expect(call()).rejects.toMatchObject({ code: 'network' });
    later(61);
    expect(await call()).toBe('answer');
    expect(workers).toHaveLength(4);
  });

  it('as nobody waits for it any more, too', async () => {
    const fills = [async () => {}, untilAborted, () => Promise.reject(lost())];
    const { model, call, workers, signals } = hold({ ask: failing(lost()), fills });
    const stop = new AbortController();
    const stopped = model.run(({ api }) => api.info(), { signal: stop.signal });
    await vi.waitFor(() => expect(signals).toHaveLength(2));
    stop.abort();
    await expect(stopped).rejects.toMatchObject({ code: 'aborted' });
    later(61);
    expect(await call()).toBe('answer');
    expect(workers).toHaveLength(4);
  });
});

describe('a call about what the worker holds', () => {
  /** What was asked of the worker, as it came there. */
  const closing = () => {
    const closed: string[] = [];
    const held = hold({ ask: async () => `${closed.push('closed')}` });
    return { ...held, closed, close: () => held.model.ifThere(({ api }) => api.info().then(() => {})) };
  };

  it('is made where there is one, and fails as it does', async () => {
    const { model, close, closed } = closing();
    await model.ready();
    await close();
    expect(closed).toEqual(['closed']);
    const refused = model.ifThere(() => Promise.reject(new NibbleError('invalid-option', 'No.')));
    await expect(refused).rejects.toMatchObject({ code: 'invalid-option' });
  });

  it('loads no model: not the first time, not for a worker that died, not after dispose()', async () => {
    const { model, close, closed, workers } = closing();
    await close();
    expect(workers).toHaveLength(0);
    await model.ready();
    workers[0].crash();
    await close();
    expect(workers).toHaveLength(1);
    model.dispose();
    await close();
    expect([workers.length, closed]).toEqual([1, []]);
  });

  it('is done with when the worker dies under it', async () => {
    const { model, workers } = hold({ ask: forever });
    await model.ready();
    const closed = model.ifThere(({ api }) => api.info().then(() => {}));
    workers[0].crash();
    await closed;
    expect(workers).toHaveLength(1);
  });
});

describe('a worker that dies', () => {
  it('under a call is replaced', async () => {
    const asks = [forever, async () => 'answer'];
    const { model, call, workers, told } = hold({ ask: () => asks.shift()!() });
    await model.ready();
    const answer = call();
    await vi.waitFor(() => expect(asks).toHaveLength(1));
    workers[0].crash();
    expect(await answer).toBe('answer');
    expect(told[1]).toBe('The worker that runs the model died: the model is being loaded again.');
  });

  it('while nothing is asked of it is replaced when something is', async () => {
    const { model, call, workers } = hold();
    await model.ready();
    workers[0].crash();
    expect(workers).toHaveLength(1);
    expect(await call()).toBe('answer');
    expect(workers).toHaveLength(2);
    workers[1].crash();
    await expect(call()).rejects.toMatchObject({ code: 'worker-failed', message: expect.stringMatching(AGAIN) });
  });

  it('is not one in which something fails', async () => {
    const { call, workers } = hold({ ask: failing(new TypeError('x is not a function')) });
    await expect(call()).rejects.toMatchObject({ code: 'worker-failed', message: /not a function/ });
    expect(workers).toHaveLength(1);
  });

  it('is not one that does not start', async () => {
    let created = 0;
    const model = new HeldModel(
      [
        () => {
          created++;
          throw new Error('blocked by CSP');
        },
      ],
      async () => {},
    );
    await expect(model.ready()).rejects.toMatchObject({ code: 'worker-failed', message: /blocked by CSP/ });
    expect(created).toBe(1);
  });
});

describe('a worker that does not hear a stop', () => {
  const UNHEARD = { code: 'aborted', message: /two seconds and was ended. The next request loads the model again/ };

  /** The worker hangs under a call that is stopped, for two seconds. @returns what the call fails with */
  async function hung({ model, workers, stoppable }: ReturnType<typeof hold>): Promise<unknown> {
    await model.ready();
    workers.at(-1)!.hang();
    const stop = new AbortController();
    const failed = stoppable(stop.signal).catch((error) => error);
    await rest();
    stop.abort();
    await rest();
    await vi.advanceTimersByTimeAsync(2000);
    return failed;
  }

  it('for two seconds is ended: who stopped has that, and the next call loads the model again', async () => {
    const held = hold({ ask: failing() });
    await held.model.ready();
    holdTimers();
    const stop = new AbortController();
    held.workers[0].hang();
    const answer = held.stoppable(stop.signal);
    const said = answer.catch((error) => error);
    stop.abort();
    await rest();
    await vi.advanceTimersByTimeAsync(1999);
    expect(await held.model.ready().then(({ broken }) => broken)).toBe(null);
    await vi.advanceTimersByTimeAsync(1);
    expect(await said).toMatchObject(UNHEARD);
    expect(held.workers).toHaveLength(1);
    expect(await held.call()).toBe('answer');
    expect(held.told).toEqual([null, expect.stringMatching(/did not hear a stop .*: the model is being loaded again/)]);
  });

  it('is no loss, however often: one that comes after it is a first one', async () => {
    const held = hold({ ask: failing(lost()) });
    await held.model.ready();
    holdTimers();
    for (let time = 0; time < 3; time++) expect(await hung(held)).toMatchObject(UNHEARD);
    expect(await held.call()).toBe('answer');
    expect(held.workers).toHaveLength(5);
  });

  it('nor does it hide a second one', async () => {
    const held = hold({ ask: failing(lost(), null, lost()) });
    expect(await held.call()).toBe('answer');
    holdTimers();
    expect(await hung(held)).toMatchObject(UNHEARD);
    await expect(held.call()).rejects.toMatchObject({ code: 'device-lost', message: expect.stringMatching(AGAIN) });
  });

  it('under the calls of others: those are made again, as often as it takes', async () => {
    const held = hold();
    await held.model.ready();
    holdTimers();
    held.workers[0].hang();
    const other = held.call();
    for (let time = 0; time < 3; time++) {
      expect(await hung(held)).toMatchObject(UNHEARD);
      await rest();
      if (time < 2) held.workers.at(-1)!.hang();
    }
    expect(await other).toBe('answer');
  });

  it('but works on is not ended, nor because one timer is overdue', async () => {
    let end = (_: string) => {};
    const held = hold({ ask: () => new Promise<string>((resolve) => (end = resolve)) });
    await held.model.ready();
    holdTimers();
    const stop = new AbortController();
    const answer = held.stoppable(stop.signal);
    await rest();
    stop.abort();
    // as for a page that was frozen: the timer comes before the answer that has long been there
    vi.advanceTimersToNextTimer();
    await rest();
    await vi.advanceTimersByTimeAsync(60_000);
    end('what there is');
    expect(await answer).toBe('what there is');
    expect(held.workers).toHaveLength(1);
  });

  it('in a load: that ends as aborted, and the next call loads anew', async () => {
    const held = hold({ fills: [(signal, worker) => cancellable(worker, 2, signal, forever)] });
    holdTimers();
    const stop = new AbortController();
    const failed = held.model.ready(stop.signal).catch((error) => error);
    await rest();
    held.workers[0].hang();
    stop.abort();
    await rest();
    await vi.advanceTimersByTimeAsync(2000);
    expect(await failed).toMatchObject(UNHEARD);
    expect(await held.call()).toBe('answer');
    expect(held.workers).toHaveLength(2);
  });

  it.each<[string, () => Worker | Promise<Worker>]>([
    ['that never comes', forever],
    ['that never says that it is there', () => Object.assign(new MessageChannel().port1, { terminate() {} }) as never],
  ])('%s is not waited for', async (_, make) => {
    const stop = new AbortController();
    const failed = new HeldModel([make], async () => {}).ready(stop.signal);
    await rest();
    stop.abort();
    await expect(failed).rejects.toMatchObject({ code: 'aborted' });
  });

  it('and what it would answer by itself is waited for half a minute', async () => {
    const held = hold();
    await held.model.ready();
    holdTimers();
    held.workers[0].hang();
    const failed = held.model.query(({ api }) => api.info()).catch((error) => error);
    await rest();
    await vi.advanceTimersByTimeAsync(30_000);
    expect(await failed).toMatchObject({ code: 'worker-failed', message: /half a minute. Stop what it does, or/ });
    expect(held.workers).toHaveLength(1);
  });
});

describe('who asks no more', () => {
  it('by dispose(): nothing is recovered', async () => {
    const { model, call, workers } = hold({ ask: forever });
    await model.ready();
    const answer = call();
    model.dispose();
    await expect(answer).rejects.toMatchObject({ code: 'disposed', message: /ended by dispose/ });
    await expect(call()).rejects.toMatchObject({ code: 'disposed', message: /ended by dispose/ });
    expect(workers).toHaveLength(1);
  });

  it('by dispose() while the model is loaded again', async () => {
    const { model, call, signals } = hold({ ask: failing(lost()), fills: [async () => {}, untilAborted] });
    const answer = call();
    await vi.waitFor(() => expect(signals).toHaveLength(2));
    model.dispose();
    await expect(answer).rejects.toMatchObject({ code: 'disposed', message: /ended by dispose/ });
  });

  it('by an abort while the model is loaded again: that ends, and the next call begins it anew', async () => {
    const { model, call, signals } = hold({ ask: failing(lost()), fills: [async () => {}, untilAborted] });
    const stop = new AbortController();
    const stopped = model.run(({ api }) => api.info(), { signal: stop.signal });
    await vi.waitFor(() => expect(signals).toHaveLength(2));
    stop.abort();
    await expect(stopped).rejects.toMatchObject({ code: 'aborted' });
    expect(signals[1].aborted).toBe(true);
    expect(await call()).toBe('answer');
    expect(signals).toHaveLength(3);
  });

  it.each([1, 2])(
    'by an abort of all (%d), and asks again: the next load waits for the end of that one',
    async (calls) => {
      let ended = () => {};
      const slow = async () => {
        await new Promise<void>((resolve) => (ended = resolve));
        throw new NibbleError('aborted', 'The request was stopped.');
      };
      const { model, call, signals, workers } = hold({
        ask: failing(...Array.from({ length: calls }, lost)),
        fills: [async () => {}, slow],
      });
      await model.ready();
      const stop = new AbortController();
      const stopped = Array.from({ length: calls }, () =>
        model.run(({ api }) => api.info(), { signal: stop.signal }).catch(({ code }) => code),
      );
      await vi.waitFor(() => expect(signals).toHaveLength(2));
      await rest();
      stop.abort();
      await rest();
      const next = call();
      await rest();
      expect([workers.length, signals[1].aborted]).toEqual([2, true]);
      ended();
      expect(await next).toBe('answer');
      expect(workers).toHaveLength(3);
      expect(await Promise.all(stopped)).toEqual(stopped.map(() => 'aborted'));
    },
  );

  it('by an abort, while another still waits: the load goes on for that one', async () => {
    let loaded = () => {};
    const loading = () => new Promise<void>((resolve) => (loaded = resolve));
    const { model, call, signals } = hold({ ask: failing(lost(), lost()), fills: [async () => {}, loading] });
    await model.ready();
    const stop = new AbortController();
    const stopped = model.run(({ api }) => api.info(), { signal: stop.signal });
    const other = call();
    await vi.waitFor(() => expect(signals).toHaveLength(2));
    await rest();
    stop.abort();
    await expect(stopped).rejects.toMatchObject({ code: 'aborted' });
    expect(signals[1].aborted).toBe(false);
    loaded();
    expect(await other).toBe('answer');
  });
});
