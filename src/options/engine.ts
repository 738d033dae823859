/** The options of a loaded model: EngineOptions in protocol.ts says what each is for at length. */
import type { EngineOptions } from '../protocol';
import type { Spec, Specs } from './spec';

export const ENGINE_OPTIONS = {
  backend: { type: 'choice', of: ['auto', 'webgpu', 'cpu'], default: 'auto', says: 'What computes.' },
  weights: {
    type: 'choice',
    of: ['keep', 'nf4', 'q8', 'f16', 'f32'],
    default: 'keep',
    planned: true,
    says: 'How weights are held: keep leaves 8 bits and fewer as they are stored, and makes NF4 of 16 and 32 bits.',
  },
  keep: {
    type: 'texts',
    only: 'cli',
    says: 'Parts of tensor names, such as lm_head, that stay as they are stored, whatever weights says.',
  },
  kv: {
    type: 'choice',
    of: ['f16', 'f32', 'int8'],
    default: 'f16',
    planned: true,
    says: 'How keys and values are held.',
  },
  activations: {
    type: 'choice',
    of: ['auto', 'f32', 'int8'],
    default: 'auto',
    says: 'How the inputs of products are held: f32 as they are computed, int8 on a GPU in 8 bits for prompts, where that is faster; auto rounds to 16 bits where that is faster.',
  },
  kvCapacity: {
    type: 'number',
    least: 1,
    whole: true,
    words: ['auto', 'full'],
    default: 'auto',
    planned: true,
    says: 'Positions of the KV cache: auto is as many as the conversation needs, full the whole context.',
  },
  maxContext: {
    type: 'number',
    least: 1,
    whole: true,
    planned: true,
    says: "Positions that a conversation may take, where that is less than the model's context.",
  },
  memoryBudget: {
    type: 'number',
    least: 1,
    whole: true,
    flag: 'budget',
    planned: true,
    says: 'Bytes that are never exceeded.',
  },
  snapshots: {
    type: 'number',
    least: 0,
    // each is many buffers, and a plan lists them all
    most: 64,
    whole: true,
    default: 0,
    planned: true,
    says: 'Copies of sliding layers at the ends of prompts, so that a long answer can be given again at once.',
  },
  chunk: {
    type: 'number',
    least: 1,
    whole: true,
    words: ['auto'],
    default: 'auto',
    planned: true,
    says: 'Tokens of a prompt that are read at once.',
  },
  threads: {
    type: 'number',
    least: 1,
    most: 64,
    whole: true,
    words: ['auto'],
    default: 'auto',
    says: 'Threads that compute on the CPU: auto is as many as help, where the page may share memory.',
  },
  chatTemplate: {
    type: 'text',
    only: 'cli',
    file: true,
    says: "A chat template to use in the place of the model's own.",
  },
  tune: {
    type: 'text',
    default: 'auto',
    says: 'Which kernels run on a real GPU: with auto they are checked at each load, and the fastest for this model and device found while weights arrive; off takes what suits the kind of device, unchecked.',
  },
  limits: {
    type: 'choice',
    of: ['adapter', 'default'],
    default: 'adapter',
    says: "WebGPU's limits: what the adapter has, or the defaults that every device has.",
  },
  features: {
    type: 'choice',
    of: ['all', 'none'],
    default: 'all',
    says: 'Optional WebGPU features: those that the adapter has, or none.',
  },
  storage: {
    type: 'choice',
    of: ['indexeddb', 'if-room', 'none'],
    default: 'indexeddb',
    only: 'page',
    says: 'Whether the model is kept for the next visit: always, only while there is room, or never.',
  },
  persist: {
    type: 'flag',
    default: false,
    only: 'code',
    says: 'Asks the browser not to evict what is kept.',
  },
} as const satisfies Specs<EngineOptions>;

/** Those that plan() may suppose otherwise. */
export const plannedOptions = (): Record<string, Spec> =>
  Object.fromEntries(Object.entries<Spec>(ENGINE_OPTIONS).filter(([, { planned }]) => planned));
