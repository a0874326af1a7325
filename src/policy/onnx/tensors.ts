import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { SteptreeError } from '../../../search/errors.js';
import type { DecoderShape, PaddedKv } from './decoder.js';

/** @throws SteptreeError ONNX_GRAPH if the session lacks an input or output, or has keys and values of
 *  more layers */
export function requireNames(
  session: InferenceSession,
  graph: string,
  inputs: readonly string[],
  outputs: readonly string[],
): void {
  const missing = [
    ...inputs.filter((name) => !session.inputNames.includes(name)),
    ...outputs.filter((name) => !session.outputNames.includes(name)),
  ];
  if (missing.length > 0) {
    throw new SteptreeError(
      'ONNX_GRAPH',
      `${graph} lacks ${missing.join(', ')}; it has inputs ${session.inputNames.join(', ')} and outputs ${session.outputNames.join(', ')}`,
      { graph, missing },
    );
  }
  const more = session.inputNames.filter(
    (name) => name.includes('_key_values.') && !inputs.includes(name),
  );
  if (more.length > 0) {
    throw new SteptreeError(
      'ONNX_GRAPH',
      `${graph} has ${more.join(', ')}, of more layers than config.json names; export the folder again`,
      { graph, more },
    );
  }
}

/** Reads back a float32 output.
 *  @throws SteptreeError ONNX_GRAPH for another type */
export function floats(results: InferenceSession.OnnxValueMapType, name: string): Float32Array {
  const data = (results[name] as Tensor | undefined)?.data;
  if (data instanceof Float32Array) return data;
  throw new SteptreeError('ONNX_GRAPH', `output ${name} is not float32; export in float32`, {
    name,
  });
}

/** Names of the key and value inputs of every layer. */
export function kvNames(name: string, shape: DecoderShape): string[] {
  return Array.from({ length: shape.layers }, (_, layer) => [
    `${name}_key_values.${layer}.key`,
    `${name}_key_values.${layer}.value`,
  ]).flat();
}

/** Feeds the key and value inputs `names`, each [count, kvHeads, rows, headDim]. Most passes find the
 *  arrays of the pass before, and making some dozen tensors takes as long as sampling a token. */
export class KvFeeds {
  private readonly names: readonly string[];
  private tensors: Tensor[] = [];
  private of: readonly Float32Array[] | null = null;

  constructor(
    name: string,
    private readonly shape: DecoderShape,
  ) {
    this.names = kvNames(name, shape);
  }

  add(feeds: Record<string, Tensor>, count: number, kv: PaddedKv): void {
    if (this.of !== kv.keys) {
      const dims = [count, this.shape.kvHeads, kv.rows, this.shape.headDim];
      this.tensors = this.names.map((_, index) => {
        const arrays = index % 2 === 0 ? kv.keys : kv.values;
        return new Tensor('float32', arrays[index >> 1] ?? new Float32Array(0), dims);
      });
      this.of = kv.keys;
    }
    for (let index = 0; index < this.names.length; index++) {
      const tensor = this.tensors[index];
      if (tensor !== undefined) feeds[this.names[index] ?? ''] = tensor;
    }
  }
}

/** int64 values as the runtime wants them. */
export function bigints(values: Int32Array): BigInt64Array {
  const out = new BigInt64Array(values.length);
  for (let i = 0; i < values.length; i++) out[i] = BigInt(values[i] ?? 0);
  return out;
}
