import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { z } from 'zod';
import { STRATEGY_NAMES, SteptreeError } from '../../search/index.js';
import { readConfigFile } from '../config/config-file.js';
import { addFlags, kebabCase, parseOptions } from '../config/flags.js';
import { budgetOptions, policyOptions, runOptions, samplingOptions } from '../config/options.js';
import { problemOptions } from '../data/problems.js';
import { needsOf, requireStrategy } from '../runtime/solve.js';
import {
  EMBEDDED_CRITIC_DIR,
  EMBEDDED_PRM_DIR,
  SCORER_AREAS,
  scorerShape,
} from '../scorer/index.js';
import { judgeOptions, verifyOptions } from '../verify/options.js';
import { POLICY_HOST_AREAS, policyHostShape, simulatedShape } from './policy-flags.js';
import { strategyOptions, strategyShape } from './strategy-flags.js';

const questionOptions = z.strictObject({
  question: z.string().optional().describe('the problem, in words'),
  image: z
    .array(z.string().min(1))
    .default([])
    .describe('pictures of --question: files or data: URLs'),
  choices: z.array(z.string()).default([]).describe('answers to choose from, for --question'),
  answer: z.string().min(1).optional().describe('gold answer of --question, to grade the result'),
  problem: z
    .string()
    .min(1)
    .optional()
    .describe('file of problems, in any format that label reads'),
  id: z.string().min(1).optional().describe('which problem of --problem; or a name for --question'),
  format: runOptions.shape.format,
  checkImages: problemOptions.shape.checkImages,
});

/** Also of `bench run`. */
export const CRITIC_HELP =
  'finds and corrects wrong steps, for refined-best-of-n: embedded, a model folder, or URLs of a chat server; default: the embedded one beside the embedded policy';

const searchOptions = z.strictObject({
  strategy: z
    .string()
    .default('auto')
    .describe(
      `${STRATEGY_NAMES.join(', ')}; auto: best-of-n with a weighted vote where there is a reward model (--prm, --prm-kind, or an embedded one beside the embedded policy), else majority`,
    ),
  seed: z.int().min(0).default(0).describe('every sample derives its own seed from it'),
  splitter: runOptions.shape.splitter,
  critic: z.string().default('').describe(CRITIC_HELP),
  store: z
    .string()
    .default('')
    .describe('folder in which replies are stored before use: the same command resumes from it'),
});

/** Areas of the solve command's options with their headings in --help. */
const AREAS: readonly (readonly [string, z.ZodObject])[] = [
  ['Problem', questionOptions],
  ['Search', searchOptions],
  ['Search', policyOptions],
  ['Strategy', z.strictObject(strategyShape)],
  ['Sampling', samplingOptions],
  ['Budget', budgetOptions],
  ...SCORER_AREAS,
  ['Answer checking', verifyOptions],
  ['Judge of the answer (with a gold answer)', judgeOptions],
  ...POLICY_HOST_AREAS,
];

const plainOptions = z.strictObject({
  ...questionOptions.shape,
  ...searchOptions.shape,
  ...policyOptions.shape,
  ...samplingOptions.shape,
  ...budgetOptions.shape,
  ...verifyOptions.shape,
  ...judgeOptions.shape,
  ...policyHostShape,
});

/** Every option of `steptree solve` in one strict schema. */
export const solveOptions = z.strictObject({
  ...plainOptions.shape,
  ...strategyShape,
  ...scorerShape,
  ...simulatedShape,
});

/** The options of strategies, reward models and the simulated policy are there too. */
export type AllSolveOptions = z.infer<typeof plainOptions> & {
  readonly prm: string;
  readonly prmKind: string;
};

/** What the command line asks for, checked as far as that goes without opening anything. */
export interface SolveRequest {
  readonly strategy: string;
  /** With the strategy's defaults. */
  readonly strategyOptions: Readonly<Record<string, unknown>>;
  readonly needsScorer: boolean;
  readonly needsCritic: boolean;
  readonly all: AllSolveOptions;
}

export function addSolveFlags(command: Command): void {
  const seen = new Set<string>();
  for (const [heading, schema] of AREAS) addFlags(command, schema, heading, seen);
}

/** Command line over --config file over defaults.
 *  @throws SteptreeError STRATEGY_UNKNOWN, OPTION_… */
export function parseSolveOptions(given: Readonly<Record<string, unknown>>): SolveRequest {
  const file = typeof given.config === 'string' ? readConfigFile(given.config) : {};
  const stated = (name: string) => given[name] ?? file[name];
  const all = parseOptions(solveOptions, given, file) as unknown as AllSolveOptions;
  requireOneProblem(all);
  const strategy = all.strategy === 'auto' ? defaultStrategy(all, stated) : all.strategy;
  const entry = requireStrategy(strategy);
  const own = Object.fromEntries(Object.keys(strategyShape).map((name) => [name, stated(name)]));
  // A vote forgives the reward model an overrated outlier, of which there is one more with every n.
  if (all.strategy === 'auto' && strategy === 'best-of-n') own.selection ??= 'weighted';
  const options = strategyOptions(strategy, own);
  const needs = needsOf(entry, options);
  const request = {
    strategy,
    strategyOptions: options,
    needsScorer: needs.includes('scorer'),
    needsCritic: needs.includes('critic'),
    all,
  };
  refuseIdleModels(request, stated);
  requireModels(request, stated);
  return request;
}

/** Told before a policy is loaded. */
function requireModels(
  { strategy, needsScorer, needsCritic, all }: SolveRequest,
  stated: (name: string) => unknown,
): void {
  const fail = (option: string, text: string) => {
    throw new SteptreeError('OPTION_INVALID', `${strategy} needs ${text}`, { option, strategy });
  };
  if (needsCritic && criticOf(all) === '' && all.prmKind !== 'critic') {
    fail('critic', `a critic; name its server or folder with --critic (${whyNoCritic(all)})`);
  }
  const readsFolder = all.prmKind === 'auto' || all.prmKind === 'onnx';
  if (!needsScorer || !readsFolder || all.prm !== 'embedded') return;
  const choices = 'name a server or folder with --prm, or take --prm-kind rules';
  if (!existsSync(EMBEDDED_PRM_DIR)) {
    fail('prm', `a reward model; ${choices} (none is embedded in this installation)`);
  }
  if (isForeign(all.policy) && stated('prm') === undefined) {
    fail(
      'prm',
      `a reward model; ${choices} (the embedded one knows the embedded policy's problems only)`,
    );
  }
}

/** `--critic`, or the embedded one where it knows the problems; empty for none. */
export function criticOf(all: {
  readonly critic: string;
  readonly prmKind: string;
  readonly policy: string;
}): string {
  if (all.critic !== '' || all.prmKind === 'critic' || isForeign(all.policy)) return all.critic;
  return existsSync(EMBEDDED_CRITIC_DIR) ? 'embedded' : '';
}

function whyNoCritic({ policy }: AllSolveOptions): string {
  return isForeign(policy)
    ? "the embedded one knows the embedded policy's problems only"
    : 'none is embedded in this installation';
}

/** What an embedded reward model or critic says of other policies' problems would be noise. */
function isForeign(policy: string): boolean {
  return policy !== 'embedded' && !policy.startsWith('recorded:');
}

function requireOneProblem({ question, problem, image, choices, answer }: AllSolveOptions): void {
  const fail = (text: string) => {
    throw new SteptreeError('OPTION_INVALID', text, { option: 'question' });
  };
  if (question === undefined && problem === undefined) {
    fail('there is nothing to solve; give --question TEXT, or --problem FILE with --id ID');
  }
  if (problem === undefined) return;
  if (question !== undefined) fail('--question stands beside --problem; give one of the two');
  const stray = { image: image.length > 0, choices: choices.length > 0, answer };
  for (const [name, isThere] of Object.entries(stray)) {
    if (isThere) fail(`--${name} belongs to --question; the file of --problem has its own`);
  }
}

/** Best-of-n only with a reward model that can know the problem: the embedded one knows what the
 *  embedded policy does. */
function defaultStrategy(all: AllSolveOptions, stated: (name: string) => unknown): string {
  const isNamed = stated('prm') !== undefined || stated('prmKind') !== undefined;
  const isEmbedded = all.policy === 'embedded' && existsSync(EMBEDDED_PRM_DIR);
  return isNamed || isEmbedded ? 'best-of-n' : 'majority';
}

/** A model that was named but would not be asked is a mistake. */
function refuseIdleModels(request: SolveRequest, stated: (name: string) => unknown): void {
  const { strategy, needsScorer, needsCritic, all } = request;
  const judges = needsCritic && all.prmKind === 'critic';
  const idle = [
    ...(needsScorer || judges ? [] : ['prm', 'prmKind'].filter((name) => stated(name))),
    ...(needsCritic || !stated('critic') ? [] : ['critic']),
  ];
  const [name] = idle;
  if (name === undefined) return;
  const need = name === 'critic' ? 'critic' : 'scorer';
  const owners = STRATEGY_NAMES.filter((one) => requireStrategy(one).needs.includes(need));
  throw new SteptreeError(
    'OPTION_INVALID',
    `--${kebabCase(name)} has no use in ${strategy}; leave it away, or take --strategy ${owners.join(', ')}`,
    { option: name, strategy, owners },
  );
}
