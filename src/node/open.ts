/** MODEL of the command line -> a Source, a checkpoint, or a loaded session. */
import { existsSync, statSync } from 'node:fs';
import { totalmem } from 'node:os';
import { NibbleError } from '../errors';
import { HUB_ID, type ModelInfo, type Progress } from '../protocol';
import { createTokenizer, type Tokenizer } from '../text/tokenizer';
import type { Checkpoint } from '../weights/checkpoint';
import { openCheckpoint } from '../weights/open-checkpoint';
import type { Source, SourceDescription } from '../weights/source';
import { openSource } from '../worker/open-source';
import { createSession, type Session } from '../worker/session';
import { type Arguments, engineOptions } from './arguments';
import { gpuFor } from './dawn';
import { createFolderSource } from './folder-source';
import { log, mib } from './terminal';

/** Headers and tokenizer only. */
export async function openHeaders(model: string): Promise<Checkpoint> {
  const from = await source(locate(model));
  return openCheckpoint(from).catch(async (error) => {
    await from.close?.();
    throw error;
  });
}

/** @throws invalid-option when there is no tokenizer.json */
export async function openTokenizer(model: string): Promise<{ tokenizer: Tokenizer; vocab: number }> {
  const { close, tokenizer: files, config } = await openHeaders(model);
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

/** Loads MODEL into a session with the command's options. */
export async function open(args: Arguments, model: string, local?: Source): Promise<Opened> {
  const gpu = await gpuFor(args.text('backend'), args.text('gpu'));
  const session = createSession({
    gpu,
    machine: MACHINE,
    openSource: (description, onBytes) => local ?? source(description, onBytes),
    openStore: async () => ({ store: null, reason: 'The command line keeps no copy of what it downloads.' }),
  });
  const description: SourceDescription = local ? { kind: 'files', name: model, files: [] } : locate(model);
  const lora = args.list('lora').map((adapter) => ({ source: locate(adapter), scale: 1 }));
  const stop = new AbortController();
  const interrupted = () => stop.abort();
  process.once('SIGINT', interrupted);
  const id = nextId();
  stop.signal.addEventListener('abort', () => void session.cancel(id));
  let phase = '';
  const progress = (now: Progress) => {
    if (now.phase === phase) return;
    phase = now.phase;
    log(args, `${now.phase}${now.totalBytes ? `, ${mib(now.totalBytes)}` : ''}`);
  };
  try {
    const info = await session.load(
      { id, source: description, options: engineOptions(args), lora },
      { postMessage: progress },
    );
    for (const { name, modules, ranks, scalings } of info.lora) {
      log(args, `${name}: ${modules} modules, rank ${ranks.join(', ')}, scaling ${scalings.join(', ')}`);
    }
    log(args, `${info.backend}: ${info.backendReason}${info.adapter ? ` ${JSON.stringify(info.adapter)}` : ''}`);
    return { session, info };
  } finally {
    process.removeListener('SIGINT', interrupted);
  }
}
