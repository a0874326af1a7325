import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { matmulGraph, type Product } from './matmul-graph.js';
import type { ModelSize } from './onnx-floor.js';

/** Of one thread in its fastest stretches, or of several at once, summed. */
export interface Ceilings {
  readonly gflops: number;
  readonly copyGbps: number;
}

/** The products of one decode step, and a buffer as large as its keys and values. */
function ceilingWork(size: ModelSize, rows: number): { products: Product[]; bytes: number } {
  const { hidden, layers, vocab, intermediate, heads, kvHeads, headDim } = size.text;
  const layer = [
    { from: hidden, to: (heads + 2 * kvHeads) * headDim },
    { from: heads * headDim, to: hidden },
    { from: hidden, to: intermediate },
    { from: hidden, to: intermediate },
    { from: intermediate, to: hidden },
  ];
  const bytes = Math.min(rows * 32 * size.kvBytes, 64 * 2 ** 20);
  // Of a large model one layer stands for all.
  if (size.layerWeights > 1e7) return { products: layer, bytes };
  const products = Array.from({ length: layers }, () => layer).flat();
  return { products: [...products, { from: hidden, to: vocab }], bytes };
}

/** Ceilings of `threads` threads at once, summed. */
export async function measureCeilings(
  size: ModelSize,
  rows: number,
  threads: number,
): Promise<Ceilings> {
  const parts = await Promise.all(
    Array.from({ length: threads }, () => {
      const worker = new Worker(new URL(import.meta.url), {
        workerData: { ceilings: true, size, rows },
      });
      return new Promise<Ceilings>((resolve, reject) => {
        worker.once('message', resolve);
        worker.once('error', reject);
      });
    }),
  );
  return {
    gflops: parts.reduce((sum, part) => sum + part.gflops, 0),
    copyGbps: parts.reduce((sum, part) => sum + part.copyGbps, 0),
  };
}

/** The best of many short stretches, which other work disturbs least. */
async function ceilingWorker(size: ModelSize, rows: number): Promise<Ceilings> {
  const { products, bytes } = ceilingWork(size, rows);
  const session = await InferenceSession.create(matmulGraph(products, rows), {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
  });
  const feeds: Record<string, Tensor> = {};
  for (const name of session.inputNames) {
    const width = Number(name.slice(1));
    const data = Float32Array.from({ length: rows * width }, (_, i) => Math.cos(i));
    feeds[name] = new Tensor('float32', data, [rows, width]);
  }
  const flops = products.reduce((sum, { from, to }) => sum + 2 * rows * from * to, 0);
  let fastest = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 200; i++) {
    const start = performance.now();
    await session.run(feeds);
    fastest = Math.min(fastest, performance.now() - start);
  }
  await session.release();
  const [from, to] = [Buffer.alloc(bytes, 1), Buffer.alloc(bytes, 2)];
  let copy = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 60; i++) {
    const start = performance.now();
    from.copy(to);
    copy = Math.min(copy, performance.now() - start);
  }
  return { gflops: flops / fastest / 1e6, copyGbps: bytes / copy / 1e6 };
}

// In a thread of its own, as the host's sessions are.
if (!isMainThread && workerData?.ceilings === true) {
  parentPort?.postMessage(await ceilingWorker(workerData.size, workerData.rows));
}
