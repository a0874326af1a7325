import { z } from 'zod';
import type { Aggregation } from '../aggregate.js';
import type { SearchContext } from '../context.js';
import {
  isComplete,
  isOpen,
  nextSteps,
  type PartialPath,
  type ScoredPath,
  scorePaths,
} from '../expand.js';
import { aggregationShape, count, maxStepsField, nField, selectionField } from './options.js';
import { type NodeIndex, type PuctRules, PuctTree } from './puct-tree.js';
import { conclude, type Draft, type Strategy } from './result.js';
import { toDraft } from './step-beam.js';

export const mctsOptions = z.strictObject({
  n: nField,
  simulations: count.default(256).describe('simulations at most'),
  simulation: z
    .enum(['solution', 'step'])
    .default('solution')
    .describe(
      'where a simulation ends: at a solution, going on from the best new step each time, or at the first new steps',
    ),
  leafBatch: count
    .default(1)
    .describe(
      'leaves expanded side by side; virtual loss keeps them apart, so a large batch makes a small search broad',
    ),
  width: count.default(4).describe('next steps sampled when a state is expanded'),
  maxChildren: count.default(8).describe('next steps of a state at most'),
  wideningScale: z
    .number()
    .min(0)
    .default(1)
    .describe('progressive widening: a state may have scale * visits^exponent children'),
  wideningExponent: z.number().min(0).max(1).default(0.5).describe('see --widening-scale'),
  cPuct: z
    .number()
    .min(0)
    .default(0.3)
    .describe(
      'weight of exploration; board games use 1.25, but scores of steps differ by tenths and simulations are few',
    ),
  cBase: z.number().gt(0).default(19652).describe('visits at which exploration begins to grow'),
  priorTemperature: z
    .number()
    .gt(0)
    .default(0.5)
    .describe('prior of a step: softmax of the scores of its siblings at this temperature'),
  backup: z
    .enum(['mean', 'max'])
    .default('mean')
    .describe('Q of a state: mean or maximum of the values found below it'),
  patience: z
    .int()
    .min(0)
    .default(64)
    .describe('stop when the best solution was the same for so many simulations; 0 never'),
  ...aggregationShape('last'),
  maxSteps: maxStepsField,
  ...selectionField('vanilla'),
});

type MctsOptions = z.infer<typeof mctsOptions>;

/** Monte Carlo tree search over steps with PUCT (as openr, arXiv 2410.09671, runs it; selection
 *  after AlphaZero, arXiv 1712.01815). A simulation walks down to a state that wants children and samples
 *  next steps there. Then it goes on from the best new one in the same way until it has a complete solution,
 *  and backs up that solution's score, as openr does; with `simulation: 'step'` it ends at once and backs
 *  up the best new step's score, as AlphaZero does, and finds solutions only by and by. There are no
 *  rollouts: the score of a prefix is its value. The answer is chosen among the complete solutions found.
 *
 *  Simulations that need nothing from the policy run without leaving the thread; those that do are
 *  gathered, `leafBatch` at a time, and applied in the order in which they were selected. */
export const mcts: Strategy<MctsOptions> = async (_problem, context, options) => {
  const search = new MctsSearch(context, options);
  const stopped = await search.run();
  return {
    ...(await conclude(context, {
      strategy: 'mcts',
      drafts: search.drafts(),
      selection: options.selection,
      scoring: options,
      stopped,
    })),
    details: { simulations: search.simulations, states: search.tree.size },
    ...(search.tree.size <= MAX_TOLD_STATES ? { states: search.tree.states() } : {}),
  };
};

/** A larger tree is for nobody's eyes, and would be most of the result. */
const MAX_TOLD_STATES = 20_000;

class MctsSearch {
  readonly tree: PuctTree;
  simulations = 0;
  private readonly complete: NodeIndex[] = [];
  /** The first few paths that led nowhere, so that a result without solutions can say why. */
  private readonly failed: Draft[] = [];
  private bestScore = Number.NEGATIVE_INFINITY;
  /** The simulation that found the best solution. */
  private bestSince = 0;

  constructor(
    private readonly context: SearchContext,
    private readonly options: MctsOptions & PuctRules & Aggregation,
  ) {
    this.tree = new PuctTree(options);
  }

  /** @returns why it ended */
  async run(): Promise<string> {
    let going: readonly NodeIndex[] = [];
    for (;;) {
      const stopped = this.context.exhausted() ?? this.stopReason();
      if (stopped) return stopped;
      const fresh = this.selectBatch(going.length);
      if (fresh === null && going.length === 0) return 'noOpenStates';
      const leaves = [...going, ...(fresh ?? [])];
      going = leaves.length > 0 ? await this.expand(leaves) : [];
    }
  }

  drafts(): Draft[] {
    const found = this.complete.flatMap((node) => toDraft(this.tree.path(node)));
    return found.length > 0 ? found : this.failed;
  }

  private stopReason(): string | null {
    const { n, simulations, patience } = this.options;
    if (this.complete.length >= n) return 'done';
    if (this.simulations >= simulations) return 'simulations';
    const settled = this.complete.length > 0 && this.simulations - this.bestSince >= patience;
    return patience > 0 && settled ? 'converged' : null;
  }

  /** Runs simulations until a batch of leaves waits for children.
   *  @param going simulations that go on from earlier leaves, and have their places in the batch
   *  @returns null if no simulation is possible */
  private selectBatch(going: number): NodeIndex[] | null {
    const leaves: NodeIndex[] = [];
    for (let walked = 0; walked < WALKS_BETWEEN_LOOKS; walked++) {
      const underWay = going + leaves.length;
      const room = this.options.simulations - this.simulations - underWay;
      if (underWay >= this.options.leafBatch || room <= 0 || this.stopReason()) break;
      const leaf = this.tree.selectLeaf();
      if (leaf === null) return walked === 0 ? null : leaves;
      if (this.tree.isComplete(leaf)) {
        this.tree.backup(leaf, this.tree.value(leaf));
        this.simulations++;
      } else {
        this.tree.begin(leaf);
        leaves.push(leaf);
      }
    }
    return leaves;
  }

  /** @returns leaves from which the simulations go on */
  private async expand(leaves: readonly NodeIndex[]): Promise<NodeIndex[]> {
    const { tree, context, options } = this;
    const wishes = leaves.map((leaf) => ({ path: tree.path(leaf), n: tree.wantedChildren(leaf) }));
    const sampled = await nextSteps(context, wishes, options.maxSteps);
    const living: PartialPath[] = [];
    const counts = sampled.map((children, i) => {
      const before = living.length;
      for (const path of tree.newChildren(leaves[i] ?? 0, children)) {
        if (isOpen(path) || isComplete(path)) living.push(path);
        else if (this.failed.length < options.n) this.failed.push(...toDraft(path));
      }
      return living.length - before;
    });
    const scored = await scorePaths(context, living, options);
    let at = 0;
    return leaves.flatMap((leaf, i) => {
      const first = at;
      at += counts[i] ?? 0;
      return this.apply(leaf, scored.slice(first, at)) ?? [];
    });
  }

  private apply(leaf: NodeIndex, children: readonly ScoredPath[]): NodeIndex | null {
    // Solutions beyond the n-th are dropped: a budget of n must not be judged on more.
    let room = this.options.n - this.complete.length;
    const kept = children.filter((path) => isOpen(path) || room-- > 0);
    const first = this.tree.size;
    const next = this.tree.settle(leaf, kept, this.options.simulation === 'solution');
    if (next === null) this.simulations++;
    else this.tree.begin(next);
    for (let node = first; node < this.tree.size; node++) {
      if (!this.tree.isComplete(node)) continue;
      this.complete.push(node);
      if (this.tree.value(node) <= this.bestScore) continue;
      this.bestScore = this.tree.value(node);
      this.bestSince = this.simulations;
    }
    return next;
  }
}

/** Simulations in a row without a look at the budget: some milliseconds. */
const WALKS_BETWEEN_LOOKS = 4096;
