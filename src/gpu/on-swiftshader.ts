/**
 * Options of Dawn's create() for SwiftShader. Workgroup memory is zeroed by a loop: the Vulkan extension that else does
 * so is written out word by word there, and takes most of the time in which a kernel is compiled (a tiled product 1.37
 * s of the processor with it, 0.05 without).
 */
export const ON_SWIFTSHADER: readonly string[] = [
  'disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension',
];
