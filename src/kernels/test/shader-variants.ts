/** All branches of a shader, one after another. */
import { type Constants, defaultsOf } from '../../gpu/preprocess';
import { INCLUDES } from '../includes';

/** What has to change with a flag. */
const WITH: Record<string, Constants> = {
  KV_INT8: { PACKED: false, UNIT: 4, QUAD_WORDS: 1, LOAD_QUADS: 4, LOAD: 16, OUT_LANES: 4, ELEMENT_WORDS: 1 },
  KV_F32: { PACKED: false, UNIT_WORDS: 2, QUAD_WORDS: 4, LOAD_QUADS: 1, LOAD: 4, ELEMENT_WORDS: 4 },
  VECTORS: { KEY_VECTORS: 1, VALUE_VECTORS: 1, ARRAY_WORDS: 4, ELEMENT_WORDS: 4, PARTS: 2, LOAD: 8 },
  MULTIPLIER: { BIAS: true },
  F16: { TOTALS: true },
  GATED: { SIDES: 2 },
  INT8: { TOTALS: true },
  MERGE: { STAGED: true },
  HALVES: { SCALED: false, QUANTISED: false },
};
/** Kinds of matrices, and what is settled by them. */
const MATRICES: readonly Constants[] = [
  { MATRIX: 'matrix-q4', SCALING: 'scales-nested', ROW_SCALED: false, OFFSET: false },
  { MATRIX: 'matrix-q4', SCALING: 'scales-k', SCALED: true, ROW_SCALED: false, QUANTISED: true, OFFSET: true, UNIT: 1 },
  { MATRIX: 'matrix-q5', SCALED: true, ROW_SCALED: false, QUANTISED: true, OFFSET: true, UNIT: 1 },
  { MATRIX: 'matrix-q6', SCALED: false, ROW_SCALED: false, QUANTISED: false, OFFSET: false, UNIT: 1 },
  { MATRIX: 'matrix-q8' },
  { MATRIX: 'matrix-dense', SCALED: false, ROW_SCALED: false, QUANTISED: false, OFFSET: false, UNIT: 1 },
];

/** Defaults, one flag of them turned over at a time, and the other kinds of matrices with their flags. */
export function variantsOf(source: string): Constants[] {
  const flags = (defaults: Constants, settled: Constants = {}) =>
    Object.entries(defaults).flatMap(([name, value]) =>
      typeof value === 'boolean' && !(name in settled) ? [{ ...defaults, [name]: !value, ...WITH[name] }] : [],
    );
  const own = defaultsOf(source, INCLUDES);
  const others = 'MATRIX' in own ? MATRICES : [];
  return [
    ...flags(own),
    ...others.flatMap((other) => {
      const scaling = other.SCALING ? defaultsOf(`#include ${other.SCALING}`, INCLUDES) : {};
      const matrix = defaultsOf(source.replace('matrix-q4', String(other.MATRIX)), INCLUDES);
      const defaults = { ...scaling, ...matrix, ...other };
      return [defaults, ...flags(defaults, other)];
    }),
  ];
}
