/** Threads that share their work: what they compute is what one computes, also where they are late, hang or die. */
import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { MatrixFormat } from '../../formats/matrix';
import { parseSpec } from '../../model/parse';
import { startNodeThread } from '../../node/compute-threads';
import { yieldToEvents } from '../../platform/yield-to-events';
import { arithmetic, type Computing } from './arithmetic';
import { type HelperOrder, MAILBOX, READY } from './helper-loop';
import { Team, type Threads } from './team';
import { CPU, GREEDY, type Maker, randomModel, take, threaded } from './test/models';

const spec = parseSpec({
  model_type: 'gemma2',
  hidden_size: 66,
  intermediate_size: 95,
  num_hidden_layers: 2,
  num_attention_heads: 6,
  num_key_value_heads: 2,
  head_dim: 10,
  vocab_size: 97,
  max_position_embeddings: 256,
  sliding_window: 7,
  query_pre_attn_scalar: 10,
  attn_logit_softcapping: 20,
  final_logit_softcapping: 30,
});
const ids = Array.from({ length: 41 }, (_, i) => (i * 7 + 1) % 97);

/** Logits after a prompt, ids of an answer, and logits after it. */
async function run(maker: Maker, format: MatrixFormat = { type: 'q8', block: 'row', offset: false }) {
  const executor = await randomModel(spec, {}, format, maker);
  await executor.prefill(ids, 0);
  const logits = [...(await executor.logits())];
  const made = await take(executor.decode(ids.length, 40, GREEDY));
  const { cpu } = executor.stats().variants;
  const after = [...(await executor.logits())];
  executor.dispose();
  return { logits, made, after, cpu };
}

const alone = await run(CPU);
const answer = ({ logits, made, after }: typeof alone) => ({ logits, made, after });

/** A helper that is there and never does anything. */
const hangs: Threads['start'] = (_, order) => {
  Atomics.store(new Int32Array((order as HelperOrder).mailbox), MAILBOX.done, READY);
  return { end() {} };
};

/** One that does something before each job. */
const startWith =
  (text: string): Threads['start'] =>
  (run, order, fail) => {
    const place = 'const [count, bank, name]';
    expect(run).toContain(place);
    return startNodeThread(run.replace(place, `${text}; ${place}`), order, fail);
  };

const SLEEP = 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3)';

describe('a model', () => {
  it.each<[string, MatrixFormat]>([
    ['8 bits', { type: 'q8', block: 'row', offset: false }],
    ['16 bits', { type: 'f16' }],
    ['32 bits', { type: 'f32' }],
  ])('of %s is the same to the bit as in one thread', async (_, format) => {
    const opened: Computing[] = [];
    const shared = await run(threaded(opened, { count: 3 }), format);
    expect(answer(shared)).toEqual(answer(await run(CPU, format)));
    expect(shared.cpu).toBe('webassembly-simd, 3 threads');
    expect(opened[0].jobs.done).toBeGreaterThan(100);
  });

  it('is the same where attention is worth sharing at 32 positions but not at the few that are left', async () => {
    const opened: Computing[] = [];
    // a position is 20 numbers of a key and a value, for 3 queries each, and their unpacking: 200
    const shared = await run(threaded(opened, { count: 3, patience: 1000, leastWork: 6000 }));
    expect(answer(shared)).toEqual(answer(alone));
    expect(opened[0].jobs.done).toBeGreaterThan(10);
  });

  it('is the same where helpers hang, which are asked no more', async () => {
    const opened: Computing[] = [];
    expect(answer(await run(threaded(opened, { count: 3, start: hangs, patience: 20 })))).toEqual(answer(alone));
    expect(opened[0].jobs).toEqual({ done: 0, late: 2 });
  });

  it('is the same where they answer so late that what they were asked for is over', async () => {
    const opened: Computing[] = [];
    expect(answer(await run(threaded(opened, { count: 3, start: startWith(SLEEP), patience: 0.1 })))).toEqual(
      answer(alone),
    );
    expect(opened[0].jobs.late).toBeGreaterThan(1);
  });

  it('is the same where one dies in the middle, and says so', async () => {
    const opened: Computing[] = [];
    let started = 0;
    const dies = startWith("if (done > 9) throw new Error('no more')");
    const start: Threads['start'] = (...given) => (started++ === 0 ? dies : startNodeThread)(...given);
    const executor = await randomModel(spec, {}, undefined, threaded(opened, { count: 3, start }));
    const right = await randomModel(spec);
    for (let turn = 0; turn < 5 || !executor.stats().variants.cpu.includes('of'); turn++) {
      for (const each of [executor, right]) await each.prefill(ids, 0);
      expect(await executor.logits()).toEqual(await right.logits());
      await yieldToEvents();
    }
    expect(executor.stats().variants.cpu).toBe('webassembly-simd, 2 threads of 3: no more');
    executor.dispose();
  });

  it('is computed in one where none starts, with the reason', async () => {
    const start: Threads['start'] = (_run, _order, fail) => {
      fail('its script is forbidden');
      return { end() {} };
    };
    const computing = arithmetic().open([plan(3)], { count: 3, start });
    expect(computing.description).toBe('webassembly-simd, 1 thread of 3: its script is forbidden');
    const throws: Threads['start'] = () => {
      throw new Error('no workers here');
    };
    expect(arithmetic().open([plan(3)], { count: 3, start: throws }).description).toBe(
      'webassembly-simd, 1 thread of 3: no workers here',
    );
  });
});

const plan = (threads: number) => ({
  shape: { spec: { heads: 1, kvHeads: 1, headSize: 4 }, sizes: { x: 4, y: 4, tile: 8 }, threads },
  first: 0,
  matrices: [],
  bytes: 1 << 20,
  rest: 1 << 20,
});

describe('memory', () => {
  afterEach(() => void vi.unstubAllGlobals());

  it.each([
    ['cannot be shared', 'Memory', ({ shared }: { shared?: boolean }) => !shared],
    ['is not shared though it was asked for', 'Memory', () => true],
  ])('that %s is one thread’s', (_, _name, allowed) => {
    const { Memory, ...others } = { ...WebAssembly, Memory: WebAssembly.Memory };
    class Own extends Memory {
      constructor(descriptor: WebAssembly.MemoryDescriptor) {
        if (!allowed(descriptor)) throw new RangeError('WebAssembly.Memory(): no shared memory');
        super({ ...descriptor, shared: false });
      }
    }
    const names = Object.getOwnPropertyNames(WebAssembly).map((name) => [name, Reflect.get(WebAssembly, name)]);
    vi.stubGlobal('WebAssembly', { ...Object.fromEntries(names), ...others, Memory: Own });
    const computing = arithmetic().open([plan(3)], { count: 3, start: startNodeThread });
    expect(computing.description).toBe('webassembly-simd, 1 thread: memory cannot be shared');
    expect(computing.banks[0].simd).not.toBeNull();
  });

  it('that the host says cannot be shared is one thread’s, with the host’s reason', () => {
    const why = 'the page is not cross-origin isolated';
    const computing = arithmetic().open([plan(1)], { count: 1, why, start: startNodeThread });
    expect(computing.description).toBe(`webassembly-simd, 1 thread: ${why}`);
    expect(computing.banks[0].buffer).toBeInstanceOf(ArrayBuffer);
  });
});

it('splits rows into parts that follow each other, of whole steps but the last', () => {
  const number = fc.integer({ min: 1, max: 9 });
  fc.assert(
    fc.property(number, number, fc.integer({ min: 1, max: 500 }), (count, step, rows) => {
      const order = { module: new WebAssembly.Module(EMPTY), memories: [], names: [] };
      const team = new Team(order, { count, start: hangs, leastWork: 0 });
      const parts = team.parts(rows, step, 1);
      expect(parts[0].thread).toBe(0);
      expect(new Set(parts.map(({ thread }) => thread)).size).toBe(parts.length);
      let end = 0;
      for (const part of parts) {
        expect(part.from).toBe(end);
        expect(part.from % step).toBe(0);
        expect(part.end).toBeGreaterThan(part.from);
        end = part.end;
      }
      expect(end).toBe(rows);
      if (rows >= 2 * count * step) expect(parts).toHaveLength(count);
    }),
  );
});

const EMPTY = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);
