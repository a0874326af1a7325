import type { Command } from 'commander';
import { z } from 'zod';
import {
  consensusOptions,
  estimateOptions,
  omegaPrmOptions,
  pathOptions,
  stepRolloutsOptions,
} from '../../search/labels/options.js';
import { readConfigFile } from '../config/config-file.js';
import { addFlags, parseOptions } from '../config/flags.js';
import { budgetOptions, policyOptions, runOptions, samplingOptions } from '../config/options.js';
import { pickOptions, prefixShape } from '../config/shapes.js';
import { problemOptions } from '../data/problems.js';
import type { PolicySettings } from '../policy/create.js';
import { onnxOptions } from '../policy/onnx/options.js';
import { openaiOptions } from '../policy/openai/index.js';
import { simulatedOptions } from '../policy/simulated.js';
import { judgeOptions, verifyOptions } from '../verify/options.js';

/** Areas of the label command's options with their headings in --help. */
const AREAS = [
  ['Run', runOptions],
  ['Run', problemOptions],
  ['Policy', policyOptions],
  ['Sampling', samplingOptions],
  ['Rollouts', estimateOptions],
  ['OmegaPRM (--method omegaprm)', omegaPrmOptions],
  ['Step rollouts (--method step-rollouts, consensus)', stepRolloutsOptions],
  ['Consensus (--method consensus)', consensusOptions],
  ['Training paths', pathOptions],
  ['Budget per problem', budgetOptions],
  ['Answer checking', verifyOptions],
  ['Judge', judgeOptions],
  ['HTTP policy (--policy URL)', openaiOptions],
  ['Embedded or ONNX policy', onnxOptions],
  ['Simulated policy', z.strictObject(prefixShape('simulated', simulatedOptions.shape))],
] as const;

const plainOptions = z.strictObject({
  ...runOptions.shape,
  ...policyOptions.shape,
  ...problemOptions.shape,
  ...samplingOptions.shape,
  ...estimateOptions.shape,
  ...omegaPrmOptions.shape,
  ...stepRolloutsOptions.shape,
  ...consensusOptions.shape,
  ...pathOptions.shape,
  ...budgetOptions.shape,
  ...verifyOptions.shape,
  ...judgeOptions.shape,
  // Where both hosts have an option, systemPrompt and splitter, it is one option.
  ...onnxOptions.shape,
  ...openaiOptions.shape,
});

/** Every option of `steptree label` in one strict schema. */
export const labelOptions = z.strictObject({
  ...plainOptions.shape,
  ...prefixShape('simulated', simulatedOptions.shape),
});

/** The simulated policy's options are there too, under prefixed names. */
export type AllLabelOptions = z.infer<typeof plainOptions>;

export function addLabelFlags(command: Command): void {
  const seen = new Set<string>();
  for (const [heading, schema] of AREAS) addFlags(command, schema, heading, seen);
}

/** The policy's part of the options. */
export function policySettings(options: AllLabelOptions): PolicySettings {
  return {
    spec: options.policy,
    splitter: options.splitter,
    maxInFlight: options.maxInFlight,
    openai: pickOptions(openaiOptions, options),
    onnx: pickOptions(onnxOptions, options),
    simulated: pickOptions(simulatedOptions, options, 'simulated'),
  };
}

/** Command line over --config file over defaults. */
export function parseLabelOptions(given: Record<string, unknown>): AllLabelOptions {
  const file = typeof given.config === 'string' ? readConfigFile(given.config) : {};
  return parseOptions(labelOptions, given, file) as AllLabelOptions;
}
