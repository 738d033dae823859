/**
 * A kernel is one thing under one name: shaders/NAME.wgsl is what it computes, src/kernels/NAME.ts describes it. The
 * description has the shader's bindings by the names that the WGSL gives them, makes its constants from shapes (of a
 * matrix, of heads, of a workgroup) and says how many workgroups a dispatch takes; its first comment names the test and
 * the CPU function that is the reference. What several kernels share stands beside them: matrix.ts (a weight matrix),
 * linear.ts (what is fused around a product), heads.ts (heads and rings), and shaders/lib.
 *
 * The lowering (execute/gpu/lower.ts) says which kernel runs with which buffers, by binding name. No number of a
 * binding stands anywhere but in the description and in the shader; kernels.test.ts compares the two.
 *
 * A kernel's variant (subgroups, f16, integer dot products) touches that kernel, the choice by the device's profile
 * (variants.ts, gpu/device-profile.ts), and the list of what the tuner tries (candidates.ts). Constants of a shader are
 * values, never code: each shader is valid WGSL with the defaults at its head, and alone.gpu.test.ts compiles it so.
 *
 * To add an operation of its own: its step (model/steps.ts), its kernel (WGSL and description of one name), its CPU
 * function (execute/cpu), and its line in the memory plan (memory/gpu-scratch.ts) where it needs a buffer that no step
 * has yet. The lowering and the CPU executor then each have one more case.
 */
import { type Constants, preprocess } from '../gpu/preprocess';
import { INCLUDES } from './includes';

/** What stands for a kernel before its constants are known. */
export interface Description<B extends string = string> {
  /** what profiles and errors call it */
  label: string;
  source: string;
  /** the shader's bindings in group 0, by name; which of them there are depends on the constants */
  bindings: Readonly<Record<B, number>>;
}

/** A kernel ready to compile. The code identifies it, the label is for people. */
export interface Kernel<B extends string = string> {
  label: string;
  code: string;
  bindings: Readonly<Record<B, number>>;
}

/** Something for each binding that a kernel has, by name. */
export type ByBinding<B extends string, T> = { readonly [name in B]?: T };

/** Layers and slices of weights ask for the same few kernels over and over: their code is made once. */
const made = new Map<string, Kernel>();

/** @param label where several kernels of one description are told apart */
export function kernel<B extends string>(
  { label: own, source, bindings }: Description<B>,
  constants: Constants,
  label: string = own,
): Kernel<B> {
  const key = JSON.stringify([own, constants, label]);
  const known = made.get(key) ?? { label, code: preprocess(source, constants, INCLUDES), bindings };
  made.set(key, known);
  return known as Kernel<B>;
}

/** The buffers of a dispatch, from their names. */
export const named = <B extends string, T>(names: ByBinding<B, string>, buffer: (name: string) => T): ByBinding<B, T> =>
  Object.fromEntries(
    Object.entries<string | undefined>(names).map(([binding, name]) => [binding, name && buffer(name)]),
  ) as ByBinding<B, T>;

/** The bind group of a dispatch; a pipeline has exactly the bindings that its code has. */
export function bindGroup<B extends string>(
  device: GPUDevice,
  pipeline: GPUComputePipeline,
  { bindings }: Kernel<B>,
  bound: ByBinding<B, GPUBuffer | GPUBufferBinding>,
): GPUBindGroup {
  const entries = Object.entries<GPUBuffer | GPUBufferBinding | undefined>(bound).flatMap(([name, one]) =>
    one ? [{ binding: bindings[name as B], resource: 'buffer' in one ? one : { buffer: one } }] : [],
  );
  return device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
}
