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
import { problemOptions } from '../data/problems.js';
import { queueOptions } from '../queue/options.js';
import { judgeOptions, verifyOptions } from '../verify/options.js';
import { POLICY_HOST_AREAS, policyHostShape, simulatedShape } from './policy-flags.js';

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
  ['Many machines (steptree worker)', queueOptions],
  ...POLICY_HOST_AREAS,
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
  ...queueOptions.shape,
  ...policyHostShape,
});

/** Every option of `steptree label` in one strict schema. */
export const labelOptions = z.strictObject({
  ...plainOptions.shape,
  ...simulatedShape,
});

/** The simulated policy's options are there too, under prefixed names. */
export type AllLabelOptions = z.infer<typeof plainOptions>;

export function addLabelFlags(command: Command): void {
  const seen = new Set<string>();
  for (const [heading, schema] of AREAS) addFlags(command, schema, heading, seen);
}

/** Command line over --config file over defaults. */
export function parseLabelOptions(given: Record<string, unknown>): AllLabelOptions {
  const file = typeof given.config === 'string' ? readConfigFile(given.config) : {};
  return parseOptions(labelOptions, given, file) as AllLabelOptions;
}
