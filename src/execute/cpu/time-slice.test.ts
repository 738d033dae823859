/** How much the CPU does between two turns of the event loop, at the geometry of Gemma-7B: counted, not timed. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type MatrixFormat, NF4_CODEBOOK } from '../../formats/matrix';
import { NO_LIMITS, planMemory } from '../../memory/plan';
import { forwardSteps, tensorTable } from '../../model/decoder';
import { parseSpec } from '../../model/parse';
import { attend } from './attend';
import { createCpuExecutor } from './executor';
import { createRing, type KeyBias, shiftInto, TURN_COST, UNPACK_COST } from './kv-ring';
import { linear } from './linear';
import { createMatrix } from './matrix';
import { atOnce } from './test/at-once';
import { request } from './test/models';
import { TIME_SLICE } from './time-slice';

const WIDTH = 3072;
const INNER = 24576;
const VOCAB = 256000;
const Q4: MatrixFormat = { type: 'q4', block: 64, offset: false, codebook: NF4_CODEBOOK };

/** None is more than two pieces, and what is left at the end is no more; together they are all there is to do. */
function expectPieces(done: number[], whole: number): void {
  expect(Math.max(...done)).toBeLessThanOrEqual(2 * TIME_SLICE);
  const told = done.reduce((sum, one) => sum + one, 0);
  expect(told).toBeLessThanOrEqual(whole);
  expect(whole - told).toBeLessThanOrEqual(2 * TIME_SLICE);
}

describe('linear', () => {
  it.each<[string, MatrixFormat, number[], number, number]>([
    ['gate and up, one token', Q4, [INNER, INNER], WIDTH, 1],
    ['gate and up, a few tokens', Q4, [INNER, INNER], WIDTH, 4],
    ['down, a chunk of the prompt', Q4, [WIDTH / 2], INNER, 32],
    ['the head', Q4, [VOCAB], WIDTH, 1],
    ['8 bits', { type: 'q8', block: 64, offset: false }, [INNER, INNER], WIDTH, 1],
    ['8 bits with offsets', { type: 'q8', block: 64, offset: true }, [INNER], WIDTH, 1],
    ['16 bits', { type: 'bf16' }, [INNER], WIDTH, 1],
    ['parts that are less than a piece each', { type: 'bf16' }, Array(24).fill(1024), WIDTH, 1],
  ])('%s', (_, format, rows, cols, tokens) => {
    const all = rows.reduce((sum, part) => sum + part, 0);
    const scratch = {
      x: new Float64Array(32 * cols),
      y: new Float64Array(Math.max(all, 64)),
      tile: new Float64Array(2 * cols),
      table: new Float64Array(8192),
    };
    const matrices = rows.map((part, i) => createMatrix(`part ${i}`, part, cols, format));
    const step = { cols, accumulate: false, scale: 1, softcap: null };
    const input = new Float32Array(tokens * cols);
    const output = new Float32Array(tokens * all);
    const run = { step, matrices, biases: rows.map(() => null), input, inputAt: 0, output, tokens };
    expectPieces(atOnce(linear(run, scratch)), tokens * cols * all);
  });
});

describe('attention and shifts over a ring of 8192', () => {
  const [tokens, slots, headSize, kvHeads] = [32, 8192, 256, 2];
  const ring = createRing('f16', slots, { headSize, kvHeads });

  it.each([false, true])('all that a chunk sees; keys with a bias: %s', (biased) => {
    const shape = { heads: kvHeads, kvHeads, headSize, scale: 1, softcap: null, window: null };
    const bias: KeyBias | null = biased
      ? { values: new Float32Array(kvHeads * headSize), rope: null, frequencies: [] }
      : null;
    const qkv = new Float32Array(tokens * 3 * kvHeads * headSize);
    const out = new Float32Array(tokens * kvHeads * headSize);
    const scratch = new Float64Array(tokens * (headSize + 2) + 3 * headSize);
    const done = atOnce(attend(shape, ring, qkv, slots - tokens, tokens, out, scratch, bias));
    const cost = 2 * tokens + 2 * UNPACK_COST + (biased ? TURN_COST : 0);
    expectPieces(done, kvHeads * slots * headSize * cost);
  });

  it('what moves', () => {
    const spans = { stay: { from: 0, to: 4 }, move: { from: 1028, to: slots } };
    const done = atOnce(shiftInto(createRing('f16', slots, ring), ring, spans, 1024, () => {}));
    expectPieces(done, (slots - 1028) * kvHeads * headSize * (2 * UNPACK_COST + TURN_COST));
  });
});

describe('a prompt', () => {
  const spec = parseSpec({
    model_type: 'gemma',
    vocab_size: 256,
    hidden_size: WIDTH,
    intermediate_size: INNER,
    num_hidden_layers: 1,
    num_attention_heads: 16,
    num_key_value_heads: 16,
    head_dim: 256,
    max_position_embeddings: 8192,
    hidden_activation: 'gelu_pytorch_tanh',
  });
  const tokens = 4;
  const table = tensorTable(spec);
  const matrices = table.filter(({ kind }) => kind === 'matrix');

  async function layer() {
    const model = {
      spec,
      steps: forwardSteps(spec),
      formats: new Map(matrices.map(({ name }) => [name, Q4] as const)),
    };
    const plan = planMemory(model, request(), NO_LIMITS, 'cpu');
    const executor = createCpuExecutor(model, plan);
    for (const { name, rows, cols, kind } of table) {
      if (kind === 'vector') executor.sink.writeVector(name, new Float32Array(cols));
      else {
        const statistics = { block: 64, scales: new Float32Array((rows * cols) / 64), offsets: null };
        const codes = new Uint8Array((rows * cols) / 2);
        await executor.sink.write(name, { row0: 0, rows, cols, type: 'q4', ...statistics, codes });
      }
    }
    await executor.sink.finish();
    const cache = executor.createCache();
    await cache.reserve(plan);
    return { executor, cache };
  }

  /** Every chance of a turn is taken: between two looks at the clock more time goes by than one may take. */
  const hurry = () => {
    let now = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => (now += 100));
  };
  afterEach(() => void vi.restoreAllMocks());

  /** Counts turns of the event loop until `running` ends, and tells of each. */
  async function turns(running: Promise<unknown>, at: (turn: number) => void = () => {}): Promise<number> {
    let ended = false;
    let turn = 0;
    const end = () => {
      ended = true;
    };
    running.then(end, end);
    for (; !ended; turn++) {
      at(turn);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return turn;
  }

  it('lets the event loop turn after every two pieces at most, and a stop in its middle ends it at the next turn', async () => {
    const { executor, cache } = await layer();
    hurry();
    // of the last layer, which is the only one, all tokens need keys and values, and the last one the rest
    const multiplications = matrices
      .filter(({ name }) => name.includes('layers'))
      .reduce((sum, { name, rows, cols }) => sum + (/[qkv]_proj/.test(name) ? tokens : 1) * rows * cols, 0);
    const whole = await turns(executor.prefill(cache, [1, 2, 3, 4], 0));
    expect(whole).toBeGreaterThan(multiplications / (2 * TIME_SLICE));
    const stop = new AbortController();
    const stopped = executor.prefill(cache, [1, 2, 3, 4], 0, { signal: stop.signal });
    stopped.catch(() => {});
    const middle = whole >> 1;
    expect(await turns(stopped, (turn) => turn === middle && stop.abort())).toBeLessThanOrEqual(middle + 3);
    await expect(stopped).rejects.toMatchObject({ code: 'aborted' });
  });
});
