/**
 * The first bytes of every slice of weights. They tell weights from others of the same shapes, also where no digest of
 * them is known; against weights that were altered on purpose they prove nothing.
 */
import type { WeightSink } from '../execute/executor';
import { arraysOf } from '../formats/matrix';
import type { Fingerprint } from './model';

const FIRST_BYTES = 16;

/** Keeps the first bytes of what lies at a place, at most `most`. */
export function keepFirst(
  fingerprint: Fingerprint,
  place: string,
  { buffer, byteOffset, byteLength }: ArrayBufferView,
  most = FIRST_BYTES,
): void {
  fingerprint.set(place, new Uint8Array(buffer, byteOffset, Math.min(byteLength, most)).slice());
}

/** The same sink; the first bytes of all that goes in are kept in `fingerprint`. */
export function fingerprinted(sink: WeightSink, fingerprint: Fingerprint): WeightSink {
  return {
    write(name, slice) {
      keepFirst(fingerprint, `${name} ${slice.row0}`, arraysOf(slice)[0]);
      return sink.write(name, slice);
    },
    writeVector(name, values) {
      keepFirst(fingerprint, name, values);
      sink.writeVector(name, values);
    },
    finish: () => sink.finish(),
  };
}
