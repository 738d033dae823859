/**
 * nibble serve: a model for programs that speak OpenAI's or Anthropic's API. It answers in a thread, as the library has
 * it, so that the server hears who asks and who leaves while the model computes.
 */
import { isIP } from 'node:net';
import { withoutSecrets } from '../../errors';
import { SERVE_OPTIONS, type ServeOptions } from '../../options/serve';
import { defaultsOf } from '../../options/spec';
import { createMessagesFetch } from '../../shapes/anthropic';
import { createFetch } from '../../shapes/openai';
import { modelKey } from '../../store/stored-source';
import { type Arguments, engineOptions, invalid } from '../arguments';
import { gpuFor } from '../dawn';
import { type Engine, load, type StoredModel, storedModels } from '../index';
import { locate } from '../locate';
import { hubOptions, progressOf, tellLoaded } from '../open';
import { createGuard } from '../serve/guard';
import { observed } from '../serve/observed';
import { startServer } from '../serve/server';
import { COMMAND, log, print, tell } from '../terminal';
import { createThread } from '../thread';

const LOOPBACK = '127.0.0.1';
const KEY = 'NIBBLE_API_KEY';

/** MODEL, or the one of the cache folder that was used last. */
async function modelOf(args: Arguments): Promise<string> {
  const [given] = args.positionals;
  if (given !== undefined) return given;
  // by their names alone: what a load of them would find
  const found = ({ complete, key, name }: StoredModel) => {
    const revision = locate(name).kind === 'hub' ? (args.text('revision') ?? 'main') : null;
    return complete && key === modelKey({ name, revision });
  };
  const kept = (await storedModels()).find(found);
  if (!kept) throw invalid('MODEL', undefined, `${COMMAND} serve needs MODEL: no model is kept in the cache folder.`);
  tell(`No MODEL was named: it is ${kept.name}, the one that was used last.`);
  return kept.name;
}

/** The model in a thread of its own. Ctrl-C stops the load. */
async function open(args: Arguments, model: string): Promise<Engine> {
  const backend = args.text('backend');
  // fails in the command's own words, and may start it over where there is no graphics driver
  if (backend === 'webgpu') await gpuFor(backend, args.text('gpu'));
  const { signal, gently } = args.interrupt;
  const loading = () =>
    load(model, {
      ...engineOptions(args),
      ...hubOptions(args, model, args.text('revision')),
      lora: args.list('lora').map((adapter) => ({ adapter, ...hubOptions(args, adapter) })),
      createWorker: () => createThread(undefined, { adapter: args.text('gpu') }),
      onProgress: progressOf(args),
      signal,
    });
  const engine = await gently(loading);
  tellLoaded(args, await engine.info(), locate(model).kind === 'files');
  return engine;
}

/** The last part of a path or an address, which is shorter to ask for. */
const shortName = (name: string): string =>
  name
    .replace(/[\\/]+$/, '')
    .split(/[\\/]/)
    .at(-1)!;

export async function serve(args: Arguments): Promise<void> {
  const given = args.options<ServeOptions>(SERVE_OPTIONS);
  const {
    port,
    parallel,
    maxBody,
    host = [],
    cors = [],
    alias = [],
    apiKey,
  } = { ...defaultsOf(SERVE_OPTIONS), ...given };
  const key = apiKey ?? (process.env[KEY] || null);
  const addresses = host.filter((name) => isIP(name) > 0);
  if (addresses.length > 1) {
    const text = `--host may name one address to listen on, not ${addresses.join(' and ')}; 0.0.0.0 is all of them.`;
    throw invalid('host', addresses[1], text);
  }
  const [address = LOOPBACK] = addresses;
  const guard = createGuard(host, cors, key);
  const model = await modelOf(args);
  // before a model is loaded for nothing: the port may be taken
  const server = await startServer({ address, port, guard, parallel, maxBody, log: (line) => log(args, line) });
  const { signal, gently } = args.interrupt;
  const ended = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  // how service managers and containers say it
  process.on('SIGTERM', args.interrupt.stop);
  let engine: Engine | null = null;
  try {
    engine = await open(args, model);
    const info = await engine.info();
    const name = withoutSecrets(info.name);
    const named = { parallel, model: name, aliases: alias.includes('*') ? () => true : [shortName(name), ...alias] };
    const counted = observed(engine, server.metrics);
    server.ready({
      shapes: { anthropic: createMessagesFetch(counted, named), openai: createFetch(counted, named) },
      memory: () => engine!.memory(),
    });
    if (address !== LOOPBACK && key === null) {
      tell(`Whoever reaches ${address} may ask: --api-key or ${KEY} would ask for a key.`);
    }
    const told = { url: server.url, model: name, backend: info.backend, parallel };
    await print(args, told, () =>
      [
        `${name} on ${info.backend}, ${parallel} at once. Ctrl-C ends it when running answers are done.`,
        `OpenAI:    ${server.url}/v1`,
        `Anthropic: ${server.url}`,
      ].join('\n'),
    );
    await gently(async () => {
      await ended;
      await server.close();
    });
  } finally {
    process.removeListener('SIGTERM', args.interrupt.stop);
    await server.close();
    engine?.dispose();
  }
}
