/**
 * What the GPU's executor needs beside weights, rings and activations: names and bytes of its buffers, and the
 * constants that these sizes and the kernels both follow from. An operation that needs a buffer of its own has its line
 * here; cpu-scratch.ts is the same for the CPU. Pure.
 */
import type { ModelSpec, Rope } from '../model/spec';
import { CHUNK_COLUMNS, roundUp, wholeChunks } from './layout';

/**
 * The most parts that decode attention splits a context into, as a GPU of a hundred cores can use: 256 workgroups of a
 * layer, where its KV heads make as many of 16 to 64 parts.
 */
export const maxSplits = ({ kvHeads }: Pick<ModelSpec, 'kvHeads'>): number =>
  Math.min(64, Math.max(16, Math.ceil(256 / kvHeads)));

/** Where in `partials` the number of parts is, behind their sums and two statistics of each head, in words. */
export const partialsCount = ({ heads, headSize }: Pick<ModelSpec, 'heads' | 'headSize'>, splits: number): number =>
  splits * wholeChunks(heads * headSize) + roundUp(2 * splits * heads, 4);

/** What the offset of a binding is a multiple of, bytes: the largest that WebGPU's default limits allow. */
export const BINDING_OFFSET = 256;

/** Sampled ids are kept in a ring of this many on the GPU. */
export const ID_RING = 64;
/** The most workgroups of the sampler's passes over the vocabulary, each with a maximum and its id. */
export const SAMPLE_GROUPS = 256;
/**
 * Places in the buffer `kept`, where the sampler finds what stays of the vocabulary (shaders/lib/kept.wgsl), words:
 * what three passes on end found, a histogram or four sums of each workgroup, then what was kept before each of them.
 */
const KEEP_BINS = 2048;
export const KEPT = {
  bins: KEEP_BINS,
  slots: 3 * KEEP_BINS,
  slotWords: 12,
  words: 3 * (KEEP_BINS + 12),
} as const;
/**
 * Words of the buffer `state`: of a pass the first two, of the sampler all (shaders/sample-pick.wgsl). When an id of
 * `stops` was drawn, `tokens` is 0 until the host begins something else: passes that were encoded ahead do nothing.
 * `row` is where the tokens begin in a pass of several answers, or texts, each with a state of its own.
 */
export const STATE = {
  position: 0,
  tokens: 1,
  step: 2,
  written: 3,
  request: 4,
  edits: 23,
  passes: 24,
  stops: 32,
  row: 40,
} as const;
/** What of a request the sampler's shaders read, from STATE.request on, and how each word is read; 0: off. */
export const REQUEST_WORDS = {
  temperature: 'f32',
  topK: 'u32',
  topP: 'f32',
  seed: 'u32',
  dynatempRange: 'f32',
  dynatempExponent: 'f32',
  topNSigma: 'f32',
  topH: 'f32',
  minP: 'f32',
  typicalP: 'f32',
  xtcProbability: 'f32',
  xtcThreshold: 'f32',
  epsilonCutoff: 'f32',
  etaCutoff: 'f32',
  repetitionPenalty: 'f32',
  presencePenalty: 'f32',
  frequencyPenalty: 'f32',
  repeatLastN: 'u32',
  logprobs: 'u32',
} as const;
/** The most passes that find what is kept: a byte each from STATE.passes on, behind them how many there are. */
export const MOST_PASSES = 28;
/** So many of the ids that end an answer does the sampler know; more of them only the host does. */
export const STOP_WORDS = 8;
/** How many words `state` has. */
export const STATE_WORDS = 44;

/** The words of `state` in a pass that nothing is drawn in. */
export function stateWords(position: number, tokens: number, row = 0): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(STATE_WORDS);
  words[STATE.position] = position;
  words[STATE.tokens] = tokens;
  words[STATE.row] = row;
  return words;
}

/** What is in effect where a request does not say it; 0 for all others. */
const REQUEST_DEFAULTS: Partial<Record<keyof typeof REQUEST_WORDS, number>> = {
  dynatempExponent: 1,
  xtcThreshold: 0.1,
};

/** The words of a request in `state`. */
export function requestWords(
  request: Readonly<Partial<Record<keyof typeof REQUEST_WORDS, number>>>,
): Uint32Array<ArrayBuffer> {
  const names = Object.keys(REQUEST_WORDS) as (keyof typeof REQUEST_WORDS)[];
  const words = new Uint32Array(names.length);
  const floats = new Float32Array(words.buffer);
  names.forEach((name, i) => {
    (REQUEST_WORDS[name] === 'f32' ? floats : words)[i] = request[name] ?? REQUEST_DEFAULTS[name] ?? 0;
  });
  return words;
}

/** The words of the passes that find what is kept (execute/sampler/links.ts), a byte each, then their number. */
export function passWords(passes: readonly number[]): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(MOST_PASSES / 4 + 1);
  new Uint8Array(words.buffer).set(passes);
  words[MOST_PASSES / 4] = passes.length;
  return words;
}

/** The words of the ids that end an answer; where there are fewer, ids that no vocabulary has. */
export const stopWords = (ids: readonly number[]): Uint32Array<ArrayBuffer> =>
  Uint32Array.from({ length: STOP_WORDS }, (_, i) => ids[i] ?? 0xffffffff);

/**
 * The buffer of what the sampler knows of each token (shaders/sample-adjust.wgsl), in words: how often it came, its
 * bias, a mask, then the ids of the window in which the repetition penalty counts, as a ring.
 */
export const TOKENS = 'tokens';
/** The most ids that the repetition penalty may look back on, where it does not count all. */
export const REPEAT_RING = 4096;
/** The buffer of the logits that it makes of that. */
export const ADJUSTED = 'logits.adjusted';
/** The buffer of what is taken from single logits before one draw: pairs of an id and a number. */
export const EDITS = 'edits';
/** The most of them. */
export const MOST_EDITS = 4096;
/** Where in `tokens` something begins, words. */
export const tokenPlaces = (vocab: number) => {
  const ring = 2 * vocab + Math.ceil(vocab / 32);
  return { bias: vocab, mask: 2 * vocab, ring, words: ring + REPEAT_RING };
};
/** Buffers by name, bytes, that are there where a request changes the logits of single tokens. */
export const tokenBuffers = (vocab: number): [name: string, bytes: number][] => [
  [TOKENS, roundUp(tokenPlaces(vocab).words, 4) * 4],
  [ADJUSTED, vocab * 4],
  [EDITS, MOST_EDITS * 8],
];

/** The most alternatives that are told beside the token that was drawn. */
const MOST_ALTERNATIVES = 20;
/** Words of what is told of one draw: the log-probability of what was drawn, then ids and log-probabilities. */
export const LOGPROB_WORDS = 2 + 2 * MOST_ALTERNATIVES;
/** The buffer of that, a ring as long as that of the ids, and what workgroups found of their parts. */
export const LOGPROBS = 'logprobs';
export const LOGPROB_PARTS = 'logprobs.parts';
/** Buffers by name, bytes, that are there where a request asks for log-probabilities. */
export const LOGPROB_BUFFERS: readonly [name: string, bytes: number][] = [
  [LOGPROBS, ID_RING * LOGPROB_WORDS * 4],
  [LOGPROB_PARTS, SAMPLE_GROUPS * LOGPROB_WORDS * 4],
];

/** The buffer of pooled hidden states: rows of the model's width, then the first position that counts (pool.wgsl). */
export const POOLED = 'pooled';
export const POOLED_ROWS = 5;
/** The buffer of the ids of a pass that are asked about, and then of how likely each was (score-pick.wgsl). */
export const SCORES = 'scores';

/** The most steps that are encoded ahead of the id that the caller waits for (execute/gpu/steps-ahead.ts). */
export const MOST_AHEAD = 64;
/** The most ids that come back at once. */
export const IDS_AT_ONCE = 8;
/** Words that come back at once: so many ids, or one and what is told of it. */
const READBACK_WORDS = roundUp(Math.max(IDS_AT_ONCE, 1 + LOGPROB_WORDS), 4);
/** Buffers by which they come back: so many reads hold MOST_AHEAD steps, of which the first are read singly. */
export const ID_READBACKS = 24;
/** The buffer of a read, by its number; it takes the one that the read waited for before it has left. */
export const idReadback = (read: number): string => `readback.${read % ID_READBACKS}`;
/** The buffer through which all is read but sampled ids (logits, caches, norms, biases), piece by piece. */
export const READBACK = 'readback.piece';
/** Its bytes, at most: more would be there in every plan for what few ask, less would take more round trips. */
const READBACK_BYTES = 256 << 10;
/** Whether a buffer is mapped for reading: no kernel can use it. */
export const isReadback = (name: string): boolean => name.startsWith('readback.');

/** The rotary embeddings of a model, each once (Gemma 3 has two). */
export function distinctRopes(spec: Pick<ModelSpec, 'layers'>): Rope[] {
  const seen = new Map<string, Rope>();
  // layers share the objects: each is read once
  for (const rope of new Set(spec.layers.map(({ rope }) => rope))) if (rope) seen.set(JSON.stringify(rope), rope);
  return [...seen.values()];
}

/** The buffer of a rotary embedding's frequencies. */
export function ropeBuffer(spec: Pick<ModelSpec, 'layers'>, rope: Rope): string {
  const text = JSON.stringify(rope);
  return `rope.${distinctRopes(spec).findIndex((one) => JSON.stringify(one) === text)}`;
}

/** Buffers by name, bytes, for passes of at most `chunk` tokens. */
export const gpuScratch = (spec: ModelSpec, chunk: number): [name: string, bytes: number][] => [
  ...distinctRopes(spec).map((rope): [string, number] => [ropeBuffer(spec, rope), roundUp(rope.dim / 2, 4) * 4]),
  ['partials', (partialsCount(spec, maxSplits(spec)) + 4) * 4],
  ['state', STATE_WORDS * 4],
  ['ids', Math.max(chunk, 4) * 4],
  ['sampled', ID_RING * 4],
  ['maxima', SAMPLE_GROUPS * 8],
  ['winners', SAMPLE_GROUPS * 8],
  ['kept', KEPT.words * 4],
  [POOLED, (POOLED_ROWS * spec.width + 4) * 4],
  [SCORES, Math.max(chunk, 4) * 4],
  ...Array.from({ length: ID_READBACKS }, (_, read): [string, number] => [idReadback(read), READBACK_WORDS * 4]),
  [READBACK, Math.min(READBACK_BYTES, spec.vocab * 4)],
];

/** The buffer of the logits of answers that are decoded together: rows of so many values, where bindings may begin. */
export const STREAM_LOGITS = 'streams.logits';
export const logitsStride = (vocab: number): number => roundUp(vocab, BINDING_OFFSET / 4);
/** A buffer that each of them has for itself. */
export const streamBuffer = (name: string, stream: number): string => `stream.${stream}.${name}`;
/** Buffers by which their ids come back, with what is told of each: those of one step in each. */
export const STREAM_READBACKS = 8;
export const streamReadback = (read: number): string => `readback.streams.${read % STREAM_READBACKS}`;
/** A buffer that each text of a pass has for itself. */
export const textBuffer = (name: string, text: number): string => `text.${text}.${name}`;

/** The buffers of these names, and of rotary frequencies, once for each of `count`. */
function ownBuffers(
  spec: ModelSpec,
  count: number,
  names: readonly string[],
  nameOf: (name: string, one: number) => string,
): [name: string, bytes: number][] {
  const own = new Set([...names, ...distinctRopes(spec).map((rope) => ropeBuffer(spec, rope))]);
  const each = gpuScratch(spec, 1).filter(([name]) => own.has(name));
  return Array.from({ length: count }, (_, one) =>
    each.map(([name, bytes]): [string, number] => [nameOf(name, one), bytes]),
  ).flat();
}

/** Buffers by name, bytes, that are there once so many texts have been read in one pass. */
export const textBuffers = (spec: ModelSpec, texts: number): [name: string, bytes: number][] =>
  ownBuffers(spec, texts, ['state', POOLED], textBuffer);

/** Buffers by name, bytes, that are there while so many answers may be decoded together. */
export function streamBuffers(spec: ModelSpec, streams: number): [name: string, bytes: number][] {
  const readback = roundUp(streams * (1 + LOGPROB_WORDS), 4) * 4;
  return [
    [STREAM_LOGITS, streams * logitsStride(spec.vocab) * 4],
    ...ownBuffers(spec, streams, ['partials', 'state', 'sampled'], streamBuffer),
    ...Array.from({ length: STREAM_READBACKS }, (_, n): [string, number] => [streamReadback(n), readback]),
  ];
}

/** The buffer of a product's input in int8 (shaders/int8-rows.wgsl), and its words of 16 bytes a chunk of columns. */
export const INT8_BUFFER = 'int8';
export const INT8_WORDS = 3;
/** Bytes of that, for passes of at most so many tokens and products of at most so many columns. */
export const int8Bytes = (chunk: number, columns: number): number =>
  (chunk * wholeChunks(columns) * INT8_WORDS * 16) / CHUNK_COLUMNS;

/** Stored bytes that one upload slice holds at most, and what its scales and offsets then take at most. */
export const SLICE_BYTES = 4 << 20;
export const SLICE_SCALE_BYTES = 1 << 20;

/** What the tuner's small products read and write (execute/gpu/tune). */
export const TUNE_IN = 'tune.in';
export const TUNE_OUT = 'tune.out';
/** What lies between two of their dispatches: an input in int8. */
export const TUNE_BETWEEN = 'tune.between';

/** Buffers that weights come through, and those in which kernels are tried meanwhile. */
export const loadingBuffers = (int8: boolean): [name: string, bytes: number][] => [
  ...(int8 ? ([[TUNE_BETWEEN, 48 << 10]] satisfies [string, number][]) : []),
  [TUNE_IN, 224 << 10],
  [TUNE_OUT, 224 << 10],
  ['upload.jobs', 3 * BINDING_OFFSET],
  ['upload.codes', SLICE_BYTES],
  ['upload.scales', SLICE_SCALE_BYTES],
  ['upload.offsets', SLICE_SCALE_BYTES],
];
