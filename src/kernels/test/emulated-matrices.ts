/**
 * Subgroup matrices on a device that has none: shaders that use them are rewritten as they are compiled, so that each
 * thread has its subgroup's matrices as arrays, of which it loads, multiplies and stores its own rows by plain loops.
 * All else of the kernel, its subgroups among it, is as it is.
 */

import type { Gpu } from '../../gpu/device';
import type { DeviceProfile } from '../../gpu/device-profile';
import type { SubgroupMatrices } from '../../gpu/subgroup-matrices';

const ALIAS = /alias (\w+) = subgroup_matrix_(left|right|result)<(\w+), (\d+), (\d+)>;/g;

/** Whether a shader uses subgroup matrices. */
export const usesMatrices = (code: string): boolean => code.includes('enable chromium_experimental_subgroup_matrix');

/** @throws Error for a use of subgroup matrices that is not known here */
export function emulated(code: string): string {
  if (!usesMatrices(code)) return code;
  const sizes = [...code.matchAll(ALIAS)].map(([, , , , columns, rows]) => [Number(rows), Number(columns)]);
  const [[m, k], [, n]] = sizes;
  if (String(sizes) !== String([m, k, k, n, m, n])) throw new Error(`these matrices cannot be multiplied: ${sizes}`);
  const plain = code
    .replace(/enable (chromium_experimental_subgroup_matrix|subgroup_size_control);/g, '')
    .replace(/@subgroup_size\(\d+\)/g, '')
    .replace(ALIAS, (_, name, __, type, columns, rows) => `alias ${name} = array<${type}, ${columns * rows}>;`)
    .replace(
      /fn main\(/,
      'fn main(@builtin(subgroup_invocation_id) own_lane: u32, @builtin(subgroup_size) own_size: u32,',
    )
    .replace(/prepare_table\(lane\);/, '$&\n  lane_of_subgroup = own_lane;\n  lanes_of_subgroup = own_size;')
    .replace(/let (\w+) = subgroupMatrixLoad<Left, row_major>\(\s*&tiles,/g, 'var $1 = load_left(')
    .replace(/let (\w+) = subgroupMatrixLoad<Right, col_major>\(\s*&tiles,/g, 'var $1 = load_right(')
    .replace(/(\w+) = subgroupMatrixMultiplyAccumulate\((\w+), (\w+), \1\);/g, 'multiply(&$2, &$3, &$1);')
    .replace(/subgroupMatrixStore<col_major>\(&stage, (.*), (\w+), (\w+)\);/g, 'store_sums($1, &$2, $3);');
  const unknown = /.*(subgroupMatrix|subgroup_matrix).*/.exec(plain);
  if (unknown) throw new Error(`not emulated: ${unknown[0]}`);
  return `${plain}
var<private> lane_of_subgroup: u32;
var<private> lanes_of_subgroup: u32;
// Vulkan's alignment of a matrix in memory: 16 bytes, or a row of it.
fn is_aligned(at: u32, stride: u32) -> bool {
  let bytes = ${code.includes('alias Element = f16') ? 2 : 4}u;
  let least = min(16u, ${k}u * bytes);
  return (at * bytes) % least == 0u && (stride * bytes) % least == 0u;
}
fn load_left(at: u32, stride: u32) -> Left {
  var made: Left;
  for (var row = lane_of_subgroup; row < ${m}u; row += lanes_of_subgroup) {
    for (var i = 0u; i < ${k}u; i++) {
      made[row * ${k}u + i] = select(Element(1000.0), tiles[at + row * stride + i], is_aligned(at, stride));
    }
  }
  return made;
}
// its columns lie one after another
fn load_right(at: u32, stride: u32) -> Right {
  var made: Right;
  for (var column = 0u; column < ${n}u; column++) {
    for (var i = 0u; i < ${k}u; i++) {
      made[column * ${k}u + i] = select(Element(1000.0), tiles[at + column * stride + i], is_aligned(at, stride));
    }
  }
  return made;
}
fn multiply(left: ptr<function, Left>, right: ptr<function, Right>, sums: ptr<function, Sums>) {
  for (var row = lane_of_subgroup; row < ${m}u; row += lanes_of_subgroup) {
    for (var column = 0u; column < ${n}u; column++) {
      var sum = (*sums)[row * ${n}u + column];
      for (var i = 0u; i < ${k}u; i++) {
        sum += f32((*left)[row * ${k}u + i]) * f32((*right)[column * ${k}u + i]);
      }
      (*sums)[row * ${n}u + column] = sum;
    }
  }
}
fn store_sums(at: u32, sums: ptr<function, Sums>, stride: u32) {
  for (var row = lane_of_subgroup; row < ${m}u; row += lanes_of_subgroup) {
    for (var column = 0u; column < ${n}u; column++) {
      stage[at + column * stride + row] = (*sums)[row * ${n}u + column];
    }
  }
}
`;
}

/** Has a device take shaders with subgroup matrices, and says so in its profile. `change` is what is done to them. */
export function withEmulatedMatrices(gpu: Gpu, of: MatrixSizes, change = (code: string) => code): Gpu {
  const own = gpu.device.createShaderModule.bind(gpu.device);
  gpu.device.createShaderModule = (descriptor) =>
    own({ ...descriptor, code: usesMatrices(descriptor.code) ? emulated(change(descriptor.code)) : descriptor.code });
  return { ...gpu, profile: emulatedProfile(gpu.profile, of) };
}

export type MatrixSizes = Pick<SubgroupMatrices, 'm' | 'n' | 'k' | 'f16'>;

/** The profile of a device that had these matrices. */
export const emulatedProfile = (profile: DeviceProfile, of: MatrixSizes): DeviceProfile => ({
  ...profile,
  matrices: { ...of, lanes: profile.subgroups!.max, smaller: null },
});
