/**
 * Writes ONNX models: the few messages of onnx.proto that a decoder needs, in protobuf's wire format. A message is a
 * list of byte pieces, so that hundreds of megabytes of weights are never copied together.
 * Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
 */

/** Bytes of a message, in pieces. */
export type Pieces = Uint8Array[];

const size = (pieces: Pieces) => pieces.reduce((sum, piece) => sum + piece.length, 0);

function varint(value: number): Uint8Array {
  // Negative int64 take ten bytes: two's complement.
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    const low = Number(rest & 127n);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 128 : low);
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}

const integer = (field: number, value: number): Pieces => [varint(field << 3), varint(value)];
const float = (field: number, value: number): Pieces => [
  varint((field << 3) | 5),
  new Uint8Array(Float32Array.of(value).buffer),
];
const nested = (field: number, ...parts: Pieces[]): Pieces => {
  const body = parts.flat();
  return [varint((field << 3) | 2), varint(size(body)), ...body];
};
const text = (field: number, value: string): Pieces => nested(field, [new TextEncoder().encode(value)]);

const ELEMENT = { float: 1, uint8: 2, int8: 3, int32: 6, int64: 7 } as const;
type Element = keyof typeof ELEMENT;
type Dimensions = readonly (number | string)[];

/** Attribute values: whole numbers become ints; floats are marked, because 1 and 1.0 are one number in JavaScript. */
export type Attribute = number | { float: number };

function attribute(name: string, value: Attribute): Pieces {
  const [field, type] = typeof value === 'number' ? [integer(3, value), 2] : [float(2, value.float), 1];
  return nested(5, text(1, name), field, integer(20, type));
}

function valueInfo(field: number, name: string, element: Element, dimensions: Dimensions): Pieces {
  const shape = dimensions.map((d) => nested(1, typeof d === 'number' ? integer(1, d) : text(2, d)));
  return nested(field, text(1, name), nested(2, nested(1, integer(1, ELEMENT[element]), nested(2, ...shape))));
}

export class GraphBuilder {
  readonly #nodes: Pieces[] = [];
  readonly #initializers: Pieces[] = [];
  readonly #inputs: Pieces[] = [];
  readonly #outputs: Pieces[] = [];

  input(name: string, element: Element, dimensions: Dimensions): string {
    this.#inputs.push(valueInfo(11, name, element, dimensions));
    return name;
  }

  output(name: string, element: Element, dimensions: Dimensions): void {
    this.#outputs.push(valueInfo(12, name, element, dimensions));
  }

  /** @param data as it lies in memory, little endian */
  constant(name: string, element: Element, dimensions: readonly number[], data: ArrayBufferView): string {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const dims = dimensions.flatMap((d) => integer(1, d));
    this.#initializers.push(nested(5, dims, integer(2, ELEMENT[element]), text(8, name), nested(9, [bytes])));
    return name;
  }

  /** Adds a node; '' stands for an input or output that is left out. @returns its first output */
  node(
    op: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = '',
  ): string {
    this.#nodes.push(
      nested(
        1,
        inputs.flatMap((name) => text(1, name)),
        outputs.flatMap((name) => text(2, name)),
        text(3, `${op}:${outputs[0]}`),
        text(4, op),
        Object.entries(attributes).flatMap(([name, value]) => attribute(name, value)),
        text(7, domain),
      ),
    );
    return outputs[0];
  }

  /** The whole file, with opset 17 and ORT's own operators. */
  model(name: string): Pieces {
    const opset = (domain: string, version: number) => nested(8, text(1, domain), integer(2, version));
    const graph = [...this.#nodes, text(2, name), ...this.#initializers, ...this.#inputs, ...this.#outputs];
    return [
      integer(1, 8),
      text(2, 'nibble bench'),
      nested(7, ...graph),
      opset('', 17),
      opset('com.microsoft', 1),
    ].flat();
  }
}
