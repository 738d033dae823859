import { afterEach, describe, expect, it } from 'vitest';
import { createMemoryStore } from '../store/chunk-store';
import { createSession, type Session } from './session';
import { casesOf, cosine, filesOf, nextId, opened, RERANKER, readsAsTransformersDoes } from './test/reading-cases';
import { ask, chats, fixture, host, load } from './test/tiny';

type Files = Map<string, Uint8Array>;

const open: Session[] = [];
afterEach(async () => {
  for (const session of open.splice(0)) await session.dispose();
});

const CPU = { backend: 'cpu', kv: 'f32' } as const;

/** The files of a model, changed. */
function changed(name: string, change: (files: Files) => void): Files {
  const files = name === 'chat' ? fixture() : filesOf(name);
  change(files);
  return files;
}

async function session(files: Files, options = {}): Promise<Session> {
  const made = await opened(files, { ...CPU, weights: 'keep', ...options });
  open.push(made);
  return made;
}

const put = (path: string, value: unknown) => (files: Files) =>
  void files.set(path, Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)));
const merge = (path: string, more: object) => (files: Files) =>
  put(path, { ...JSON.parse(Buffer.from(files.get(path) ?? Buffer.from('{}')).toString()), ...more })(files);
const all =
  (...changes: ((files: Files) => void)[]) =>
  (files: Files) => {
    for (const change of changes) change(files);
  };
const same = () => {};

const embed = (of: Session, texts: string[], options = {}) => of.embed({ id: nextId(), texts, options });
const rerank = (of: Session, document: string, options = {}) =>
  of.rerank({ id: nextId(), pairs: [{ query: 'who?', document }], options });
const score = (of: Session, texts: (string | number[])[]) => of.score({ id: nextId(), texts });

describe.each([
  ['one pass a text', {}],
  ['passes of five tokens', { chunk: 5 }],
] as const)('on the CPU, %s', (_, more) => readsAsTransformersDoes({ ...CPU, ...more }));

describe('embed() refuses', () => {
  const E5 = 'e5-mistral';
  const long = 'word '.repeat(200);
  const bertlike = { type: 'sentence_transformers.models.LSTM', path: '2_LSTM' };
  const modules = JSON.parse(Buffer.from(filesOf(E5).get('modules.json')!).toString());
  it.each<[string, string, (files: Files) => void, string[], object, string, RegExp]>([
    [
      'a prompt that is none, and names those there are',
      E5,
      same,
      ['a'],
      { prompt: 'query' },
      'invalid-option',
      /"web_search_query", "sts_query"/,
    ],
    ['a prompt of a model without prompts', 'chat', same, ['a'], { prompt: 'query' }, 'invalid-option', /no prompts/],
    ['more dimensions than there are', 'dense', same, ['a'], { dimensions: 25 }, 'invalid-option', /at most 24/],
    ['no dimensions', E5, same, ['a'], { dimensions: 0 }, 'invalid-option', /at least 1/],
    ['a pooling that is none', E5, same, ['a'], { pooling: 'median' }, 'invalid-option', /lasttoken, mean/],
    ['an option that is none', E5, same, ['a'], { pool: 'mean' }, 'invalid-option', /no option pool/],
    ['no text', E5, same, [], {}, 'invalid-option', /no text: give at least one/],
    ['a text without tokens', 'chat', same, ['a', ''], {}, 'invalid-option', /at place 1 has no tokens/],
    [
      'a text beyond the context',
      'qwen3-embedding',
      same,
      ['a', 'word '.repeat(600)],
      {},
      'context-overflow',
      /at place 1 has \d{3,} tokens, and 512 are the limit/,
    ],
    [
      'a text beyond max_seq_length',
      E5,
      same,
      [long],
      {},
      'context-overflow',
      /at place 0 has \d{3,} tokens, and 64 are the limit\. Shorten/,
    ],
    [
      'a model without a tokenizer',
      E5,
      (files) => void files.delete('tokenizer.json'),
      ['a'],
      {},
      'invalid-option',
      /no tokenizer\.json/,
    ],
    [
      'a module that is not known',
      E5,
      put('modules.json', [...modules, bertlike]),
      ['a'],
      {},
      'unsupported-architecture',
      /The module LSTM of modules\.json/,
    ],
    [
      'a pooling that is not known',
      E5,
      merge('1_Pooling/config.json', { pooling_mode: 'attention' }),
      ['a'],
      {},
      'unsupported-architecture',
      /The pooling attention/,
    ],
    [
      'a modules.json that is none',
      E5,
      put('modules.json', '<html>'),
      ['a'],
      {},
      'corrupt-checkpoint',
      /modules\.json is no list/,
    ],
    [
      'a path out of the folder',
      E5,
      put('modules.json', [{ ...modules[0], path: '../x' }]),
      ['a'],
      {},
      'corrupt-checkpoint',
      /out of the folder/,
    ],
    [
      'a Dense of other numbers',
      'dense',
      merge('2_Dense/config.json', { in_features: 31 }),
      ['a'],
      {},
      'corrupt-checkpoint',
      /no linear\.weight of shape \[40,31\]/,
    ],
    [
      'a Dense without weights that can be read',
      'dense',
      (files) => void files.delete('3_Dense/model.safetensors'),
      ['a'],
      {},
      'unsupported-architecture',
      /3_Dense without model\.safetensors/,
    ],
    [
      'a Dense of another function',
      'dense',
      merge('3_Dense/config.json', { activation_function: 'torch.nn.Mish' }),
      ['a'],
      {},
      'unsupported-architecture',
      /torch\.nn\.Mish/,
    ],
    [
      'a Dense that wants another pooling',
      'dense',
      merge('1_Pooling/config.json', { pooling_mode: ['cls', 'mean'] }),
      ['a'],
      {},
      'corrupt-checkpoint',
      /takes 32 values, and is given 64/,
    ],
    [
      'a default prompt that is missing',
      'dense',
      merge('config_sentence_transformers.json', { default_prompt_name: 'x' }),
      ['a'],
      {},
      'corrupt-checkpoint',
      /no prompt x, its default/,
    ],
  ])('%s', async (_, name, change, texts, options, code, message) => {
    const model = await session(changed(name, change));
    await expect(embed(model, texts, options)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    // nothing of it stays
    expect((await model.memory()).kv).toBe(0);
  });

  it.each<[string, object, RegExp]>([
    [
      'one that says it',
      { use_bidirectional_attention: true },
      /qwen3 model looks ahead \(use_bidirectional_attention\)/,
    ],
    ['one that says it otherwise', { is_causal: false }, /is_causal: false/],
    [
      'one whose code alone says it',
      { auto_map: { AutoModel: 'modeling_qwen.Qwen2Model' } },
      /auto_map\.AutoModel: modeling_qwen\.Qwen2Model/,
    ],
  ])('a model whose tokens look ahead, before it is loaded: %s', async (_, more, message) => {
    const files = changed('qwen3-embedding', merge('config.json', more));
    await expect(session(files)).rejects.toMatchObject({
      code: 'unsupported-architecture',
      message: expect.stringMatching(message),
    });
  });
});

describe('rerank() refuses', () => {
  it.each<[string, string, (files: Files) => void, RegExp]>([
    ['a model that embeds', 'qwen3-embedding', same, /it is made for embeddings/],
    ['a model without a head', 'e5-mistral', (files) => void files.delete('modules.json'), /it has no head/],
    ['another family', 'chat', same, /it is a llama/],
    [
      'a classifier',
      RERANKER,
      merge('config.json', { architectures: ['Qwen3ForSequenceClassification'] }),
      /saved as Qwen3ForSequenceClassification/,
    ],
    [
      'a tokenizer without the words',
      RERANKER,
      (files) =>
        put(
          'tokenizer.json',
          Buffer.from(files.get('tokenizer.json')!).toString().replaceAll('"<think>"', '"<thought>"'),
        )(files),
      /no <think>\./,
    ],
  ])('%s', async (_, name, change, message) => {
    await expect(rerank(await session(changed(name, change)), 'I')).rejects.toMatchObject({
      code: 'invalid-option',
      message: expect.stringMatching(message),
    });
  });

  it('a document beyond the context, an empty instruction, and no documents', async () => {
    const model = await session(filesOf(RERANKER));
    const tooLong = { code: 'context-overflow', details: { text: 0, limit: 512 } };
    await expect(rerank(model, 'word '.repeat(500))).rejects.toMatchObject(tooLong);
    await expect(rerank(model, 'a', { instruction: '' })).rejects.toMatchObject({ code: 'invalid-option' });
    await expect(model.rerank({ id: 1, pairs: [], options: {} })).rejects.toThrow('There is no document');
  });
});

describe('score() refuses', () => {
  it.each<[string, (string | number[])[], string, RegExp]>([
    ['no text', [], 'invalid-option', /no text/],
    ['a text without tokens', ['a', ''], 'invalid-option', /at place 1 has no tokens/],
    ['ids that there are not', [[1, 300]], 'invalid-option', /Token id 300 at place 1/],
    ['a text beyond the context', ['word '.repeat(600)], 'context-overflow', /512 are the limit/],
  ])('%s', async (_, texts, code, message) => {
    const model = await session(filesOf(RERANKER));
    await expect(score(model, texts)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('a model without a head, which refuses to write, too, and says what it is for', async () => {
    const model = await session(filesOf('e5-mistral'));
    const refusal = { code: 'invalid-option', message: expect.stringMatching(/no head.*embeddings/) };
    await expect(score(model, ['a'])).rejects.toMatchObject(refusal);
    await expect(ask(model, { prompt: 'a' })).rejects.toMatchObject(refusal);
  });
});

describe('reading', () => {
  it('takes what was typed as text in a ranking, and control tokens as such in a vector, as the references do', async () => {
    const model = await session(filesOf(RERANKER));
    const [typed, plain] = [await rerank(model, '<|im_end|>'), await rerank(model, '')];
    expect(typed.tokens).toBeGreaterThan(plain.tokens + 3);
    const { ids } = await embed(model, ['<|im_end|>']);
    expect(ids).toEqual([[2]]);
  });

  it('leaves conversations as they were, and its own cache to nobody', async () => {
    const model = await session(fixture());
    const [{ ids }] = chats;
    await ask(model, { ids }, { maxNewTokens: 2 });
    const before = await model.memory();
    await embed(model, ['a text', 'another'], { pooling: 'mean' });
    await score(model, ['a text']);
    expect(await model.memory()).toMatchObject({ kv: before.kv, conversations: 1 });
    const { result } = await ask(model, { ids }, { maxNewTokens: 2 });
    expect(result.stats.reusedTokens).toBe(ids.length - 1);
  });

  it('is computed without a Normalize where that is asked for, and with one where there is none', async () => {
    const [long] = (await embed(await session(filesOf('e5-mistral')), ['a'], { normalize: false })).embeddings;
    expect(Math.hypot(...long)).toBeGreaterThan(2);
    const [short] = (await embed(await session(filesOf('dense')), ['a'], { normalize: true, dimensions: 5 }))
      .embeddings;
    expect(short).toHaveLength(5);
    expect(Math.hypot(...short)).toBeCloseTo(1, 5);
  });

  it('joins several poolings, and lowers and cuts as the files say', async () => {
    const [{ texts, ids, vectors }] = casesOf('qwen3-embedding');
    const files = changed(
      'qwen3-embedding',
      all(
        merge('1_Pooling/config.json', { pooling_mode: ['lasttoken', 'cls'] }),
        merge('config_sentence_transformers.json', { truncate_dim: 40 }),
        put('sentence_bert_config.json', { do_lower_case: true }),
      ),
    );
    const model = await session(files, { weights: 'f32' });
    const asked = [texts[4], texts[4].toUpperCase()];
    const made = await embed(model, asked, { normalize: false });
    expect(made).toMatchObject({ dimensions: 40, ids: [ids[4], ids[4]] });
    const [first] = (await embed(model, asked, { pooling: 'cls', normalize: false, dimensions: 32 })).embeddings;
    // in the order cls, lasttoken; both before they are cut
    expect([...made.embeddings[0].slice(0, 32)]).toEqual([...first]);
    expect(cosine(made.embeddings[0].slice(32), vectors[4].slice(0, 8))).toBeGreaterThan(0.9999);
  });

  it('reads the modules of a kept model without a request', async () => {
    const [store, files] = [createMemoryStore(), filesOf('dense')];
    const [one] = casesOf('dense');
    for (const visit of ['first', 'second']) {
      const requests = { count: 0 };
      const kept = createSession(host({ files, store, requests }));
      open.push(kept);
      await load(kept, { ...CPU, weights: 'f32' });
      if (visit === 'second') expect(requests.count).toBe(0);
      const { embeddings } = await embed(kept, one.texts, one.given);
      embeddings.forEach((vector, i) => {
        expect(cosine(vector, one.vectors[i])).toBeGreaterThan(0.9999);
      });
    }
  });

  it('asks for nothing where an earlier version kept a model without its modules', async () => {
    const [store, files] = [createMemoryStore(), filesOf('e5-mistral')];
    const visit = async (requests: { count: number }) => {
      const kept = createSession(host({ files, store, requests }));
      open.push(kept);
      await load(kept, CPU);
      return kept;
    };
    await visit({ count: 0 });
    const [{ key }] = await (await visit({ count: 0 })).storedModels();
    const record = (await store.ledger.get(key))!;
    delete record.files['modules.json'];
    await store.ledger.put(record);
    const requests = { count: 0 };
    const { embeddings } = await embed(await visit(requests), ['a']);
    expect(requests.count).toBe(0);
    // as of a model without such files
    expect(Math.hypot(...embeddings[0])).toBeGreaterThan(1.1);
  });

  it('is stopped, before and within a text', async () => {
    const model = await session(filesOf('qwen3-embedding'), { chunk: 2 });
    const id = nextId();
    // far more than is computed before the timer
    const texts = Array.from({ length: 200 }, () => 'word '.repeat(80));
    const long = model.embed({ id, texts, options: {} });
    const waiting = nextId();
    const next = model.embed({ id: waiting, texts: ['a'], options: {} });
    setTimeout(() => void Promise.all([model.cancel(id), model.cancel(waiting)]), 50);
    await expect(long).rejects.toMatchObject({ code: 'aborted' });
    await expect(next).rejects.toMatchObject({ code: 'aborted' });
    expect((await embed(model, ['a'])).embeddings).toHaveLength(1);
  });
});
