export { createImageEncoder, type ImageEncoder } from './images.js';
export {
  createModelServer,
  type ModelServerContext,
  type ModelServerSettings,
} from './model-server.js';
export { type OpenAiOptions, openaiOptions } from './options.js';
export {
  createOpenAiPolicy,
  type OpenAiPolicy,
  type OpenAiPolicyContext,
  type OpenAiStats,
} from './policy.js';
export type { ReplicaStats } from './replicas.js';
export { systemTiming, type Timing } from './retry.js';
