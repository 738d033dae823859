/** GPUBufferUsage by name (WebGPU §5.1.2): the global of that name does not exist in Node before Dawn is loaded. */
const FLAGS = { MAP_READ: 0x1, COPY_SRC: 0x4, COPY_DST: 0x8, STORAGE: 0x80, QUERY_RESOLVE: 0x200 };

export const usage = (...names: readonly (keyof typeof FLAGS)[]): number =>
  names.reduce((flags, name) => flags | FLAGS[name], 0);

/** Of a buffer that kernels use and copies fill and read. */
export const STORAGE_USAGE = usage('STORAGE', 'COPY_DST', 'COPY_SRC');
/** Of a buffer that JavaScript reads. */
export const READ_USAGE = usage('MAP_READ', 'COPY_DST');
