/**
 * Whether a checkpoint's head is its embedding. What is in the files counts, as for transformers: config.json may say
 * that they are one, and where both are there and differ, both are used; where one is there, it is both.
 */
import { EMBEDDING } from '../model/decoder';
import { HEAD } from '../model/head';
import { isObject, type JsonObject } from './json';
import type { ByteRange, FileLayout, ReadBytes, TensorRecord } from './layout';
import { plainName } from './names';
import type { RawTensor } from './safetensors';

const OWN_HEAD =
  'config.json says that the head is the embedding (tie_word_embeddings), but the checkpoint has a head of its own ' +
  '(lm_head.weight), which differs: it is used, as transformers does.';

/**
 * The layout, whose config says that they are one, with a config that says what the tensors say. Of both a megabyte is
 * read at most, where they may differ.
 */
export async function settleHead(layout: FileLayout, read: ReadBytes): Promise<FileLayout> {
  const { records, config } = layout;
  const [embedding, head] = [records.get(EMBEDDING), records.get(HEAD)];
  if (!head) return layout;
  if (!embedding) {
    const both: TensorRecord = { ...head, info: { ...head.info, name: EMBEDDING } };
    return { ...layout, records: new Map(records).set(EMBEDDING, both) };
  }
  const kind = ({ encoding, info: { rows, cols } }: TensorRecord) => JSON.stringify([encoding, rows, cols]);
  const ranges = ({ statistics, data }: TensorRecord) => [data, ...statistics];
  if (kind(embedding) === kind(head) && (await sameBytes(ranges(embedding), ranges(head), read))) return layout;
  return { ...layout, ...untied(config) };
}

/** Whether weight files hold a head that differs from their embedding: of raw entries, by any name. */
export async function hasOwnHead(tensors: Map<string, RawTensor>, read: ReadBytes): Promise<boolean> {
  const [embedding, head] = [EMBEDDING, HEAD].map((name) => [...tensors].find(([key]) => plainName(key) === name)?.[1]);
  if (!embedding || !head) return false;
  const same = embedding.dtype === head.dtype && String(embedding.shape) === String(head.shape);
  return !same || !(await sameBytes([embedding], [head], read));
}

/** What to say of a checkpoint whose head is its own, though its config says otherwise. */
export function untied(config: JsonObject): { config: JsonObject; notes: string[] } {
  const own = { tie_word_embeddings: false };
  const text = config.text_config;
  return {
    config: { ...config, ...own, ...(isObject(text) && { text_config: { ...text, ...own } }) },
    notes: [OWN_HEAD],
  };
}

const PIECE_BYTES = 16 << 10;
/** places looked at: a trained head differs nearly everywhere, and a copy nowhere */
const PLACES = 64;
const AT_ONCE = 8;

/** Compares two tensors' bytes: all of a small one, else pieces from the first byte to the last. */
export async function sameBytes(a: ByteRange[], b: ByteRange[], read: ReadBytes): Promise<boolean> {
  const pieces = a.flatMap(({ start, end }, part) => {
    const last = end - start - PIECE_BYTES;
    const count = Math.min(PLACES, Math.ceil((end - start) / PIECE_BYTES));
    return Array.from({ length: count }, (_, i) => {
      const at = Math.max(0, Math.round((last * i) / Math.max(1, count - 1)));
      return { part, at, bytes: Math.min(PIECE_BYTES, end - start) };
    });
  });
  const piece = async ([range]: ByteRange[], at: number, bytes: number) =>
    read(range.path, range.start + at, range.start + at + bytes);
  // mostly the first piece tells
  for (let from = 0; from < pieces.length; from += from ? AT_ONCE : 1) {
    const same = await Promise.all(
      pieces.slice(from, from + (from ? AT_ONCE : 1)).map(async ({ part, at, bytes }) => {
        const [one, other] = await Promise.all([piece([a[part]], at, bytes), piece([b[part]], at, bytes)]);
        return one.every((byte, i) => byte === other[i]);
      }),
    );
    if (!same.every(Boolean)) return false;
  }
  return true;
}
