/** The tiny model with a tokenizer, for tests of the runtime. */
import { readdirSync, readFileSync } from 'node:fs';
import type { EngineOptions, GenerateRequest, Progress, TokenMessage } from '../../protocol';
import { createMemorySource } from '../../sources/memory-source';
import type { Source } from '../../sources/source';
import type { ModelStore } from '../../store/chunk-store';
import type { Host } from '../host';
import type { Session } from '../session';

const FOLDER = 'reference/fixtures/tiny-llama-128/nf4/';
export const read = (name: string): Buffer => readFileSync(FOLDER + name);
export const fixture = (folder = FOLDER) =>
  new Map(readdirSync(folder).map((name): [string, Uint8Array] => [name, new Uint8Array(readFileSync(folder + name))]));

export interface Chat {
  messages: { role: 'user' | 'assistant' | 'system'; content: string }[];
  prompt: string;
  ids: number[];
  greedy: number[];
  margins: number[];
}
export const chats: Chat[] = JSON.parse(read('chat.json').toString());
const { logitScale } = JSON.parse(read('expected.json').toString());

/** Ids up to the first step whose choice rounding may change. */
export function certain({ greedy, margins }: Chat): number[] {
  const close = margins.findIndex((margin) => margin < 1e-2 * logitScale);
  return greedy.slice(0, close < 0 ? greedy.length : close);
}

interface Ground {
  files?: Map<string, Uint8Array>;
  store?: ModelStore | null;
  requests?: { count: number };
  gpu?: GPU | null;
}

export function host({ files = fixture(), store = null, requests = { count: 0 }, gpu = null }: Ground = {}): Host {
  return {
    gpu,
    openStore: async () => ({ store, reason: store ? '' : 'nothing is kept here' }),
    openSource: (): Source => {
      const memory = createMemorySource('tiny', files);
      const counting =
        <A extends unknown[], R>(call: (...all: A) => R) =>
        (...all: A) => {
          requests.count++;
          return call(...all);
        };
      return { ...memory, size: counting(memory.size), read: counting(memory.read) };
    },
  };
}

let id = 0;

/** On the GPU, with the kernels that SwiftShader compiles soonest. */
export const SMALL = { backend: 'webgpu', tune: 'small' } as const;

export async function load(session: Session, options: EngineOptions = {}) {
  const progress: Progress[] = [];
  const source = { kind: 'http', base: 'http://unused/' } as const;
  const port = { postMessage: (message: Progress) => void progress.push(message) };
  return { info: await session.load({ id: ++id, source, options }, port), progress };
}

export async function ask(
  session: Session,
  input: GenerateRequest['input'],
  options: GenerateRequest['options'] = {},
  made: number[] = [],
) {
  const messages: TokenMessage[] = [];
  const port = { postMessage: (message: TokenMessage) => void messages.push(message) };
  return { result: await session.generate({ id: ++id, input, options, made }, port), messages };
}
