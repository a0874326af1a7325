export { createJsonClient, type JsonClient } from './client.js';
export { type OpenAiOptions, openaiOptions } from './options.js';
export {
  createOpenAiPolicy,
  type OpenAiPolicy,
  type OpenAiPolicyContext,
  type OpenAiStats,
} from './policy.js';
export { systemTiming, type Timing } from './retry.js';
