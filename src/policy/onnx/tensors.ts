import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { SteptreeError } from '../../../search/errors.js';
import type { DecoderShape, PaddedKv } from './decoder.js';

/** @throws SteptreeError ONNX_GRAPH if the session lacks an input or output */
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

/** Adds the inputs `kvNames` names, each [count, kvHeads, rows, headDim]. */
export function addKv(
  feeds: Record<string, Tensor>,
  name: string,
  count: number,
  kv: PaddedKv,
  shape: DecoderShape,
): void {
  const dims = [count, shape.kvHeads, kv.rows, shape.headDim];
  for (let layer = 0; layer < shape.layers; layer++) {
    const keys = kv.keys[layer] ?? new Float32Array(0);
    const values = kv.values[layer] ?? new Float32Array(0);
    feeds[`${name}_key_values.${layer}.key`] = new Tensor('float32', keys, dims);
    feeds[`${name}_key_values.${layer}.value`] = new Tensor('float32', values, dims);
  }
}

/** int64 values as the runtime wants them. */
export function bigints(values: Int32Array): BigInt64Array {
  const out = new BigInt64Array(values.length);
  for (let i = 0; i < values.length; i++) out[i] = BigInt(values[i] ?? 0);
  return out;
}
