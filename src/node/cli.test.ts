/**
 * The command line, command by command. It is long because its flags and its JSON are a contract, told in one place.
 */
import { cp, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { openCheckpoint } from '../checkpoint/open-checkpoint';
import type { Expected } from '../execute/cpu/test/models';
import { logprobsOf } from '../execute/sampler/logprobs';
import { main } from './cli';
import { COMMANDS } from './commands';
import { createFolderSource } from './folder-source';

const FIXTURES = 'reference/fixtures';
const NF4 = `${FIXTURES}/tiny-llama/nf4`;
const TEXT = `${FIXTURES}/tiny-llama-128/nf4`;

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nibble-cli-'));
});
afterAll(() => rm(folder, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

/** Runs a command in this process. */
async function nibble(...argv: string[]): Promise<{ status: number; out: string; err: string }> {
  const seen = { out: '', err: '' };
  const capture = (key: 'out' | 'err') => (chunk: string | Uint8Array, done?: unknown) => {
    seen[key] += chunk;
    if (typeof done === 'function') done();
    return true;
  };
  vi.spyOn(process.stdout, 'write').mockImplementation(capture('out') as typeof process.stdout.write);
  vi.spyOn(process.stderr, 'write').mockImplementation(capture('err') as typeof process.stderr.write);
  const status = await main(argv);
  vi.restoreAllMocks();
  return { status, ...seen };
}

/** The object that a command prints with --json, on the CPU. */
async function json<T>(...argv: string[]): Promise<T> {
  const { status, out } = await nibble(...argv, '--json', '--backend', 'cpu');
  const object = JSON.parse(out) as T;
  expect({ status, out: status ? out : '' }).toEqual({ status: 0, out: '' });
  return object;
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

interface Generated {
  ids: number[];
  text: string;
  reasoning: string;
  finish: string;
  stats: Record<string, number>;
  memory: Record<string, number>;
  logprobs?: { id: number; top: unknown[] }[];
}
interface Failure {
  error: { code: string; message: string; details: Record<string, unknown> };
}

const expected = async (path: string) =>
  JSON.parse(await readFile(join(FIXTURES, path, 'expected.json'), 'utf8')) as Expected;

describe('a chat', () => {
  const two = ['--max-new-tokens', '2', '--ignore-eos'];
  const tokens = async (...more: string[]) =>
    (await json<Generated>('generate', TEXT, '--chat', 'hi<|im_end|>', ...two, ...more)).stats.prompt_tokens;

  it('takes control tokens that were typed as text, unless told otherwise', async () => {
    expect(await tokens()).toBeGreaterThan((await tokens('--parse-special')) + 5);
  });

  it('takes a template from a file, and its variables', async () => {
    const file = join(folder, 'chat.jinja');
    await writeFile(file, '{{ style }}{{ messages[0].content }}{% if deep is true %}<think>{# </think> #}{% endif %}');
    const template = ['--chat-template', file];
    expect(await tokens(...template, '--template-option', 'style=12345')).toBe((await tokens(...template)) + 5);
    const deep = ['--template-option', 'deep=true', '--template-option', 'style=a=b'];
    const { text, reasoning } = await json<Generated>('generate', TEXT, '--chat', 'hi', ...two, ...template, ...deep);
    expect(text.startsWith(reasoning)).toBe(true);
    expect(reasoning).not.toBe('');
    expect((await json<Generated>('generate', TEXT, '--chat', 'hi', ...two, ...template)).reasoning).toBe('');
  });

  it.each([
    [['--template-option', 'deep'], 'template-option'],
    [['--chat-template', 'nowhere.jinja'], 'chat-template'],
  ])('refuses %j by name', async (more, option) => {
    const { status, out } = await nibble('generate', TEXT, '--chat', 'hi', '--json', ...more);
    expect([status, (JSON.parse(out) as Failure).error.details.option]).toEqual([1, option]);
  });
});

describe('--lora', () => {
  const DIR = `${FIXTURES}/lora`;
  const both = ['--lora', `${DIR}/plain`, '--lora', `${DIR}/rslora`];

  it('adds adapters, several summed, for ids and for logits', async () => {
    const file = await readFile(`${DIR}/expected/nf4.plain+rslora.json`, 'utf8');
    const { prompts, logitScale } = JSON.parse(file) as Expected;
    const { ids, greedy, logits, positions } = prompts[0];
    const ask = ['--ids', ids.join(','), '--kv', 'f32', ...both];
    const made = await json<Generated>('generate', NF4, ...ask, '--max-new-tokens', '8');
    expect(made.ids).toEqual(greedy.slice(0, 8));
    const rows = (await json<{ logits: number[][] }>('logits', NF4, ...ask, '--all')).logits;
    positions.forEach((position, i) => {
      const off = Math.max(...rows[position].map((value, j) => Math.abs(value - logits[i][j])));
      expect(off).toBeLessThan(1e-3 * logitScale);
    });
    const bare = await json<Generated>('generate', NF4, '--ids', ids.join(','), '--max-new-tokens', '8');
    expect(bare.ids).not.toEqual(made.ids);
    expect(made.memory.weights).toBeGreaterThan(bare.memory.weights);
  });

  it('refuses what is no adapter of this model, by name', async () => {
    for (const [adapter, says] of [
      [`${DIR}/bias-all`, /made for another base/],
      [NF4, /no adapter_config.json/],
      ['./nowhere', /no folder or file/],
    ] as const) {
      const { status, out } = await nibble(
        'generate',
        NF4,
        '--ids',
        '5',
        '--lora',
        adapter,
        '--json',
        '--backend',
        'cpu',
      );
      expect(status).toBe(1);
      expect((JSON.parse(out) as Failure).error).toMatchObject({
        code: 'invalid-option',
        message: expect.stringMatching(says),
      });
    }
  });
});

describe('generate', () => {
  it('gives the ids of transformers, with what the contract lists', async () => {
    const { ids, greedy } = (await expected('tiny-llama/nf4')).prompts[1];
    const result = await json<Generated>('generate', NF4, '--ids', ids.join(','), '--max-new-tokens', '8');
    expect(result).toMatchObject({ ids: greedy.slice(0, 8), text: '', finish: 'length' });
    expect(result.stats).toMatchObject({ prompt_tokens: 7, new_tokens: 8 });
    expect(Object.keys(result.stats).sort()).toEqual([
      'decode_tps',
      'new_tokens',
      'prefill_tps',
      'prompt_tokens',
      'ttft_ms',
    ]);
    expect(Object.keys(result.memory).sort()).toEqual(['kv', 'peak', 'scratch', 'total', 'weights']);
  });
  it.each(['f32', 'int8'])('takes what plan says, to the byte (%s cache)', async (kv) => {
    const more = ['--max-new-tokens', '50', '--kv', kv];
    const { memory } = await json<Generated>('generate', NF4, '--ids', '1,2,3', ...more);
    const plan = await json<Record<string, number>>('plan', NF4, '--prompt-tokens', '3', ...more);
    const pick = ({ weights, kv, scratch, total }: Record<string, number>) => ({ weights, kv, scratch, total });
    expect(pick(memory)).toEqual(pick(plan));
  });
  it('streams text to a person, and answers the same from a prompt and from its ids', async () => {
    const prompt = ['--max-new-tokens', '6', '--ignore-eos'];
    const told = await json<Generated>('generate', TEXT, '--prompt', 'hello', ...prompt);
    const { out, status } = await nibble('generate', TEXT, '--prompt', 'hello', ...prompt, '--backend', 'cpu');
    expect(status).toBe(0);
    expect(out.trim()).toBe(told.text.trim());
    expect(told.ids).toHaveLength(6);
  });
  it('goes on beyond the context when asked to, and says what was dropped', async () => {
    const long = ['generate', NF4, '--ids', '5,6', '--max-new-tokens', '90', '--ignore-eos', '--max-context', '40'];
    const { ids, stats } = await json<Generated>(...long, '--overflow', 'shift');
    expect(ids).toHaveLength(90);
    expect(stats).toMatchObject({ new_tokens: 90, dropped_tokens: 60 });
    const { err } = await nibble(...long, '--overflow', 'shift', '--backend', 'cpu');
    expect(err).toMatch(/oldest 60 after the first 4/);
  });
  it('takes every option of sampling, and tells log-probabilities where they are asked for', async () => {
    const ask = ['generate', NF4, '--ids', '5,6', '--max-new-tokens', '6', '--temperature', '2', '--seed', '7'];
    const rules = [
      '--min-p',
      '0.02',
      '--repetition-penalty',
      '1.2',
      '--presence-penalty=-0.5',
      '--suppress-tokens',
      '3,4',
    ];
    const more = [
      '--logit-bias',
      '{"9": 2}',
      '--bad-words',
      '[[1,2],[8]]',
      '--dry-multiplier',
      '0.8',
      '--logprobs',
      '2',
    ];
    const { ids, logprobs } = await json<Generated>(...ask, ...rules, ...more);
    expect(logprobs?.map(({ id, top }) => [id, top.length])).toEqual(ids.map((id) => [id, 2]));
    expect(await json<Generated>(...ask)).not.toHaveProperty('logprobs');
    const { status, out } = await nibble(...ask, '--repetition-penalty', '0', '--json', '--backend', 'cpu');
    expect(status).toBe(1);
    expect(JSON.parse(out).error).toMatchObject({ code: 'invalid-option', details: { option: 'repetitionPenalty' } });
  });
  it('repeats itself for a seed', async () => {
    const sampled = ['generate', NF4, '--ids', '5,6', '--max-new-tokens', '12', '--temperature', '2', '--seed'];
    const first = await json<Generated>(...sampled, '7');
    expect((await json<Generated>(...sampled, '7')).ids).toEqual(first.ids);
    expect((await json<Generated>(...sampled, '8')).ids).not.toEqual(first.ids);
  });
});

describe('logits', () => {
  it('are those of transformers, the last row or all', async () => {
    const { prompts, logitScale } = await expected('tiny-llama/nf4');
    const ids = ['--ids', prompts[1].ids.join(','), '--kv', 'f32'];
    const last = await json<{ logits: number[] }>('logits', NF4, ...ids);
    const all = await json<{ logits: number[][] }>('logits', NF4, ...ids, '--all');
    expect(all.logits).toHaveLength(7);
    for (const [i, row] of [...all.logits, last.logits].entries()) {
      const right = prompts[1].logits[Math.min(i, 6)];
      expect(Math.max(...row.map((value, id) => Math.abs(value - right[id])))).toBeLessThan(1e-3 * logitScale);
    }
  });
});

describe('tokenize and detokenize', () => {
  it('undo each other', async () => {
    const { ids } = await json<{ ids: number[] }>('tokenize', TEXT, '--text', 'hello there');
    expect(ids.length).toBeGreaterThan(0);
    expect(await json('detokenize', TEXT, '--ids', ids.join(','))).toEqual({ text: 'hello there' });
  });
});

describe('plan', () => {
  const gemma = {
    model_type: 'gemma',
    hidden_size: 3072,
    intermediate_size: 24576,
    num_hidden_layers: 28,
    num_attention_heads: 16,
    num_key_value_heads: 16,
    head_dim: 256,
    vocab_size: 256000,
    max_position_embeddings: 8192,
  };
  it('of Gemma-7B from its config alone: 168 MiB of cache for 128 + 257 tokens (85 as int8), 3.5 GiB in full', async () => {
    const path = join(folder, 'gemma.json');
    await writeFile(path, JSON.stringify(gemma));
    const request = ['plan', path, '--prompt-tokens', '128', '--max-new-tokens', '257'];
    const plan = await json<{
      kv: number;
      kv_by_layer: { kind: string; slots: number; bytes: number }[];
      fits: boolean;
    }>(...request);
    expect(plan.kv).toBe(168 * 2 ** 20);
    expect(plan.kv_by_layer).toHaveLength(28);
    expect(plan.kv_by_layer[0]).toEqual({ kind: 'global', slots: 384, bytes: 6 * 2 ** 20 });
    expect((await json<{ kv: number }>(...request, '--kv-capacity', 'full')).kv).toBe(3.5 * 2 ** 30);
    // a byte a value, and four for each 256 of them
    expect((await json<{ kv: number }>(...request, '--kv', 'int8')).kv).toBe((84 + 84 / 64) * 2 ** 20);
    expect((await json<{ fits: boolean; suggestions: string[] }>(...request, '--budget', '5000000000')).fits).toBe(
      false,
    );
    const person = await nibble(...request, '--backend', 'cpu', '--budget', '5000000000');
    expect(person.out).toMatch(/cache at the full context of 8192 tokens: 3584\.0 MiB/);
    expect(person.out).toMatch(/this machine probably allows \d+\.\d MiB\. An estimate: half of the/);
    expect(person.out).toMatch(/It does not fit\. What would:\n- Ask for at most \d+ new tokens/);
  });
  it('has the full context and an estimate beside what the contract lists', async () => {
    const plan = await json<Record<string, unknown>>('plan', NF4, '--prompt-tokens', '9', '--max-new-tokens', '9');
    const contract = ['weights', 'kv', 'kv_by_layer', 'scratch', 'staging', 'total', 'fits', 'suggestions'];
    const more = ['kv_full_context', 'peak', 'device_estimate'];
    expect(Object.keys(plan)).toEqual([...contract, ...more]);
    expect(plan.kv_full_context).toBeGreaterThan(plan.kv as number);
    expect(plan.device_estimate).toEqual({ bytes: expect.any(Number), reason: expect.stringContaining('An estimate') });
  });
  it('of more tokens than the context is refused with the numbers', async () => {
    const { status, out } = await nibble('plan', NF4, '--prompt-tokens', '100000', '--json', '--backend', 'cpu');
    const { error } = JSON.parse(out) as { error: { code: string; details: object } };
    expect([status, error.code]).toEqual([1, 'context-overflow']);
    expect(error.details).toMatchObject({ promptTokens: 100_000, need: 100_255, capacity: expect.any(Number) });
  });
  it('is a budget that generate obeys to the byte', async () => {
    const sizes = ['--max-new-tokens', '100', '--kv', 'f32'];
    const { peak } = await json<{ peak: number }>('plan', NF4, '--prompt-tokens', '3', ...sizes);
    const generate = ['generate', NF4, '--ids', '1,2,3', '--ignore-eos', ...sizes, '--budget'];
    const { ids, memory } = await json<Generated>(...generate, String(peak));
    expect([ids.length, memory.peak]).toEqual([100, peak]);
    const { out } = await nibble(...generate, String(peak - 1), '--json', '--backend', 'cpu');
    const { code, details } = (JSON.parse(out) as { error: { code: string; details: { suggestions: string[] } } })
      .error;
    expect([code, details]).toEqual(['out-of-memory', expect.objectContaining({ peak, budget: peak - 1 })]);
    expect(details.suggestions[0]).toMatch(/at most \d+ new tokens/);
  });
  it.each(['0', '-5', 'NaN', '1e300', 'much'])('with a budget of %s is refused', async (budget) => {
    const argv = ['plan', NF4, '--prompt-tokens', '3', `--budget=${budget}`, '--json', '--backend', 'cpu'];
    expect((JSON.parse((await nibble(...argv)).out) as Failure).error.code).toBe('invalid-option');
  });
});

describe('bench', () => {
  it('decodes the ids that generate does, and counts no GPU work on the CPU', async () => {
    const bench = await json<Generated & Record<string, unknown>>(
      'bench',
      NF4,
      '--ids',
      '1,2,3',
      '--new-tokens',
      '6',
      '--runs',
      '3',
    );
    const { ids } = await json<Generated>('generate', NF4, '--ids', '1,2,3', '--max-new-tokens', '6', '--ignore-eos');
    expect(bench).toMatchObject({ ids, dispatches_per_token: 0, submits_per_token: 0, adapter: null, backend: 'cpu' });
    expect(bench.decode_tps).toBeGreaterThan(0);
  });
  it('runs a geometry without weights', async () => {
    const { kv, total } = (await json<Generated>('bench', '--random', join(NF4, 'config.json'), '--prompt-tokens', '5'))
      .memory;
    expect(total).toBeGreaterThan(kv);
  });
  it('says that a profile needs a GPU', async () => {
    const { status, out } = await nibble('bench', NF4, '--ids', '1', '--profile', '--json', '--backend', 'cpu');
    expect(status).toBe(1);
    expect((JSON.parse(out) as Failure).error.code).toBe('invalid-option');
  });
});

describe('perplexity', () => {
  it('is exp of the mean surprise over whole windows', async () => {
    const text =
      'the quick brown fox jumps over the lazy dog and runs into the wood, where nobody has ever been before';
    const file = join(folder, 'prose.txt');
    await writeFile(file, text);
    const { ids } = await json<{ ids: number[] }>('tokenize', TEXT, '--text', text);
    const window = Math.floor(ids.length / 2) - 1;
    let sum = 0;
    for (const start of [0, window]) {
      const part = ids.slice(start, start + window);
      const { logits } = await json<{ logits: number[][] }>('logits', TEXT, '--ids', part.join(','), '--all');
      for (let i = 0; i + 1 < window; i++) sum -= logprobsOf(Float32Array.from(logits[i]), part[i + 1], 0).logprob;
    }
    const result = await json<{ perplexity: number; tokens: number }>(
      'perplexity',
      TEXT,
      '--file',
      file,
      '--window',
      String(window),
    );
    expect(result.tokens).toBe(2 * (window - 1));
    expect(result.perplexity).toBeCloseTo(Math.exp(sum / result.tokens), 3);
    expect(
      (await json<{ tokens: number }>('perplexity', TEXT, '--file', file, '--window', String(window), '--windows', '1'))
        .tokens,
    ).toBe(window - 1);
  });
  it('a log-probability is that of the softmax', () => {
    expect(logprobsOf(Float32Array.of(0, 0, 0, 0), 2, 0).logprob).toBeCloseTo(-Math.log(4), 12);
    expect(logprobsOf(Float32Array.of(1000, 0), 0, 0).logprob).toBe(0);
  });
});

describe('embed', () => {
  const model = `${FIXTURES}/embeddings/qwen3-embedding`;
  const exact = ['--weights', 'f32', '--kv', 'f32'];
  type Made = { embeddings: number[][]; ids: number[][]; dimensions: number };
  const written = async (name: string, content: string) => {
    await writeFile(join(folder, name), content);
    return join(folder, name);
  };

  it('gives a vector a line, or an element of a JSON array, with the prompt that is named', async () => {
    const { cases } = JSON.parse(await readFile(`${model}/expected.json`, 'utf8'));
    const [{ texts, ids, vectors }, query, cut] = cases;
    const close = (made: Made, right: number[][]) => {
      for (const [i, row] of right.entries())
        for (const [c, value] of row.entries()) expect(Math.abs(made.embeddings[i][c] - value)).toBeLessThan(1e-4);
      expect(made.dimensions).toBe(right[0].length);
    };
    const whole = await json<Made>('embed', model, await written('all.json', JSON.stringify(texts)), ...exact);
    expect(whole.ids).toEqual(ids);
    close(whole, vectors);
    const lines = await written('lines.txt', `${query.texts.join('\r\n')}\n`);
    const prompted = await json<Made>('embed', model, lines, '--prompt', 'query', ...exact);
    expect(prompted.ids).toEqual(query.ids);
    close(prompted, query.vectors);
    close(await json<Made>('embed', model, lines, '--prompt', 'query', '--dimensions', '8', ...exact), cut.vectors);
    const bare = await json<Made>(
      'embed',
      model,
      await written('two.txt', `${texts[0]}\n\n[1] a`),
      '--prompt',
      '',
      ...exact,
    );
    expect(bare.ids).toHaveLength(3);
    expect(bare.ids.slice(0, 2)).toEqual([ids[0], ids[3]]);
  });

  it.each([
    ['no file', [], /needs FILE/],
    ['a file that is not there', ['nowhere.txt'], /nowhere\.txt cannot be read/],
    [
      'a prompt that there is not',
      ['README.md', '--prompt', 'x'],
      /one of this model's prompts \("document", "query"\)/,
    ],
    ['more dimensions than there are', ['README.md', '--dimensions', '33'], /at most 32/],
    ['no dimensions', ['README.md', '--dimensions', '0'], /whole number of at least 1/],
    ['a pooling that is none', ['README.md', '--pooling', 'x'], /one of lasttoken, mean/],
  ])('refuses %s', async (_, more, message) => {
    const { status, out } = await nibble('embed', model, ...more, '--json', '--backend', 'cpu');
    expect(status).toBe(1);
    const { error } = JSON.parse(out) as Failure;
    expect(error.code).toBe('invalid-option');
    expect(error.message).toMatch(message);
  });

  it('refuses files without texts, and elements that are none', async () => {
    const refused = async (content: string) =>
      JSON.parse((await nibble('embed', model, await written('bad.json', content), '--json')).out).error.message;
    expect(await refused('')).toMatch(/holds no text/);
    expect(await refused('[]')).toMatch(/holds no text/);
    expect(await refused('["a", 1]')).toMatch(/element 1 of its JSON is no text/);
  });
});

describe('rerank', () => {
  const model = `${FIXTURES}/embeddings/qwen3-reranker`;

  it('gives a score a pair', async () => {
    const { rerank } = JSON.parse(await readFile(`${model}/expected.json`, 'utf8'));
    const file = join(folder, 'pairs.json');
    const [{ query, documents, scores }, other] = rerank;
    await writeFile(file, JSON.stringify(documents.map((document: string) => ({ query, document }))));
    const exact = ['--weights', 'f32', '--kv', 'f32'];
    const made = await json<{ scores: number[] }>('rerank', model, file, ...exact);
    expect(made).toEqual({ scores: scores.map((score: number) => expect.closeTo(score, 4)) });
    const asked = await json<{ scores: number[] }>('rerank', model, file, '--instruction', other.instruction, ...exact);
    expect(asked).toEqual({ scores: other.scores.map((score: number) => expect.closeTo(score, 4)) });
  });

  it.each([
    ['no JSON', 'x', /is no JSON/],
    ['no pairs', '[]', /must hold a JSON array/],
    ['pairs without a document', '[{"query":"a"}]', /element 0 has no query or no document/],
  ])('refuses %s', async (_, content, message) => {
    await writeFile(join(folder, 'bad.json'), content);
    const { status, out } = await nibble('rerank', model, join(folder, 'bad.json'), '--json', '--backend', 'cpu');
    expect(status).toBe(1);
    expect((JSON.parse(out) as Failure).error.message).toMatch(message);
  });

  it('refuses a model that is no reranker', async () => {
    await writeFile(join(folder, 'one.json'), '[{"query":"a","document":"b"}]');
    const { out } = await nibble('rerank', TEXT, join(folder, 'one.json'), '--json', '--backend', 'cpu');
    expect((JSON.parse(out) as Failure).error.message).toMatch(/is no reranker that is known here: it is a llama/);
  });
});

describe('quantize', () => {
  it('keeps an Infinity of config.json as Python reads it', async () => {
    const from = join(folder, 'infinite');
    await cp(`${FIXTURES}/tiny-llama/bf16`, from, { recursive: true });
    const config = await readFile(join(from, 'config.json'), 'utf8');
    await writeFile(join(from, 'config.json'), config.replace('{', '{"most": Infinity, "least": [-Infinity],'));
    const out = join(folder, 'infinite-nf4');
    await json('quantize', from, out);
    const made = await readFile(join(out, 'config.json'), 'utf8');
    expect(made).toMatch(/"most": Infinity,\s+"least": \[\s+-Infinity\s+\]/);
  });

  it.each([
    ['nf4', []],
    ['nf4-dq', ['--double-quant']],
  ])('makes the tensors of tiny-llama/%s from its bf16 original', async (variant, more) => {
    const out = join(folder, variant);
    const result = await json<{ quantized: number; error_statistics: { sqnr_db: number } }>(
      'quantize',
      `${FIXTURES}/tiny-llama/bf16`,
      out,
      ...more,
    );
    expect(result.error_statistics.sqnr_db).toBeGreaterThan(20);
    const [made, right] = await Promise.all(
      [out, `${FIXTURES}/tiny-llama/${variant}`].map((path) => openCheckpoint(createFolderSource(path))),
    );
    expect([...made.tensors.keys()].sort()).toEqual([...right.tensors.keys()].sort());
    for (const [name, info] of right.tensors) {
      expect(made.tensors.get(name)?.stored).toBe(info.stored);
      const slices = await Promise.all([made, right].map((checkpoint) => all(checkpoint.read(name))));
      if (variant === 'nf4') expect(slices[0]).toEqual(slices[1]);
    }
    made.close();
    right.close();
    const { prompts, logitScale } = await expected(`tiny-llama/${variant}`);
    const { logits } = await json<{ logits: number[] }>(
      'logits',
      out,
      '--ids',
      prompts[0].ids.join(','),
      '--kv',
      'f32',
    );
    const off = Math.max(...logits.map((value, id) => Math.abs(value - prompts[0].logits[0][id])));
    expect(off).toBeLessThan((variant === 'nf4' ? 1e-3 : 5e-3) * logitScale);
  });
  it('keeps what it is told to keep, and refuses a name that matches nothing', async () => {
    const out = join(folder, 'kept');
    await json('quantize', `${FIXTURES}/tiny-llama/bf16`, out, '--keep', 'layers.1.mlp');
    const { tensors } = await json<{ tensors: { name: string; stored: string }[] }>('inspect', out);
    expect(tensors.find(({ name }) => name === 'model.layers.1.mlp.up_proj.weight')?.stored).toBe('bf16');
    expect(tensors.find(({ name }) => name === 'model.layers.0.mlp.up_proj.weight')?.stored).toBe('nf4');
    const { status } = await nibble(
      'quantize',
      `${FIXTURES}/tiny-llama/bf16`,
      join(folder, 'none'),
      '--keep',
      'layers.9',
      '--json',
    );
    expect(status).toBe(1);
  });
});

describe('inspect', () => {
  it('tells architecture, types and tensors', async () => {
    const result = await json<{ model_type: string; unsupported: string[]; types: Record<string, { count: number }> }>(
      'inspect',
      NF4,
    );
    expect(result).toMatchObject({ model_type: 'llama', unsupported: [], architecture: { layers: 3, width: 96 } });
    expect(result.types.nf4.count).toBe(21);
  });
  it('says what cannot run', async () => {
    const path = join(folder, 'mamba');
    await cp(NF4, path, { recursive: true });
    await writeFile(join(path, 'config.json'), JSON.stringify({ model_type: 'mamba' }));
    const { unsupported } = await json<{ unsupported: string[] }>('inspect', path);
    expect(unsupported[0]).toContain('"mamba"');
  });
});

describe('errors', () => {
  it.each<[string[], string]>([
    [['frobnicate'], 'invalid-option'],
    [['generate'], 'invalid-option'],
    [['generate', NF4], 'invalid-option'],
    [['generate', NF4, '--ids', '1', '--prompt', 'x'], 'invalid-option'],
    [['generate', NF4, '--ids', '1', '--frob', '2'], 'invalid-option'],
    [['generate', NF4, '--ids', '1,x'], 'invalid-option'],
    [['generate', NF4, '--ids', ''], 'invalid-option'],
    [['generate', NF4, '--ids', '263'], 'invalid-option'],
    [['generate', NF4, '--ids', '1', '--top-p', '2'], 'invalid-option'],
    [['generate', NF4, '--ids', '1', '--max-new-tokens', 'many'], 'invalid-option'],
    [['generate', NF4, '--ids', '1', '--kv', 'int3'], 'invalid-option'],
    [['generate', NF4, '--ids', '1', '--max-new-tokens', '256', '--max-context', '100'], 'context-overflow'],
    [['generate', NF4, '--ids', '1', '--overflow', 'wrap'], 'invalid-option'],
    [['generate', NF4, '--ids', '1', '--budget', '1000'], 'out-of-memory'],
    [['generate', NF4, '--ids', '1', '--budget', '1000', '--overflow', 'shift'], 'out-of-memory'],
    [['generate', NF4, '--prompt', 'no tokenizer here'], 'invalid-option'],
    [['generate', NF4, 'other', '--ids', '1'], 'invalid-option'],
    [['generate', 'no/such/folder', '--ids', '1'], 'invalid-option'],
    [['generate', 'package.json', '--ids', '1'], 'invalid-option'],
    [['generate', 'src', '--ids', '1'], 'corrupt-checkpoint'],
    [['plan', NF4, '--prompt-tokens', '0'], 'invalid-option'],
    [['perplexity', TEXT, '--file', 'no-such-file'], 'invalid-option'],
    [['perplexity', TEXT, '--file', 'package.json', '--window', '1'], 'invalid-option'],
    [['quantize', NF4, '/tmp/nibble-never'], 'unsupported-quantization'],
  ])('%j', async (argv, code) => {
    const { status, out } = await nibble(...argv, '--json', '--backend', 'cpu');
    const { error } = JSON.parse(out) as Failure;
    expect({ status, code: error.code }).toEqual({ status: 1, code });
    expect(error.message.length).toBeGreaterThan(20);
  });
  it('go to stderr without --json, and leave stdout empty', async () => {
    const { status, out, err } = await nibble('generate', NF4, '--ids', '999', '--backend', 'cpu');
    expect({ status, out }).toEqual({ status: 1, out: '' });
    expect(err).toContain('999');
  });
  it('of a shard cut short', async () => {
    const path = join(folder, 'cut');
    await cp(`${FIXTURES}/tiny-llama/sharded`, path, { recursive: true });
    await truncate(join(path, 'model-00002-of-00003.safetensors'), 1000);
    const { out } = await nibble('generate', path, '--ids', '1', '--json', '--backend', 'cpu');
    expect((JSON.parse(out) as Failure).error.code).toBe('corrupt-checkpoint');
    await rm(join(path, 'model-00003-of-00003.safetensors'));
    const missing = await nibble('generate', path, '--ids', '1', '--json', '--backend', 'cpu');
    expect((JSON.parse(missing.out) as Failure).error.code).toBe('corrupt-checkpoint');
  });
  it('name what exists where an option is unknown', async () => {
    const { err, status } = await nibble('generate', NF4, '--maxNewTokens', '3');
    expect(status).toBe(1);
    expect(err).toMatch(
      /^nibble generate has no option --maxNewTokens\. Did you mean --max-new-tokens\? There are: --prompt,/,
    );
    expect((await nibble('generate', NF4, '--prompt', '-5')).err).toMatch(/--prompt=-5/);
    expect((await nibble('--json')).out).toMatch(/The command comes first/);
  });
  it.each(Object.keys(COMMANDS))('%s -h has a sentence, options with defaults, and an example', async (command) => {
    const { says, flags, engine } = COMMANDS[command];
    const { status, out } = await nibble(command, '-h');
    expect(status).toBe(0);
    expect(out).toContain(says);
    expect(out).toMatch(new RegExp(`Example:\\n {2}nibble ${command} \\S`));
    for (const flag of [...Object.keys(flags), 'json', 'no-cache']) expect(out).toContain(`--${flag}`);
    if (engine) expect(out).toContain('Tokens of a prompt that are read at once. Default: auto.');
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(120);
    expect((await nibble('help', command)).out).toBe(out);
  });
  it('help is no error', async () => {
    const { status, out } = await nibble('--help');
    expect(status).toBe(0);
    for (const command of [
      'generate',
      'logits',
      'tokenize',
      'plan',
      'bench',
      'perplexity',
      'quantize',
      'inspect',
      'chat',
      'models',
    ]) {
      expect(out).toContain(`nibble ${command} `);
    }
  });
});
