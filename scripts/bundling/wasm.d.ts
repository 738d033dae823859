/** vite-simd.ts compiles *.as.ts for these imports. */
declare module '*.as.ts?wasm' {
  const bytes: Uint8Array<ArrayBuffer>;
  export default bytes;
  /** index of the byte with the flags of the memory's limits: 1, or 3 for shared memory */
  export const limits: number;
}
