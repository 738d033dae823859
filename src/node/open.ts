/** MODEL of the command line -> a checkpoint, or a loaded session. */

import type { Checkpoint } from '../checkpoint/checkpoint';
import { openCheckpoint } from '../checkpoint/open-checkpoint';
import type { HubOptions } from '../engine/hub-options';
import { NibbleError } from '../errors';
import type { ModelInfo, Progress } from '../protocol';
import { createSession, type Session } from '../runtime/session';
import type { Source } from '../sources/source';
import { lockDownload, lockUse } from '../store/locks';
import { modelKey, openStored } from '../store/stored-source';
import { createTokenizer, type Tokenizer } from '../text/tokenizer';
import { type Arguments, engineOptions } from './arguments';
import { gpuFor } from './dawn';
import { nodeHost, openAnySource } from './host';
import { locate } from './locate';
import { log, mib, status, tell } from './terminal';

/** What the command says of the Hub, for what it names. @param revision of MODEL, not of its adapters */
export function hubOptions(args: Arguments, model: string, revision?: string): HubOptions {
  const isOfHub = (each: string) => locate(each).kind === 'hub';
  // what none of them can be meant by is refused, as --revision is
  const none = ![args.positionals[0] ?? model, ...args.list('lora')].some(isOfHub);
  return { revision, hub: none || isOfHub(model) ? args.text('hub') : undefined };
}

/** Where what the command names is. */
const described = (args: Arguments, model: string, revision?: string) =>
  locate(model, hubOptions(args, model, revision));

/** A checkpoint with the place that its other files are read from. */
export interface OpenedHeaders extends Checkpoint {
  source: Source;
}

/**
 * Headers and tokenizer only.
 * @param keep what is read of a model from elsewhere is kept for the next time; else what is kept is only looked at
 */
export async function openHeaders(args: Arguments, model: string, keep = false): Promise<OpenedHeaders> {
  const description = described(args, model, args.text('revision'));
  const releases: (() => void)[] = [];
  const { signal } = args.interrupt;
  let source = await openAnySource(description);
  const close = async () => {
    await source.close?.();
    for (const release of releases) release();
  };
  try {
    if (description.kind !== 'files' && !args.flag('no-cache')) {
      const { store } = await nodeHost(null).openStore();
      const key = modelKey(source);
      releases.push(await lockUse(key, signal));
      const record = await store?.ledger.get(key);
      const waits = () => tell(`Another program downloads ${source.name}: waiting for it …`);
      if (keep && !record?.complete) releases.push(await lockDownload(key, signal, waits));
      if (store && (keep || record?.complete)) source = await openStored(source, store);
    }
    return { ...(await openCheckpoint(source)), source, close: () => void close() };
  } catch (error) {
    await close();
    throw error;
  }
}

/** @throws invalid-option when there is no tokenizer.json */
export async function openTokenizer(args: Arguments, model: string): Promise<{ tokenizer: Tokenizer; vocab: number }> {
  const { source, tokenizer: files, config, close } = await openHeaders(args, model, true);
  await source.close?.();
  close();
  if (files) {
    const tokenizer = createTokenizer(files.json, files.config);
    // a model may have rows for more ids than its tokenizer has tokens
    return { tokenizer, vocab: Math.max(tokenizer.vocabSize, Number(config.vocab_size) || 0) };
  }
  throw new NibbleError('invalid-option', `${model} has no tokenizer.json.`, { model });
}

let requests = 0;
export const nextId = (): number => ++requests;

export interface Opened {
  session: Session;
  info: ModelInfo;
}

/** What a person who waits sees. */
function statusOf({ phase, loadedBytes, totalBytes, secondsLeft, note }: Progress): string {
  if (note) return note;
  if (!totalBytes || phase === 'header') return `${phase} …`;
  const left = secondsLeft === null ? '' : `, ${Math.ceil(secondsLeft)} s`;
  return `${phase} ${Math.floor((100 * loadedBytes) / totalBytes)} % of ${mib(totalBytes)}${left}`;
}

/** Tells a person who waits how far loading has come. */
export function progressOf(args: Arguments): (now: Progress) => void {
  let phase = '';
  return (now) => {
    status(now.phase === 'ready' ? '' : statusOf(now));
    if (now.phase === phase) return;
    phase = now.phase;
    log(args, `${now.phase}${now.totalBytes ? `, ${mib(now.totalBytes)}` : ''}`);
  };
}

/** Tells what is to be known of a model that was loaded. @param local it lies here, and is not to be kept */
export function tellLoaded(args: Arguments, info: ModelInfo, local: boolean): void {
  for (const note of info.notes) log(args, note);
  for (const { name, modules, ranks, scalings } of info.lora) {
    log(args, `${name}: ${modules} modules, rank ${ranks.join(', ')}, scaling ${scalings.join(', ')}`);
  }
  log(args, `${info.backend}: ${info.backendReason}${info.adapter ? ` ${JSON.stringify(info.adapter)}` : ''}`);
  if (info.storageReason && !local && !args.flag('no-cache')) tell(info.storageReason);
}

/** Loads MODEL into a session with the command's options. Ctrl-C stops it, and what is here stays kept. */
export async function open(args: Arguments, model: string, local?: Source): Promise<Opened> {
  const gpu = await gpuFor(args.text('backend'), args.text('gpu'));
  const host = nodeHost(gpu);
  const session = createSession(local ? { ...host, openSource: () => local } : host);
  const source = local
    ? { kind: 'files' as const, name: model, files: [] }
    : described(args, model, args.text('revision'));
  const lora = args.list('lora').map((adapter) => ({ source: described(args, adapter), scale: 1 }));
  const id = nextId();
  const stop = () => void session.cancel(id);
  const { signal, gently } = args.interrupt;
  signal.addEventListener('abort', stop);
  try {
    const loading = () =>
      session.load({ id, source, options: engineOptions(args), lora }, { postMessage: progressOf(args) });
    const info = await gently(loading);
    tellLoaded(args, info, source.kind === 'files');
    return { session, info };
  } catch (error) {
    status('');
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
