/** The body of an answer, piece by piece. */

/** Reads a body; a piece is good until the next is asked for. */
export interface Reader {
  /** null at the end */
  next(): Promise<Uint8Array | null>;
  /** closes the connection */
  cancel(): Promise<void>;
}

const PIECE_BYTES = 256 << 10;

/**
 * Where the browser can, pieces are read into memory that is used again, for this answer and the next ones: else as
 * much as the file would be left as garbage, and 256 KiB for each of the hundreds of small parts that a header needs.
 * @param spare memory that no reader uses now
 * @param ended told when nothing more is read of it
 */
export function readerOf({ body }: Response, spare: ArrayBuffer[], ended: () => void): Reader {
  const stream: ReadableStream<Uint8Array<ArrayBuffer>> = body ?? new Blob([]).stream();
  let reader: ReadableStreamBYOBReader;
  try {
    reader = stream.getReader({ mode: 'byob' });
  } catch {
    const plain = stream.getReader();
    return {
      async next() {
        const { value } = await plain.read();
        if (!value) ended();
        return value ?? null;
      },
      cancel() {
        ended();
        return plain.cancel();
      },
    };
  }
  let memory: ArrayBuffer | null = spare.pop() ?? new ArrayBuffer(PIECE_BYTES);
  function finish() {
    if (memory) spare.push(memory);
    memory = null;
    ended();
  }
  return {
    async next() {
      const into = memory ?? new ArrayBuffer(PIECE_BYTES);
      // the browser has it until it answers, and keeps it when the connection breaks
      memory = null;
      const { value, done } = await reader.read(new Uint8Array(into));
      memory = value?.buffer ?? null;
      if (!done && value) return value;
      finish();
      return null;
    },
    cancel() {
      finish();
      return reader.cancel();
    },
  };
}
