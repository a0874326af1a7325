import { betaInterval, credibleInterval } from '../interval.js';
import { contentHash, createRandom, sampleWithoutReplacement } from '../rng.js';
import { NO_STATE, ROOT, type StateIndex, type StateTree } from '../tree.js';
import type { Critique, Step, StepKind } from '../types.js';
import type { PathOptions } from './options.js';
import { JEFFREYS, posteriorMean, priorAfter } from './prior.js';
import type { LabelResult } from './result.js';

/** A path from the root with one label per segment: one training example of a PRM. */
export interface TrainingPath {
  readonly segments: readonly (readonly Step[])[];
  /** In [0, 1], one per segment. */
  readonly labels: readonly number[];
  /** Graded rollouts behind each label; 1 for a finished solution's own verdict. */
  readonly visits: readonly number[];
  /** 95 % credible interval of each Monte Carlo value. */
  readonly intervals: readonly (readonly [number, number])[];
  /** Whether some segment has value 0. */
  readonly negative: boolean;
  /** What each segment mainly does, where a judge said it. */
  readonly kinds?: readonly StepKind[];
}

/** A prefix on a path with what is known of it. */
interface Waypoint {
  readonly segment: readonly Step[];
  readonly value: number;
  /** In place of the value as a soft label: with the parent's value as its prior. */
  readonly softValue?: number;
  readonly correct: number;
  readonly visits: number;
  readonly interval: readonly [number, number];
  /** Whether all that is known of it are the rollouts of the next prefix. */
  readonly isInferred?: boolean;
}

interface RawPath {
  readonly waypoints: readonly Waypoint[];
  readonly critique: Critique | undefined;
}

/** Tree to training paths.
 *
 *  `all` takes every path from the root to a leaf. `mm-prm` is the rule of MM-PRM's traverse.py:
 *  nothing from a tree whose root value is 0 or 1, a path ends at its first 0, texts of
 *  `minWords` words or fewer are dropped, then duplicates; negative paths come first.
 *  `balance` keeps, per tree, at most as many positive paths as negative ones, chosen by `seed`. */
export function trainingPaths(
  result: Pick<LabelResult, 'tree' | 'critiques'>,
  options: PathOptions,
  seed: string,
): TrainingPath[] {
  const { tree, critiques } = result;
  const rootValue = tree.value(ROOT);
  const strict = options.pathRule === 'mm-prm';
  if (strict && (rootValue === 0 || rootValue === 1)) return [];
  const prefixes = options.labelUnit === 'step' ? knownPrefixes(tree) : null;
  const paths = rawPaths(tree, critiques)
    .flatMap((path) => (prefixes ? (splitIntoSteps(path, prefixes) ?? []) : path))
    .map(cutAtUnknown)
    .map((path) => (strict ? cutAtFirstZero(path) : path))
    .map((path) => withPriors(path, tree, options.priorStrength ?? 0))
    .flatMap((path) => labelPath(path, rootValue, options) ?? [])
    .filter((path) => path.labels.length > 0 && !(strict && isShort(path, options.minWords)));
  const distinct = dropDuplicates(paths);
  if (!strict && !options.balance) return distinct;
  const negative = distinct.filter((path) => path.negative);
  const positive = distinct.filter((path) => !path.negative);
  if (!options.balance) return [...negative, ...positive];
  return [
    ...negative,
    ...sampleWithoutReplacement(positive, negative.length, createRandom(`balance ${seed}`)),
  ];
}

/** The path as one text, each segment closed by `<prm>`, as MM-PRM's trainer reads it. */
export function processText(segments: readonly (readonly Step[])[]): string {
  return segments.map((segment) => `${segmentText(segment)}<prm>`).join('\n\n');
}

/** A segment's steps as one text. Many paths share a segment, so its text is made once. */
export function segmentText(segment: readonly Step[]): string {
  let text = segmentTexts.get(segment);
  if (text === undefined) {
    text = segment.map((step) => step.trim()).join('\n\n');
    segmentTexts.set(segment, text);
  }
  return text;
}

const segmentTexts = new WeakMap<readonly Step[], string>();

/** Every path from a child of the root to a leaf, depth first, children in order. */
function rawPaths(tree: StateTree, critiques: ReadonlyMap<StateIndex, Critique>): RawPath[] {
  const paths: RawPath[] = [];
  const open: { state: StateIndex; waypoints: readonly Waypoint[] }[] = [];
  const descend = (state: StateIndex, waypoints: readonly Waypoint[]) => {
    for (const child of tree.children(state).reverse()) open.push({ state: child, waypoints });
  };
  descend(ROOT, []);
  for (let next = open.pop(); next; next = open.pop()) {
    const waypoints = [...next.waypoints, waypoint(tree, next.state)];
    if (tree.firstChild[next.state] === NO_STATE) {
      paths.push({ waypoints, critique: critiques.get(next.state) });
    } else {
      descend(next.state, waypoints);
    }
  }
  return paths;
}

function waypoint(tree: StateTree, state: StateIndex): Waypoint {
  const value = tree.value(state);
  const correct = tree.correct[state] ?? 0;
  const graded = tree.graded[state] ?? 0;
  const segment = tree.segment(state);
  if (graded > 0) {
    return { segment, value, correct, visits: graded, interval: credibleInterval(correct, graded) };
  }
  // Without rollouts: a leaf is a finished solution whose verdict is certain; an inner state is
  // one that an early stop passed over, of which nothing is certain.
  const certain = tree.firstChild[state] === NO_STATE;
  return {
    segment,
    value,
    correct: certain ? value : 0,
    visits: certain ? 1 : 0,
    interval: certain ? [value, value] : [0, 1],
  };
}

/** What the whole tree knows of each prefix, by the hash of its steps. */
function knownPrefixes(tree: StateTree): Map<string, Waypoint> {
  const known = new Map<string, Waypoint>();
  for (let state = 1; state < tree.size; state++) {
    const found = waypoint(tree, state);
    if (Number.isNaN(found.value)) continue;
    const key = contentHash(tree.prefix(state));
    const other = known.get(key);
    if (!other || other.visits < found.visits) known.set(key, found);
  }
  return known;
}

/** One waypoint per step. A step inside a segment takes what the tree knows of its own prefix,
 *  else of the next known prefix of the path, if that one can still succeed: then this one can.
 *  @returns null if a step lies between a prefix and a failed one with nothing known of it */
function splitIntoSteps(path: RawPath, known: Map<string, Waypoint>): RawPath | null {
  const steps = path.waypoints.flatMap((point) => point.segment);
  const ends = new Map<number, Waypoint>();
  let end = 0;
  for (const point of path.waypoints) {
    end += point.segment.length;
    ends.set(end - 1, point);
  }
  const waypoints: Waypoint[] = [];
  let next: Waypoint | undefined;
  for (let i = steps.length - 1; i >= 0; i--) {
    const own = ends.get(i) ?? known.get(contentHash(steps.slice(0, i + 1)));
    if (!own && !(next && next.value > 0)) return null;
    const source = own ?? inferred(next as Waypoint);
    waypoints.push({ ...source, segment: [steps[i] as Step] });
    next = own ?? next;
  }
  return { ...path, waypoints: waypoints.reverse() };
}

/** Certainty does not carry over from a finished solution to the steps before its last:
 *  of these it is only known that one continuation succeeded. */
function inferred(next: Waypoint): Waypoint {
  const certain = next.interval[0] === next.interval[1];
  const interval = certain ? credibleInterval(1, 1) : next.interval;
  return { ...next, interval, isInferred: true };
}

/** Soft labels and intervals with each state's parent as its prior (prior.ts). Values stay the plain
 *  shares: a value of 0 says that nothing succeeded, which no posterior mean can. */
function withPriors(path: RawPath, tree: StateTree, strength: number): RawPath {
  if (strength === 0) return path;
  let mean = posteriorMean(tree.correct[ROOT] ?? 0, tree.graded[ROOT] ?? 0, JEFFREYS);
  const waypoints = path.waypoints.map((point) => {
    const { correct, visits, interval, value } = point;
    const isCertain = visits === 0 || interval[0] === interval[1];
    const { a, b } = priorAfter(mean, strength);
    const softValue = isCertain ? value : posteriorMean(correct, visits, { a, b });
    // Its rollouts are the next prefix's, which would else be counted twice there.
    if (!point.isInferred) mean = softValue;
    if (isCertain) return point;
    return { ...point, softValue, interval: betaInterval(correct + a, visits - correct + b) };
  });
  return { ...path, waypoints };
}

function cutAtUnknown(path: RawPath): RawPath {
  const unknown = path.waypoints.findIndex((point) => Number.isNaN(point.value));
  return unknown < 0 ? path : { ...path, waypoints: path.waypoints.slice(0, unknown) };
}

function cutAtFirstZero(path: RawPath): RawPath {
  const zero = firstZero(path);
  return zero < 0 ? path : { ...path, waypoints: path.waypoints.slice(0, zero + 1) };
}

function firstZero(path: RawPath): number {
  return path.waypoints.findIndex((point) => point.value === 0);
}

/** @returns null if judge and rollouts contradict each other and the rule is `agree` */
function labelPath(path: RawPath, rootValue: number, options: PathOptions): TrainingPath | null {
  const judged = judgedFirstError(path);
  if (judged && options.consensusRule === 'agree' && judged.segment !== firstZero(path)) {
    return null;
  }
  const refuted = judged && judged.segment >= 0 ? judged.segment : Number.POSITIVE_INFINITY;
  const labels = path.waypoints.map((point, i) => {
    if (i >= refuted) return 0;
    const before = i === 0 ? rootValue : (path.waypoints[i - 1]?.value ?? 0);
    return labelOf(point, before, options);
  });
  return {
    segments: path.waypoints.map((point) => point.segment),
    labels,
    visits: path.waypoints.map((point) => point.visits),
    intervals: path.waypoints.map((point) => point.interval),
    negative: path.waypoints.some((point, i) => point.value === 0 || i >= refuted),
    ...(judged?.kinds ? { kinds: judged.kinds } : {}),
  };
}

/** GenPRM (arXiv 2504.00891, §3.1) labels by relative progress MC(s_t) / MC(s_<t). From a value of 0
 *  up the ratio is infinite, which is progress; from 0 to 0 there is none. */
function labelOf({ value, softValue }: Waypoint, before: number, options: PathOptions): number {
  switch (options.label) {
    case 'soft':
      return softValue ?? value;
    case 'hard':
      return value > options.labelThreshold ? 1 : 0;
    case 'progress':
      if (before === 0) return value > 0 ? 1 : 0;
      return value / before >= options.progressThreshold ? 1 : 0;
  }
}

/** The judge speaks of steps, the path of segments. @returns segment -1 for no error */
function judgedFirstError(path: RawPath): { segment: number; kinds?: StepKind[] } | null {
  if (!path.critique) return null;
  const { firstError, kinds } = path.critique;
  let end = 0;
  let segment = -1;
  const segmentKinds: StepKind[] = [];
  path.waypoints.forEach((point, i) => {
    segmentKinds.push(kinds?.[end] ?? 'reasoning');
    end += point.segment.length;
    if (firstError !== null && segment < 0 && firstError < end) segment = i;
  });
  return kinds ? { segment, kinds: segmentKinds } : { segment };
}

/** MM-PRM counts single spaces in the text with its marks. */
function isShort(path: TrainingPath, minWords: number): boolean {
  return processText(path.segments).split(' ').length <= minWords;
}

function dropDuplicates(paths: readonly TrainingPath[]): TrainingPath[] {
  const distinct = new Map<string, TrainingPath>();
  for (const path of paths) {
    const key = `${path.negative} ${processText(path.segments)}`;
    if (!distinct.has(key)) distinct.set(key, path);
  }
  return [...distinct.values()];
}
