import {
  type AnswerGrouper,
  NO_BUDGET,
  type PolicyModel,
  SearchContext,
  STRATEGIES,
  type Step,
  type StepScorer,
  type Verifier,
} from '../../search/index.js';
import { mctsOptions } from '../../search/strategies/mcts.js';
import { PuctTree } from '../../search/strategies/puct-tree.js';
import { memoryReplies } from '../../src/runtime/solve.js';
import { benchFacts } from '../facts.js';

/** CPU time of one MCTS simulation with a policy and a reward model that answer at once, from 100 to
 *  100,000 simulations on one core. `--only NAMES` measures some of:
 *
 *  `tree`: the tree alone; every simulation walks down, adds 4 children and backs up.
 *  `finite`: the whole strategy, context, keys, seeds and store included, on a tree whose states
 *  have 4 next steps and whose solutions have 3 steps: once it is known, simulations ask nothing.
 *  `deep`: the same where solutions have 40 steps, so that every simulation asks for 4 samples and 4
 *  scores, without a store: the cost of asking, which an instant model shows and a real one hides.
 *  `stored`: `deep` with a store in memory, so that each reply has its key and its promise.
 *  Floor: a walk of 6 levels reads about 24 children in seven arrays, some 0.3 microseconds.
 *
 *  Usage: node dist/bench/speed/mcts.js [--rounds R] [--only tree,deep] */
const COUNTS = [100, 1_000, 10_000, 100_000];
const TREES = {
  tree: { steps: 0, store: false },
  finite: { steps: 3, store: true },
  deep: { steps: 40, store: false },
  stored: { steps: 40, store: true },
} as const;
const NAMES = ['tree', 'finite', 'deep', 'stored'] as const;
/** Simulations of one step, so that one costs the same at any depth of the solution. */
const OPTIONS = {
  n: 1_000_000,
  simulation: 'step',
  leafBatch: 32,
  maxChildren: 4,
  patience: 0,
  maxSteps: 64,
} as const;

interface Point {
  readonly tree: keyof typeof TREES;
  readonly simulations: number;
  readonly states: number;
  readonly policySamples: number;
  readonly perSecond: number;
  readonly microsecondsEach: number;
  /** Fastest and slowest round. */
  readonly spread: readonly [number, number];
}

async function main(): Promise<void> {
  const at = process.argv.indexOf('--rounds');
  const rounds = at < 0 ? 5 : Number(process.argv[at + 1]);
  const only = process.argv.indexOf('--only');
  const names = NAMES.filter(
    (name) => only < 0 || (process.argv[only + 1] ?? '').split(',').includes(name),
  );
  // Compiled once before anything is timed.
  for (const tree of names) await timed(tree, 5_000);
  const points: Point[] = [];
  for (const tree of names) {
    for (const simulations of COUNTS) {
      // Short runs are repeated within a round, since a clock can't time a few milliseconds well.
      const repeats = Math.max(1, Math.ceil(5_000 / simulations));
      const runs = [];
      for (let round = 0; round < rounds; round++)
        runs.push(await timed(tree, simulations, repeats));
      const micros = runs.map((run) => run.microsecondsEach).sort((a, b) => a - b);
      const median = micros[micros.length >> 1] ?? Number.NaN;
      const point: Point = {
        tree,
        simulations,
        states: runs[0]?.states ?? 0,
        policySamples: runs[0]?.policySamples ?? 0,
        perSecond: Math.round(1e6 / median),
        microsecondsEach: rounded(median),
        spread: [rounded(micros[0] ?? 0), rounded(micros.at(-1) ?? 0)],
      };
      points.push(point);
      process.stdout.write(
        `${tree.padEnd(6)} ${String(simulations).padStart(7)} simulations: ${point.microsecondsEach} us each (${point.spread.join('-')}), ${point.perSecond} per second, ${point.states} states\n`,
      );
    }
  }
  process.stdout.write(`${JSON.stringify({ bench: 'mcts', ...benchFacts(), rounds, points })}\n`);
}

async function timed(tree: keyof typeof TREES, simulations: number, repeats = 1) {
  let states = 0;
  let policySamples = 0;
  const started = process.cpuUsage();
  for (let i = 0; i < repeats; i++) {
    if (tree === 'tree') {
      states = growTree(simulations);
      continue;
    }
    const context = instantContext(TREES[tree], i);
    const options = { ...OPTIONS, simulations };
    const result = await STRATEGIES.mcts.solve(context.problem, context, options);
    if (result.details?.simulations !== simulations) throw new Error('ended early');
    states = result.details?.states ?? 0;
    policySamples = context.usage.rollouts;
  }
  const { user, system } = process.cpuUsage(started);
  return { states, policySamples, microsecondsEach: (user + system) / (simulations * repeats) };
}

/** @returns states of a tree after so many simulations, each of which adds four */
function growTree(simulations: number): number {
  const tree = new PuctTree(mctsOptions.parse({ ...OPTIONS, simulations }));
  for (let i = 0; i < simulations; i++) {
    const leaf = tree.selectLeaf();
    if (leaf === null) throw new Error('no leaf');
    tree.begin(leaf);
    const { steps } = tree.path(leaf);
    const children = ['0', '1', '2', '3'].map((way) => {
      return {
        steps: [...steps, way],
        finish: 'step',
        policyTokens: 1,
        score: scoreOf(way),
      } as const;
    });
    tree.settle(leaf, children);
  }
  return tree.size;
}

/** Four distinct next steps per state, a score that depends on the last step's text. */
function instantContext(
  { steps: depth, store }: (typeof TREES)[keyof typeof TREES],
  seed: number,
): SearchContext {
  const policy: PolicyModel = {
    name: 'instant',
    async sample({ prefix, seeds }) {
      const finish = prefix.length + 1 === depth ? 'end' : 'step';
      const rollouts = seeds.map((_, i) => {
        const steps: Step[] = [`step ${prefix.length} way ${i}`];
        return { steps, finish, policyTokens: 10 } as const;
      });
      return { rollouts, promptTokens: 0, cachedTokens: 0 };
    },
  };
  const scorer: StepScorer = {
    name: 'instant',
    async score({ paths }) {
      return { paths: paths.map((steps) => ({ steps: steps.map(scoreOf) })), prmTokens: 0 };
    },
  };
  const grouper: AnswerGrouper = {
    async group(_problem, solutions) {
      const answers = solutions.map((steps) => steps.at(-1) ?? '');
      const names = [...new Set(answers)];
      const groupOf = new Map(names.map((name, i) => [name, i]));
      return { answers, groups: answers.map((answer) => groupOf.get(answer) ?? -1) };
    },
  };
  const verifier: Verifier = { verify: async () => [] };
  return new SearchContext({
    problem: { id: `p${seed}`, question: 'q', images: [] },
    seed,
    policy,
    scorer,
    grouper,
    verifier,
    ...(store ? { store: memoryReplies() } : {}),
    budget: NO_BUDGET,
    sampling: { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, maxTokens: 64 },
    now: () => performance.now(),
  });
}

function scoreOf(step: Step): number {
  return 0.5 + 0.1 * (step.charCodeAt(step.length - 1) - 48);
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

await main();
