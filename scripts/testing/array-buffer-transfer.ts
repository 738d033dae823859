/**
 * Node 20 lacks ArrayBuffer.prototype.transfer(), by which buffers are given back in browsers
 * (src/platform/release.ts). The tests get one that takes the memory away as theirs does: what is used after it, or
 * given back twice, fails here too.
 */
const { prototype } = ArrayBuffer as unknown as { prototype: { transfer?: (length: number) => ArrayBuffer } };
const gone = new WeakSet<ArrayBuffer>();

prototype.transfer ??= function (this: ArrayBuffer, length: number) {
  // an empty one that was taken away looks like any other empty one
  if (gone.has(this)) throw new TypeError('Cannot perform ArrayBuffer.prototype.transfer on a detached ArrayBuffer');
  gone.add(this);
  const bytes = new Uint8Array(structuredClone(this, { transfer: [this] }));
  const moved = new Uint8Array(length);
  moved.set(bytes.subarray(0, length));
  return moved.buffer;
};
