import { describe, expect, test, vi } from 'vitest';
import { NibbleError } from '../errors';
import type { LoadEngine } from '../ui/conversation/chat-engine';
import { ChatSession } from '../ui/conversation/session';
import { FakeEngine, fakeLoad, PROGRESS } from '../ui/test/fake-engine';
import { SharedEngines } from './shared-engines';

/** Engines that the page has made, and the widgets' sessions. */
function page(load: LoadEngine = async () => new FakeEngine()) {
  const made: FakeEngine[] = [];
  const engines = new SharedEngines(async (model, options) => {
    const engine = (await load(model, options)) as FakeEngine;
    made.push(engine);
    return engine;
  });
  const widget = (model = 'm', engine = {}) =>
    new ChatSession(engines.load, { choice: { model, name: model }, engine, sampling: {} });
  return { engines, made, widget };
}

describe('widgets of one page', () => {
  test('share the engine of one model, and have a conversation each', async () => {
    const { engines, made, widget } = page();
    const options = { kv: 'int8', backend: 'cpu' };
    const [one, two] = [widget('m', options), widget('m', { backend: 'cpu', kv: 'int8' })];
    expect(engines.has('m', { backend: 'cpu', kv: 'int8' })).toBe(false);
    await Promise.all([one.load(), two.load()]);
    expect([made.length, engines.has('m', { backend: 'cpu', kv: 'int8' })]).toEqual([1, true]);
    await one.ask('Hi');
    await two.ask('Hello');
    expect(made[0].asked.map(([{ content }]) => content)).toEqual(['Hi', 'Hello']);
    expect(made[0].names).toHaveLength(2);
  });

  test.each([
    ['another model', 'other', {}],
    ['other options', 'm', { kv: 'f32' }],
  ])('have an engine of their own for %s', async (_, model, options) => {
    const { made, widget } = page();
    await widget().load();
    await widget(model, options).load();
    expect(made).toHaveLength(2);
  });

  test('the last one that leaves ends the engine; one that leaves before frees its conversation', async () => {
    const { engines, made, widget } = page();
    const [one, two] = [widget(), widget()];
    await one.load();
    await two.load();
    await one.ask('Hi');
    await one.dispose();
    await one.dispose();
    expect([made[0].closed, made[0].disposed]).toEqual([1, false]);
    await two.ask('Hi');
    await two.dispose();
    await vi.waitFor(() => expect(made[0].disposed).toBe(true));
    expect(engines.has('m', {})).toBe(false);
    await one.load();
    expect([made.length, one.phase]).toEqual([2, 'ready']);
  });

  test('see the progress of one load, whenever they come', async () => {
    let go = () => {};
    const { widget } = page(async (_, { onProgress }) => {
      onProgress!(PROGRESS);
      await new Promise<void>((resolve) => (go = resolve));
      return new FakeEngine();
    });
    const [one, two] = [widget(), widget()];
    const loads = [one.load(), two.load()];
    expect([one.progress, two.progress]).toEqual([PROGRESS, PROGRESS]);
    go();
    await Promise.all(loads);
  });

  test('one that stops waiting leaves the load to the other; the last one stops it', async () => {
    let stopped = false;
    const { made, widget } = page(
      (_, { signal }) =>
        new Promise((_, reject) =>
          signal!.addEventListener('abort', () => {
            stopped = true;
            reject(new NibbleError('aborted', 'The request was stopped.'));
          }),
        ),
    );
    const [one, two] = [widget(), widget()];
    const loads = [one.load(), two.load()];
    one.stop();
    await loads[0];
    expect([one.phase, one.error, two.phase, stopped]).toEqual(['idle', null, 'loading', false]);
    two.stop();
    await loads[1];
    expect([two.phase, two.error, stopped, made.length]).toEqual(['idle', null, true, 0]);
  });

  test('all hear why a load failed, and the next try begins anew', async () => {
    let failure: NibbleError | null = new NibbleError('network', 'The server is away.');
    const { widget } = page(fakeLoad(new FakeEngine(), () => failure));
    const [one, two] = [widget(), widget()];
    await Promise.all([one.load(), two.load()]);
    expect([one.error?.code, two.error?.code]).toEqual(['network', 'network']);
    failure = null;
    await one.retry();
    await two.retry();
    expect([one.phase, two.phase]).toEqual(['ready', 'ready']);
  });

  test('an engine that was lost for good is not given to the next one', async () => {
    const { made, widget } = page();
    const [one, two, three] = [widget(), widget(), widget()];
    await one.load();
    await two.load();
    const lost = new NibbleError('device-lost', 'The graphics device was lost. Reload the page to go on.');
    made[0].failure = lost;
    made[0].info = () => Promise.reject(lost);
    await one.ask('Hi');
    expect([one.phase, made[0].disposed]).toEqual(['idle', false]);
    await three.load();
    expect([three.phase, made.length]).toEqual(['ready', 2]);
    await two.ask('Hi');
    await vi.waitFor(() => expect([made[0].disposed, made[1].disposed]).toEqual([true, false]));
    await one.retry();
    expect([one.phase, made.length]).toEqual(['ready', 2]);
  });
});
