/** The model-host thread of a reward model: owns the sessions, so that a run blocks nobody else. */
import type { MarkedPath, MarkedReply } from '../../../prm/index.js';
import { serveModel } from '../../policy/onnx/serve.js';
import { OnnxRewardModel } from './model.js';
import type { OnnxPrmHostOptions } from './options.js';
import type { PathReaderStats } from './path-reader.js';

/** What the thread is started with. */
export interface PrmThreadData {
  readonly folder: string;
  readonly options: OnnxPrmHostOptions;
}

await serveModel<PrmThreadData, MarkedPath, MarkedReply, PathReaderStats>(
  async ({ folder, options }) => {
    const model = await OnnxRewardModel.load(folder, options);
    return {
      about: 'scorer_append',
      stats: () => ({ ...model.stats }),
      answer: (path, signal) => model.read(path, signal),
      release: () => model.release(),
    };
  },
);
