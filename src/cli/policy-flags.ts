/** The policy's options, shared by all commands that ask one. */
import { z } from 'zod';
import { pickOptions, prefixShape } from '../config/shapes.js';
import type { PolicySettings } from '../policy/create.js';
import { onnxOptions } from '../policy/onnx/options.js';
import { openaiOptions } from '../policy/openai/index.js';
import { simulatedOptions } from '../policy/simulated.js';
import type { SplitterName } from '../policy/splitter.js';

/** Options of the hosts with their headings in --help. */
export const POLICY_HOST_AREAS = [
  ['HTTP policy (--policy URL)', openaiOptions],
  ['Embedded or ONNX policy', onnxOptions],
  ['Simulated policy', z.strictObject(prefixShape('simulated', simulatedOptions.shape))],
] as const;

/** Fields of the HTTP and ONNX hosts; where both have an option, systemPrompt, it is one option. */
export const policyHostShape = { ...onnxOptions.shape, ...openaiOptions.shape };

/** The simulated policy's options under prefixed names. */
export const simulatedShape = prefixShape('simulated', simulatedOptions.shape);

/** The policy's part of a command's options. */
export function policySettings(
  options: Readonly<Record<string, unknown>> & {
    readonly policy: string;
    readonly splitter: SplitterName;
    readonly maxInFlight: number;
  },
): PolicySettings {
  return {
    spec: options.policy,
    splitter: options.splitter,
    maxInFlight: options.maxInFlight,
    openai: pickOptions(openaiOptions, options),
    onnx: pickOptions(onnxOptions, options),
    simulated: pickOptions(simulatedOptions, options, 'simulated'),
  };
}
