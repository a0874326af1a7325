import { setMaxListeners } from 'node:events';
import { errorCode, errorMessage, SteptreeError } from '../../search/errors.js';
import { type Budget, SearchContext, type TreeJson } from '../../search/index.js';
import { contentHash } from '../../search/rng.js';
import type { Problem, ReplyStore, SamplingOptions, Step, Verifier } from '../../search/types.js';
import { Gate } from '../runtime/gate.js';
import { type LabelOptions, labelProblem, pathsOf } from '../runtime/label-problem.js';
import type { SkippingPolicy } from '../runtime/scheduler.js';
import { memoryReplies } from '../runtime/solve.js';
import type { MeasuredLabel, ProblemLabels } from './label-errors.js';
import type { MeasuredMethod } from './label-methods.js';
import { sharedSamples } from './shared-samples.js';

export interface LabelBenchPorts {
  readonly policy: SkippingPolicy;
  readonly verifier: Verifier;
  /** Replies of a problem, all seeds in one; what makes a measurement resumable. */
  readonly repliesOf: (problem: Problem) => Promise<ReplyStore>;
  readonly signal: AbortSignal;
  readonly now: () => number;
  /** Told of every finished problem. */
  readonly onDone?: () => void;
}

export interface LabelBenchSettings {
  readonly truthRollouts: number;
  /** Labellings of every problem, each with seeds of its own: more of them make the error of a method
   *  surer, and cost little beside the truth. */
  readonly repeats: number;
  /** States of a problem and method whose truth is sampled at most; 0 is all. */
  readonly maxStates: number;
  readonly seed: number;
  readonly sampling: SamplingOptions;
  readonly budget: Budget;
  readonly concurrency: number;
}

export interface LabelFailure {
  readonly id: string;
  readonly code: string;
  readonly message: string;
}

/** What all methods made of the problems. */
export interface LabelMeasurement {
  /** By method, then by problem; problems that failed are in none. */
  readonly methods: readonly (readonly ProblemLabels[])[];
  /** Distinct states with a truth, over all problems. */
  readonly states: number;
  readonly failures: readonly LabelFailure[];
}

/** Labels every problem by every method and holds each sampled label against a truth of many rollouts
 *  of the same state.
 *
 *  All methods and repeats label the same solutions, drawn once, but each repeat draws rollouts of
 *  its own; within a repeat sample i of a state is the same whatever the method, so methods are
 *  compared on the same luck. The truth's rollouts are never a label's: their purpose differs, and
 *  so do their seeds. OmegaPRM chooses its states itself, and they get a truth of their own.
 *
 *  A finished solution's label is its verdict and has no error; it is left out. */
export async function measureLabels(
  problems: readonly Problem[],
  methods: readonly MeasuredMethod[],
  settings: LabelBenchSettings,
  ports: LabelBenchPorts,
): Promise<LabelMeasurement> {
  setMaxListeners(0, ports.signal);
  const gate = new Gate(settings.concurrency);
  const failures: LabelFailure[] = [];
  const tasks: Promise<ProblemMeasurement | null>[] = [];
  for (const problem of problems) {
    await gate.enter();
    if (ports.signal.aborted) break;
    const task = new ProblemMeasurer(problem, settings, ports)
      .measure(methods)
      .catch((error: unknown) => {
        failures.push({ id: problem.id, code: errorCode(error), message: errorMessage(error) });
        return null;
      })
      .finally(() => {
        gate.leave();
        ports.onDone?.();
      });
    tasks.push(task);
  }
  const measured = (await Promise.all(tasks)).filter((one) => one !== null);
  ports.signal.throwIfAborted();
  return {
    methods: methods.map((_, i) => measured.map((one) => one.methods[i] as ProblemLabels)),
    states: measured.reduce((sum, one) => sum + one.states, 0),
    failures,
  };
}

interface ProblemMeasurement {
  readonly methods: readonly ProblemLabels[];
  readonly states: number;
}

/** A label as a labeller left it in its tree. */
interface TreeLabel {
  readonly prefix: readonly Step[];
  readonly hash: string;
  readonly value: number;
  readonly interval: readonly [number, number];
}

interface Truth {
  readonly truth: number;
  readonly truthRollouts: number;
}

class ProblemMeasurer {
  private readonly truths = new Map<string, Promise<Truth>>();

  constructor(
    private readonly problem: Problem,
    private readonly settings: LabelBenchSettings,
    private readonly ports: LabelBenchPorts,
  ) {}

  async measure(methods: readonly MeasuredMethod[]): Promise<ProblemMeasurement> {
    const { seed, repeats } = this.settings;
    const shared = await this.ports.repliesOf(this.problem);
    const truthContext = this.contextFor(seed, shared);
    // Keys hold the count, and the index counts on in one context: a context for each count.
    for (const n of solutionCounts(methods)) {
      await this.contextFor(seed, shared).gradedRollouts([], { n, purpose: SOLUTION });
    }
    const measured: ProblemLabels[] = [];
    for (const method of methods) {
      const parts: ProblemLabels[] = [];
      for (let repeat = 0; repeat < repeats; repeat++) {
        const store = withSolutionsOf(shared, memoryReplies());
        // The truth's seed is the run's; repeats count on from it.
        const context = this.contextFor(seed + repeat, store, shared);
        const tree = await labelProblem(this.problem, context, method.method, method.options);
        const all = sampledLabels(tree, method.options);
        const labels = chosenLabels(all, this.settings.maxStates);
        const { policyTokens, rollouts } = context.usage;
        const beside = await Promise.all(
          labels.map((label) => this.besideTruth(label, truthContext)),
        );
        // Costs are of all labels; where only some are measured, they bear their share.
        const share = labels.length / Math.max(1, all.length);
        parts.push({
          labels: beside,
          policyTokens: policyTokens * share,
          rollouts: rollouts * share,
        });
      }
      measured.push(joined(parts));
    }
    return { methods: measured, states: this.truths.size };
  }

  private async besideTruth(label: TreeLabel, context: SearchContext): Promise<MeasuredLabel> {
    const known = this.truths.get(label.hash);
    const truth = known ?? sampleTruth(context, label.prefix, this.settings.truthRollouts);
    this.truths.set(label.hash, truth);
    return { value: label.value, interval: label.interval, ...(await truth) };
  }

  /** @param samples where single rollouts are shared among methods, if they are */
  private contextFor(seed: number, store: ReplyStore, samples?: ReplyStore): SearchContext {
    const { verifier, signal, now } = this.ports;
    const policy = samples ? sharedSamples(this.ports.policy, samples) : this.ports.policy;
    const { sampling, budget } = this.settings;
    return new SearchContext({
      problem: this.problem,
      seed,
      policy,
      sampling,
      verifier,
      store,
      budget,
      now,
      signal,
      onReplay: (prefix, count) => policy.skip?.(this.problem.id, prefix, count),
    });
  }
}

/** Of what `stepRollouts` will ask for, drawn before so that every repeat finds it. */
function solutionCounts(methods: readonly MeasuredMethod[]): Set<number> {
  return new Set(
    methods.flatMap(({ method, options }) =>
      method === 'step-rollouts' ? [options.numSolutions] : [],
    ),
  );
}

/** As search/labels/step-rollouts.ts calls its solutions. */
const SOLUTION = 'solution';

/** Solutions from one store, all else in another. */
function withSolutionsOf(solutions: ReplyStore, own: ReplyStore): ReplyStore {
  const storeOf = (key: string) =>
    key.startsWith(`sample ${SOLUTION} `) || key.startsWith(`verdict sample ${SOLUTION} `)
      ? solutions
      : own;
  return {
    get: (key) => storeOf(key).get(key),
    put: (key, value) => storeOf(key).put(key, value),
  };
}

/** Rollouts to a call of the truth: an interrupted run loses a call's at most. */
const TRUTH_CALL = 64;

/** @throws SteptreeError LABEL_ALL_UNGRADED with fewer than two graded rollouts */
async function sampleTruth(
  context: SearchContext,
  prefix: readonly Step[],
  rollouts: number,
): Promise<Truth> {
  const calls = Array.from({ length: Math.ceil(rollouts / TRUTH_CALL) }, (_, i) =>
    context.gradedRollouts(prefix, {
      n: Math.min(TRUTH_CALL, rollouts - i * TRUTH_CALL),
      purpose: 'truth',
    }),
  );
  const verdicts = (await Promise.all(calls)).flatMap((call) => call.verdicts);
  const graded = verdicts.filter(({ verdict }) => verdict !== 'ungraded').length;
  const correct = verdicts.filter(({ verdict }) => verdict === 'equal').length;
  if (graded >= 2) return { truth: correct / graded, truthRollouts: graded };
  throw new SteptreeError(
    'LABEL_ALL_UNGRADED',
    `only ${graded} of ${rollouts} rollouts of a prefix of ${prefix.length} steps could be graded; check the gold answer, --max-tokens and the step format`,
    { problemId: context.problem.id, graded },
  );
}

/** The labels that `steptree label` would write, one per state; those of finished solutions, whose
 *  verdict is certain, are left out. */
function sampledLabels(tree: TreeJson, options: LabelOptions): TreeLabel[] {
  const labels = new Map<string, TreeLabel>();
  const chosen = { ...options, label: 'soft', labelUnit: 'segment', pathRule: 'all' } as const;
  for (const { segments, labels: values, intervals } of pathsOf(tree, chosen, 0)) {
    segments.forEach((_, i) => {
      const value = values[i] ?? Number.NaN;
      const interval = intervals[i] ?? [0, 1];
      if (interval[0] === interval[1] && interval[0] === value) return;
      const prefix = segments.slice(0, i + 1).flat();
      const hash = contentHash(prefix);
      if (!labels.has(hash)) labels.set(hash, { prefix, hash, value, interval });
    });
  }
  return [...labels.values()];
}

/** @param most labels, chosen by their states' hashes: the same for all methods; 0 is all */
function chosenLabels(all: readonly TreeLabel[], most: number): readonly TreeLabel[] {
  if (most === 0 || all.length <= most) return all;
  return [...all].sort((a, b) => (a.hash < b.hash ? -1 : 1)).slice(0, most);
}

function joined(parts: readonly ProblemLabels[]): ProblemLabels {
  const sum = (pick: (part: ProblemLabels) => number) =>
    parts.reduce((all, part) => all + pick(part), 0);
  return {
    labels: parts.flatMap((part) => part.labels),
    policyTokens: sum((part) => part.policyTokens),
    rollouts: sum((part) => part.rollouts),
  };
}
