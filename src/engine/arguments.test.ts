/** Calls with wrong arguments are told so by name, before anything reaches a worker; natural ones are taken. */
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NibbleError } from '../errors';
import { messagesOf, plain } from './arguments';
import * as library from './index';
import { sessionWorkers } from './test/session-worker';

const FOLDER = 'reference/fixtures/tiny-llama-128/nf4/';
const HELLO = [{ role: 'user' as const, content: 'Hello' }];
const createWorker = sessionWorkers();
let server: Server;
let base: string;
let engine: library.Engine;

beforeAll(async () => {
  server = createServer((request, response) => {
    try {
      response.end(readFileSync(FOLDER + (request.url ?? '').slice(1)));
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  engine = await library.load(new URL(base), { createWorker, onProgress: undefined, signal: null } as object);
});
afterAll(() => {
  engine.dispose();
  server.closeAllConnections();
  server.close();
});

/** Whatever is given, as a call without types gives it. */
const untyped = <T>(call: (...args: never[]) => T) => call as unknown as (...args: unknown[]) => T;
const { load, inspectModel, storedModels, isStored, deleteStored, verifyStored, savedCaches, deleteSavedCache } =
  library;

const refusal = async (call: () => unknown): Promise<NibbleError> => {
  try {
    await call();
  } catch (error) {
    return error as NibbleError;
  }
  throw new Error('was not refused');
};

describe('is invalid-option, with a name:', () => {
  const circle: object[] = [];
  circle.push(circle);

  it.each<[string, () => unknown, RegExp]>([
    ['load()', () => untyped(load)(), /model is undefined; it must be org\/name of the Hub, a URL/],
    ['load(null)', () => untyped(load)(null), /model is null/],
    ['load(5)', () => untyped(load)(5), /model is 5/],
    ['load({})', () => untyped(load)({}), /model is an object/],
    ['load([])', () => load([]), /./],
    ['load([1])', () => untyped(load)([1]), /model is a list/],
    ['load of a Promise', () => untyped(load)(Promise.resolve(base)), /model is an object/],
    ['options that are a function', () => untyped(load)(base, () => {}), /options is a function; it must be an object/],
    ['options that are a text', () => untyped(load)(base, 'cpu'), /options is "cpu"/],
    [
      'a misnamed callback',
      () => untyped(load)(base, { onprogress() {} }),
      /Did you mean onProgress\? There are: backend/,
    ],
    ['a callback that is none', () => untyped(load)(base, { onProgress: true }), /onProgress is true.*a function/],
    [
      'a signal that is none',
      () => untyped(load)(base, { signal: new AbortController() }),
      /signal is an object.*AbortSignal/,
    ],
    ['a token that is none', () => untyped(load)('a/b', { token: 5 }), /token is 5/],
    [
      'a number as text',
      () => untyped(load)(base, { maxContext: '512' }),
      /maxContext is "512"; it must be a whole number/,
    ],
    ['createWorker', () => untyped(load)(base, { createWorker: {} }), /createWorker is an object/],
    ['adapters', () => untyped(load)(base, { createWorker, lora: [7] }), /lora is 7/],
    ['inspectModel()', () => untyped(inspectModel)(), /model is undefined/],
    ['an option of inspectModel()', () => untyped(inspectModel)(base, { size: false }), /no option size/],
    ['isStored(null)', () => untyped(isStored)(null), /model is null/],
    ['verifyStored(3)', () => untyped(verifyStored)(3), /model is 3/],
    ['deleteStored()', () => untyped(deleteStored)(), /model is undefined/],
    ['storedModels(5)', () => untyped(storedModels)(5), /options is 5/],
    ['savedCaches(5)', () => untyped(savedCaches)(5), /options is 5/],
    ['deleteSavedCache()', () => untyped(deleteSavedCache)(undefined, { createWorker }), /name is undefined/],
    [
      'a single message',
      () => untyped(engine.chat.bind(engine))(HELLO[0]).result,
      /messages is an object; it must be a list of messages/,
    ],
    ['a text to chat()', () => untyped(engine.chat.bind(engine))('Hello').result, /messages is "Hello"/],
    ['no messages', () => untyped(engine.chat.bind(engine))().result, /messages is undefined/],
    ['messages that are texts', () => untyped(engine.chat.bind(engine))(['Hello']).result, /every message an object/],
    [
      'messages that hold themselves',
      () => untyped(engine.chat.bind(engine))(circle).result,
      /every message an object/,
    ],
    [
      'temperature as text',
      () => untyped(engine.chat.bind(engine))(HELLO, { temperature: '0' }).result,
      /temperature is "0"/,
    ],
    [
      'max_tokens',
      () => untyped(engine.chat.bind(engine))(HELLO, { max_tokens: 3 }).result,
      /no option max_tokens.*maxNewTokens/,
    ],
    ['options of chat() that are a number', () => untyped(engine.chat.bind(engine))(HELLO, 5).result, /options is 5/],
    [
      'generate()',
      () => untyped(engine.generate.bind(engine))().result,
      /prompt is undefined; it must be a text or a list of token ids/,
    ],
    ['generate(5)', () => untyped(engine.generate.bind(engine))(5).result, /prompt is 5/],
    ['generate of texts', () => untyped(engine.generate.bind(engine))(['a']).result, /prompt is "a"/],
    ['generate of holes', () => untyped(engine.generate.bind(engine))([1, undefined]).result, /prompt is undefined/],
    [
      'detokenize(null)',
      () => untyped(engine.detokenize.bind(engine))(null),
      /ids is null; it must be a list of token ids/,
    ],
    ['detokenize("1,2")', () => untyped(engine.detokenize.bind(engine))('1,2'), /ids is "1,2"/],
    [
      'detokenize of BigInts',
      () => engine.detokenize(new BigInt64Array(1) as unknown as number[]),
      /ids is 0.*numbers/,
    ],
    ['tokenize()', () => untyped(engine.tokenize.bind(engine))(), /text is undefined/],
    ['tokenize(5)', () => untyped(engine.tokenize.bind(engine))(5), /text is 5/],
    [
      'an option of tokenize()',
      () => untyped(engine.tokenize.bind(engine))('a', { specials: true }),
      /no option specials/,
    ],
    ['plan()', () => untyped(engine.plan.bind(engine))(), /promptTokens is undefined; it must be a whole number/],
    [
      'plan without a length',
      () => untyped(engine.plan.bind(engine))({ promptTokens: 5 }),
      /maxNewTokens is undefined/,
    ],
    [
      'plan of text',
      () => untyped(engine.plan.bind(engine))({ promptTokens: '5', maxNewTokens: 3 }),
      /promptTokens is "5"/,
    ],
    ['setLora()', () => untyped(engine.setLora.bind(engine))(), /lora is undefined/],
    ['setLora([null])', () => untyped(engine.setLora.bind(engine))([null]), /lora is null/],
    ['a scale as text', () => untyped(engine.setLora.bind(engine))([{ adapter: base, scale: '2' }]), /scale is "2"/],
    ['conversation(5)', () => untyped(engine.conversation.bind(engine))(5), /options is 5/],
    [
      'an option of conversation()',
      () => untyped(engine.conversation.bind(engine))({ prompt: 'x' }),
      /no option prompt/,
    ],
    [
      'messages of a conversation',
      () => untyped(engine.conversation.bind(engine))({ messages: {} }),
      /messages is an object/,
    ],
    ['files without a file', () => untyped(load)({ name: 'x', files: [{ path: 'a' }] }), /model is an object/],
    ['a drop that is none', () => untyped(library.modelFromDrop)({}), /drop is an object.*event\.dataTransfer/],
    ['numbers that JSON lacks', () => engine.chat(HELLO, { templateOptions: { x: Number.NaN } }).result, /x is NaN/],
    ['ask(5)', () => untyped(engine.conversation().ask.bind(engine.conversation()))(5), /./],
  ])('%s', async (_, call, words) => {
    const error = await refusal(call);
    expect(error.code).toBe('invalid-option');
    expect(error.message).toMatch(words);
  });
});

describe('is taken:', () => {
  const greedy = { maxNewTokens: 3, temperature: 0, ignoreEos: true };
  const idsOf = async (answer: library.Answer) => (await answer.result).ids;

  it('null for what is absent', async () => {
    const right = await idsOf(engine.chat(HELLO, { maxNewTokens: 3, ignoreEos: true, seed: 1 }));
    const nulls = {
      topP: null,
      temperature: null,
      stop: null,
      signal: null,
      seed: 1,
      maxNewTokens: 3,
      ignoreEos: true,
    };
    expect(await idsOf(untyped(engine.chat.bind(engine))(HELLO, nulls))).toEqual(right);
    expect(await idsOf(untyped(engine.generate.bind(engine))([5, 6], null))).not.toEqual([]);
  });

  it('ids in typed arrays', async () => {
    const right = await idsOf(engine.generate([5, 6, 7], greedy));
    expect(await idsOf(engine.generate(Uint32Array.of(5, 6, 7) as unknown as number[], greedy))).toEqual(right);
    expect(await engine.detokenize(Int32Array.of(5) as unknown as number[])).toBe(await engine.detokenize([5]));
  });

  it('messages that a framework watches, and further fields of theirs that cannot be sent', async () => {
    const right = await idsOf(engine.chat(HELLO, greedy));
    const watched = new Proxy([new Proxy({ ...HELLO[0], remove: () => {} }, {})], {});
    expect(await idsOf(engine.chat(watched, greedy))).toEqual(right);
  });

  it('messages on a page whose lists and texts have a toJSON', async () => {
    const right = await idsOf(engine.chat(HELLO, greedy));
    const prototypes = [Array.prototype, String.prototype] as unknown as { toJSON?(): string }[];
    for (const prototype of prototypes)
      prototype.toJSON = function () {
        return `[${this}]`;
      };
    try {
      expect(messagesOf(HELLO)).toEqual(HELLO);
      expect(await idsOf(engine.chat(HELLO, greedy))).toEqual(right);
    } finally {
      for (const prototype of prototypes) delete prototype.toJSON;
    }
  });

  it('what JSON says of a message, as JSON says it', () => {
    const shared = { a: 1 };
    const message = {
      at: new Date(0),
      none: undefined,
      remove() {},
      list: [undefined, () => {}, 1],
      shared,
      again: shared,
    };
    expect(plain('m', message)).toEqual(JSON.parse(JSON.stringify(message)));
    const circle: Record<string, unknown> = { role: 'user' };
    circle.self = [circle];
    expect(() => plain('messages', [circle])).toThrow(/messages cannot be sent to the worker: self refers to itself/);
    expect(() => plain('messages', [{ n: 1n }])).toThrow(/n is a BigInt/);
    let deep: unknown[] = [];
    for (let i = 0; i < 100_000; i++) deep = [deep];
    expect(() => plain('messages', deep)).toThrow(NibbleError);
  });

  it('lists and files that a framework watches', async () => {
    const watched = <T extends object>(value: T): T =>
      new Proxy(value, {
        get: (of, name) => {
          const inner = Reflect.get(of, name);
          return typeof inner === 'object' && inner !== null && !(inner instanceof Blob) ? watched(inner) : inner;
        },
      });
    const { result } = engine.chat(HELLO, watched({ ...greedy, stop: ['never said'] }));
    expect((await result).finish).toBe('length');
    const { describeModel } = await import('./model-source');
    const file = new File(['x'], 'm.gguf');
    const model = await describeModel(watched({ name: 'm', files: [{ path: 'm.gguf', file }] }));
    expect(() => structuredClone(model)).not.toThrow();
  });

  it('null over a conversation’s own options leaves them', async () => {
    const talk = engine.conversation({ ...greedy, seed: 7 });
    const nulls = { seed: null, maxNewTokens: undefined } as object;
    expect((await talk.ask('x', nulls).result).options).toMatchObject({ seed: 7, maxNewTokens: 3 });
    await talk.dispose();
  });

  it('what is said is what was said when it was asked', async () => {
    const right = await idsOf(engine.chat(HELLO, greedy));
    const messages = [{ ...HELLO[0] }];
    const answer = engine.chat(messages, greedy);
    messages[0].content = 'x'.repeat(50);
    expect(await idsOf(answer)).toEqual(right);
  });

  it('a File alone, a URL, and an adapter by itself', async () => {
    const file = new File(['x'], 'm.gguf');
    const { describeModel } = await import('./model-source');
    expect(await describeModel(file)).toMatchObject({
      kind: 'files',
      name: 'm.gguf',
      files: [{ path: 'm.gguf', file }],
    });
    expect(await describeModel(new URL('https://a.example/m'))).toEqual({ kind: 'http', base: 'https://a.example/m/' });
    const asked = engine.setLora('org/adapter', { signal: AbortSignal.abort() });
    await expect(asked).rejects.toMatchObject({ code: 'aborted' });
  });
});

describe('after dispose()', () => {
  it('by any of its names, the sentence says what happened', async () => {
    const ends: ((engine: library.Engine) => unknown)[] = [
      (engine) => engine.dispose(),
      (engine) => engine[Symbol.dispose](),
      (engine) => engine[Symbol.asyncDispose](),
    ];
    for (const end of ends) {
      const engine = await load(base, { createWorker });
      const talk = engine.conversation();
      const answer = engine.generate('Hello', { maxNewTokens: 400, ignoreEos: true });
      await end(engine);
      const disposed = { code: 'disposed', message: /dispose\(\).*Load the model again/ };
      await expect(answer.result).rejects.toMatchObject(disposed);
      await expect(engine.chat(HELLO).result).rejects.toMatchObject(disposed);
      await expect(talk.ask('x').result).rejects.toMatchObject(disposed);
      await expect(engine.memory()).rejects.toMatchObject(disposed);
      await talk[Symbol.asyncDispose]();
      end(engine);
    }
  });
});

it('what makes no worker is worker-failed, with the reason', async () => {
  const made = untyped(load)(base, { createWorker: () => undefined });
  await expect(made).rejects.toMatchObject({ code: 'worker-failed', message: /gave no Worker/ });
});

it('an inspection, too, and with `using`', async () => {
  const inspection = await library.openInspection(base, { createWorker });
  inspection[Symbol.dispose]();
  const late = inspection.plan({ promptTokens: 1, maxNewTokens: 1 });
  await expect(late).rejects.toMatchObject({ code: 'disposed', message: /dispose\(\)/ });
});

describe('a question after a stop', () => {
  const long = { maxNewTokens: 100, temperature: 0, ignoreEos: true };
  const short = { ...long, maxNewTokens: 5 };
  /** how it is stopped, and how many messages are kept of it at least */
  const stops: [string, number, (talk: library.Conversation) => Promise<void>][] = [
    [
      'by leaving the loop',
      2,
      async (talk) => {
        for await (const _ of talk.ask('One', long)) break;
      },
    ],
    [
      'by the signal',
      2,
      async (talk) => {
        const stop = new AbortController();
        for await (const _ of talk.ask('One', { ...long, signal: stop.signal })) {
          stop.abort();
          return;
        }
      },
    ],
    ['before it began', 0, async (talk) => void talk.ask('One', { ...long, signal: AbortSignal.abort() })],
  ];

  it.each(stops)('%s waits its turn', async (_, least, stop) => {
    const talk = engine.conversation();
    await stop(talk);
    const second = await talk.ask('Two', short).result;
    // of what was stopped at once a word may have come, and is kept then
    const kept = talk.messages.length - 2;
    expect([least, 2]).toContain(kept);
    expect(talk.messages[kept]).toEqual({ role: 'user', content: 'Two' });
    const fresh = await engine.conversation().chat(talk.messages.slice(0, kept + 1), short).result;
    expect(second.ids).toEqual(fresh.ids);
    await talk.dispose();
  });

  it('one that nobody stopped is in the way, and a stopped one that waits is aborted', async () => {
    const talk = engine.conversation();
    const first = talk.ask('One', short);
    expect(() => talk.ask('Two')).toThrow(/under way/);
    await first.result;
    for await (const _ of talk.ask('Two', long)) break;
    const waiting = new AbortController();
    const third = talk.ask('Three', { ...long, signal: waiting.signal });
    waiting.abort();
    const fourth = talk.ask('Four', short);
    const { finish, text } = await third.result;
    expect(finish).toBe('aborted');
    expect((await fourth.result).finish).toBe('length');
    // what did not come to a word is not kept
    const asked = talk.messages.filter(({ role }) => role === 'user').map(({ content }) => content);
    expect(asked).toEqual(['One', 'Two', ...(text ? ['Three'] : []), 'Four']);
  });
});
