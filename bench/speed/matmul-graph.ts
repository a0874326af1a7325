/** Writes an ONNX graph of plain matrix products, byte by byte: the machine's ceiling is measured by the
 *  runtime itself, with weights as constants, which it packs once as it does a model's. */

export interface Product {
  /** Columns of the input and of the output. */
  readonly from: number;
  readonly to: number;
}

/** One input `x<from>` [rows, from] per width; each product takes the one of its width. Only a column of
 *  each result comes out, so that no copy of outputs is counted. */
export function matmulGraph(products: readonly Product[], rows: number): Uint8Array {
  const nodes: number[][] = [];
  const constants = [tensor('zero', 7, [1], new Uint8Array(8))];
  const outputs: number[][] = [];
  for (const [index, { from, to }] of products.entries()) {
    const weights = Float32Array.from({ length: from * to }, (_, i) => Math.sin(i) / from);
    constants.push(tensor(`w${index}`, 1, [from, to], new Uint8Array(weights.buffer)));
    nodes.push(node('MatMul', [`x${from}`, `w${index}`], `p${index}`));
    nodes.push(node('Gather', [`p${index}`, 'zero'], `y${index}`, { axis: 1 }));
    outputs.push(valueInfo(`y${index}`, [rows, 1]));
  }
  const widths = [...new Set(products.map(({ from }) => from))];
  const graph = [
    ...nodes.flatMap((one) => field(1, one)),
    ...field(2, text('products')),
    ...constants.flatMap((one) => field(5, one)),
    ...widths.flatMap((width) => field(11, valueInfo(`x${width}`, [rows, width]))),
    ...outputs.flatMap((one) => field(12, one)),
  ];
  // ModelProto: ir_version 9, graph, opset_import of version 18.
  return Uint8Array.from([...number(1, 9), ...field(7, graph), ...field(8, number(2, 18))]);
}

function node(
  op: string,
  inputs: readonly string[],
  output: string,
  ints: Record<string, number> = {},
): number[] {
  return [
    ...inputs.flatMap((name) => field(1, text(name))),
    ...field(2, text(output)),
    ...field(4, text(op)),
    // AttributeProto: name, i, type INT.
    ...Object.entries(ints).flatMap(([name, value]) =>
      field(5, [...field(1, text(name)), ...number(3, value), ...number(20, 2)]),
    ),
  ];
}

/** @param type 1 for float32, 7 for int64 */
function tensor(name: string, type: number, dims: readonly number[], raw: Uint8Array): number[] {
  const head = [...dims.flatMap((dim) => number(1, dim)), ...number(2, type)];
  return [...head, ...field(8, text(name)), ...field(9, [...raw])];
}

function valueInfo(name: string, dims: readonly number[]): number[] {
  const shape = dims.flatMap((dim) => field(1, number(1, dim)));
  const type = field(1, [...number(1, 1), ...field(2, shape)]);
  return [...field(1, text(name)), ...field(2, type)];
}

const text = (value: string): number[] => [...new TextEncoder().encode(value)];

/** A protobuf field of bytes. */
const field = (id: number, bytes: number[]): number[] =>
  [...varint(id * 8 + 2), ...varint(bytes.length)].concat(bytes);

/** A protobuf field of a small natural number. */
const number = (id: number, value: number): number[] => [...varint(id * 8), ...varint(value)];

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return [...bytes, rest];
}
