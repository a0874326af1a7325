import {
  type ConsensusOptions,
  consensus,
  type LabelResult,
  type OmegaPrmOptions,
  omegaPrm,
  type PathOptions,
  type Problem,
  type SearchContext,
  segmentText,
  stepRollouts,
  type TrainingPath,
  type TreeJson,
  trainingPaths,
  treeFromJson,
  treeToJson,
} from '../../search/index.js';

export type LabelMethod = 'omegaprm' | 'step-rollouts' | 'consensus';

export type LabelOptions = OmegaPrmOptions & ConsensusOptions & PathOptions;

/** A line of labels.jsonl: one training path. */
export interface LabelLine {
  readonly id: string;
  readonly question: string;
  readonly images: readonly string[];
  readonly steps: readonly string[];
  readonly labels: readonly number[];
  readonly visits: readonly number[];
  readonly intervals: readonly (readonly [number, number])[];
  readonly method: string;
  /** Only where a judge said it. */
  readonly kinds?: readonly string[];
}

/** Grows and labels the tree of one problem. Throws what the policy or the store throws. */
export async function labelProblem(
  problem: Problem,
  context: SearchContext,
  method: LabelMethod,
  options: LabelOptions,
): Promise<TreeJson> {
  const result = await growTree(problem, context, method, options);
  return treeToJson(problem, result, {
    method,
    totalRollouts: context.usage.rollouts,
    warnings: context.warnings,
  });
}

/** The training paths of a stored tree.
 *  A pure function of tree and options, so labels can be made again from the trees. */
export function pathsOf(tree: TreeJson, options: PathOptions, seed: number): TrainingPath[] {
  // OmegaPRM's states are chosen for what went wrong after them: their parents are no prior.
  const chosen = tree.method === 'omegaprm' ? { ...options, priorStrength: 0 } : options;
  return trainingPaths(treeFromJson(tree), chosen, `${seed} ${tree.id}`);
}

/** The training paths of a stored tree as lines of labels.jsonl, each ending in a newline. */
export function labelLines(tree: TreeJson, options: PathOptions, seed: number): string[] {
  return pathsOf(tree, options, seed).map((path) => {
    const line: LabelLine = {
      id: tree.id,
      question: tree.question,
      images: tree.images,
      steps: path.segments.map(segmentText),
      labels: path.labels,
      visits: path.visits,
      intervals: path.intervals,
      method: tree.method,
      ...(path.kinds ? { kinds: path.kinds } : {}),
    };
    return `${JSON.stringify(line)}\n`;
  });
}

function growTree(
  problem: Problem,
  context: SearchContext,
  method: LabelMethod,
  options: LabelOptions,
): Promise<LabelResult> {
  switch (method) {
    case 'omegaprm':
      return omegaPrm(problem, context, options);
    case 'step-rollouts':
      return stepRollouts(problem, context, options);
    case 'consensus':
      return consensus(problem, context, options);
  }
}
