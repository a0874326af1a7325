import { z } from 'zod';
import { batchingOptions, tokenLogitsOptions } from '../../../prm/index.js';
import { onnxOptions } from '../../policy/onnx/options.js';

const { threads, kvCacheMb, intraOpThreads, onnxProvider, onnxDevice } = onnxOptions.shape;

/** Options of a reward model's folder that a policy's folder has too. */
export const onnxPrmOptions = z.strictObject({
  threads,
  kvCacheMb,
  intraOpThreads,
  onnxProvider,
  onnxDevice,
});

/** What decides scores beside the folder, in place of what the folder says. */
export const onnxPrmWeights = tokenLogitsOptions.pick({
  likelihoodWeight: true,
  valueWeight: true,
  bias: true,
});

/** What the host takes: also how many paths a pass may hold, which is the batching's option. */
export const onnxPrmHostOptions = onnxPrmOptions
  .extend(batchingOptions.pick({ maxBatch: true }).shape)
  .extend(onnxPrmWeights.shape);

export type OnnxPrmOptions = z.infer<typeof onnxPrmOptions>;
export type OnnxPrmHostOptions = z.infer<typeof onnxPrmHostOptions>;
