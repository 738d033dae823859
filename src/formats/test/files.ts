/** For tests: files on disk or in memory as the readers of layout.ts. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openSafetensorsFolder } from '../folder';
import { openGguf } from '../gguf';
import type { ByteRange, FileLayout } from '../layout';
import type { RowSlice } from '../matrix';
import { sliceValues, tensorRows } from '../rows';

export const root = fileURLToPath(new URL('../../../', import.meta.url));
export const fixture = (path: string) => `${root}reference/fixtures/${path}`;
export const readJson = (path: string) => JSON.parse(readFileSync(path, 'utf8'));

export type Files = Record<string, Uint8Array>;

/** Readers over files in memory that log what is read. */
export function inMemory(files: Files) {
  const log: ByteRange[] = [];
  return {
    log,
    size: async (path: string) => files[path]?.length ?? null,
    read: async (path: string, start: number, end: number) => {
      log.push({ path, start, end });
      if (!(start >= 0 && start <= end && end <= files[path].length)) throw new RangeError(`${path} ${start} ${end}`);
      return files[path].slice(start, end);
    },
  };
}

const NAMES = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'chat_template.jinja',
];

/** The files of a model folder, in memory. */
export function loadFolder(folder: string): Files {
  const names = [...NAMES, 'model.safetensors', 'model.safetensors.index.json'];
  for (let i = 1; i <= 3; i++) names.push(`model-0000${i}-of-00003.safetensors`);
  const found = names.filter((name) => existsSync(`${folder}/${name}`));
  return Object.fromEntries(found.map((name) => [name, new Uint8Array(readFileSync(`${folder}/${name}`))]));
}

export const openFiles = (files: Files) => {
  const { read, size } = inMemory(files);
  const gguf = Object.keys(files).find((name) => name.endsWith('.gguf'));
  return gguf ? openGguf(gguf, read, size) : openSafetensorsFolder(read, size);
};

/** All slices of a tensor. */
export function readSlices(files: Files, layout: FileLayout, name: string, sliceBytes = 1 << 22): RowSlice[] {
  const record = layout.records.get(name)!;
  const bytes = ({ path, start, end }: ByteRange) => files[path].slice(start, end);
  const reader = tensorRows(record, record.statistics.map(bytes));
  const out: RowSlice[] = [];
  const step = reader.rowsPer(sliceBytes);
  for (let row = 0; row < record.info.rows; row += step) {
    const rows = Math.min(step, record.info.rows - row);
    out.push(reader.decode(row, rows, bytes(reader.rowBytes(row, rows))));
  }
  return out;
}

/** A tensor's f32 values. */
export function readValues(files: Files, layout: FileLayout, name: string, sliceBytes = 1 << 22): Float32Array {
  const { info } = layout.records.get(name)!;
  const codebook = info.format.type === 'q4' ? info.format.codebook : [];
  const parts = readSlices(files, layout, name, sliceBytes).map((slice) => sliceValues(slice, codebook));
  const out = new Float32Array(info.rows * info.cols);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
