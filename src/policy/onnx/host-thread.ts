/** The model-host thread of a policy: owns the sessions, so that a run blocks nobody else. */
import type { SampleReply, SampleRequest } from '../../../search/types.js';
import type { BatcherStats } from './batcher.js';
import { OnnxModel } from './model.js';
import type { OnnxOptions } from './options.js';
import { serveModel } from './serve.js';

/** What the thread is started with. */
export interface PolicyThreadData {
  readonly folder: string;
  readonly options: OnnxOptions;
}

await serveModel<PolicyThreadData, SampleRequest, SampleReply, BatcherStats>(
  async ({ folder, options }) => {
    const model = await OnnxModel.load(folder, options);
    return {
      about: model.decoderName,
      stats: () => ({ ...model.stats }),
      answer: (request, signal) => model.sample(request, signal),
      release: () => model.release(),
    };
  },
);
