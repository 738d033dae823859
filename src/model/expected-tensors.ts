/** What a config.json lets expect of the weights that go with it, before any of their headers is read. */
import { alignedBlock, type MatrixFormat, NF4_CODEBOOK, type TensorInfo } from '../formats/matrix';
import { tensorTable } from './decoder';
import type { ModelSpec } from './spec';

interface Quantisation {
  load_in_4bit?: unknown;
  load_in_8bit?: unknown;
  llm_int8_skip_modules?: unknown;
}

/** What the tensors may be that bitsandbytes itself would not quantise, the usual first: others wrote some files. */
const GUESSES = [
  { embedding: null, skipped: null },
  { embedding: null, skipped: 'int8' },
  { embedding: 'nf4', skipped: null },
  { embedding: 'nf4', skipped: 'int8' },
] as const;

type Stored = 'nf4' | 'int8';

function formatAs(stored: Stored | null, cols: number): MatrixFormat | null {
  const block = stored === 'nf4' ? alignedBlock(64, cols) : null;
  if (block) return { type: 'q4', block, offset: false, codebook: NF4_CODEBOOK };
  return stored === 'int8' ? { type: 'q8', block: 'row', offset: false } : null;
}

const bytesOf = ({ rows, cols, stored }: TensorInfo) =>
  rows * cols * (stored === 'nf4' ? 0.5 : stored === 'int8' ? 1 : 2);

/**
 * By name: linears as `quantization_config` has them, all else in 16 bits. What lies in the files is not known here,
 * but they cannot hold more than they are large: the first guess for which they have room is taken.
 * @param fileBytes of all weight files together; null: not known
 */
export function expectedTensors(
  config: { readonly quantization_config?: unknown },
  spec: ModelSpec,
  fileBytes: number | null = null,
): Map<string, TensorInfo> {
  const { load_in_4bit, load_in_8bit, llm_int8_skip_modules } = (config.quantization_config ?? {}) as Quantisation;
  const linear = load_in_4bit === true ? 'nf4' : load_in_8bit === true ? 'int8' : null;
  const modules = linear && Array.isArray(llm_int8_skip_modules) ? llm_int8_skip_modules.map(String) : [];
  const table = tensorTable(spec);
  const guess = ({ embedding, skipped }: (typeof GUESSES)[number]) =>
    table.map(({ name, rows, cols, kind }): TensorInfo => {
      const module = name.replace(/\.weight$/, '');
      const isSkipped = modules.some((skip) => module === skip || module.endsWith(`.${skip}`));
      const wanted = isSkipped ? skipped : /_proj$/.test(module) ? linear : embedding;
      const format = kind === 'matrix' ? formatAs(wanted, cols) : null;
      const stored = format === null ? 'bf16' : format.type === 'q4' ? 'nf4' : 'int8';
      return { name, rows, cols, stored, format: format ?? { type: 'bf16' }, storedBytes: 0 };
    });
  const guesses = (linear ? GUESSES : GUESSES.slice(0, 1)).map(guess);
  const room = guesses.find(
    (tensors) => tensors.reduce((sum, one) => sum + bytesOf(one), 0) <= (fileBytes ?? Infinity),
  );
  return new Map((room ?? guesses[0]).map((tensor) => [tensor.name, tensor]));
}
