import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { z } from 'zod';
import { SteptreeError } from '../../search/index.js';
import { readConfigFile } from '../config/config-file.js';
import { addFlags, parseOptions } from '../config/flags.js';
import { budgetOptions, policyOptions, samplingOptions } from '../config/options.js';
import { EMBEDDED_PRM_DIR, SCORER_AREAS, scorerShape } from '../scorer/index.js';
import { type ServerOptions, serverOptions } from '../server/options.js';
import { verifyOptions } from '../verify/options.js';
import { POLICY_HOST_AREAS, policyHostShape, simulatedShape } from './policy-flags.js';
import type { ModelRequest } from './solve-models.js';
import { criticOf, searchOptions } from './solve-options.js';

/** The policy's name; recordings and judges are no business of a service. */
const servedPolicy = policyOptions.omit({ record: true, judge: true });
const servedSearch = searchOptions.pick({ seed: true, splitter: true, critic: true });

const AREAS: readonly (readonly [string, z.ZodObject])[] = [
  ['Service', serverOptions],
  ['Policy', servedPolicy],
  ['Policy', servedSearch],
  ['Sampling, where a request does not say', samplingOptions],
  ['Budget of a request, at most', budgetOptions],
  ...SCORER_AREAS,
  ['Answer checking', verifyOptions],
  ...POLICY_HOST_AREAS,
];

/** Every option of `steptree serve` in one strict schema. */
export const serveOptions = z.strictObject({
  ...serverOptions.shape,
  ...servedPolicy.shape,
  ...servedSearch.shape,
  ...samplingOptions.shape,
  ...budgetOptions.shape,
  ...verifyOptions.shape,
  ...policyHostShape,
  ...scorerShape,
  ...simulatedShape,
});

export type AllServeOptions = ServerOptions & ModelRequest['all'] & { readonly seed: number };

export interface ServeRequest extends ModelRequest {
  readonly all: AllServeOptions;
  /** What was stated, without defaults: jobs take the models' part of it. */
  readonly stated: Readonly<Record<string, unknown>>;
}

export function addServeFlags(command: Command): void {
  const seen = new Set<string>();
  for (const [heading, schema] of AREAS) addFlags(command, schema, heading, seen);
}

/** Command line over --config file over defaults.
 *  @throws SteptreeError OPTION_… */
export function parseServeOptions(given: Readonly<Record<string, unknown>>): ServeRequest {
  const file = typeof given.config === 'string' ? readConfigFile(given.config) : {};
  const parsed = parseOptions(serveOptions, given, file);
  const all = { ...parsed, judge: '', record: '' } as unknown as AllServeOptions;
  const stated = Object.fromEntries(
    Object.keys(serveOptions.shape).flatMap((name) => {
      const value = given[name] ?? file[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
  if (all.prmKind === 'rollouts') {
    throw new SteptreeError(
      'OPTION_INVALID',
      '--prm-kind rollouts reads gold answers, and requests have none; take another reward model',
      { option: 'prmKind' },
    );
  }
  // As in solve: the embedded reward model knows the embedded policy's problems only.
  const isNamed = stated.prm !== undefined || stated.prmKind !== undefined;
  const isEmbedded = all.policy === 'embedded' && existsSync(EMBEDDED_PRM_DIR);
  return {
    all,
    stated,
    needsScorer: isNamed || isEmbedded,
    needsCritic: criticOf(all) !== '' || all.prmKind === 'critic',
  };
}
