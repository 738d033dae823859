/** activate() of kernels.ts in WebAssembly: e^x is what it takes its time for. */
import type { Activation } from '../../model/spec';
import type { Bank } from './bank';
import { activate } from './kernels';

/** As activate(), with the bank's working arrays. */
export function simdActivate(
  { simd }: Bank,
  gateUp: Float32Array,
  mlp: Float32Array,
  tokens: number,
  width: number,
  activation: Activation,
): void {
  if (!simd || 2 * width > simd.room.y) {
    activate(gateUp, mlp, tokens, width, activation);
    return;
  }
  const { exports, floats } = simd;
  const [{ y }] = simd.threads;
  const gate = y / 4;
  for (let t = 0; t < tokens; t++) {
    floats.set(gateUp.subarray(2 * t * width, 2 * (t + 1) * width), gate);
    exports.activate(y, y + 4 * width, width, activation === 'gelu_tanh' ? 1 : 0);
    mlp.set(floats.subarray(gate, gate + width), t * width);
  }
}
