import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  estimateOptions,
  omegaPrmOptions,
  type Problem,
  type Rollout,
  type SampleRequest,
} from '../../search/index.js';
import { parseLabelOptions } from '../../src/cli/label-options.js';
import type { PolicyHandle } from '../../src/policy/create.js';
import { LabelRun } from '../../src/runtime/label-run.js';
import { LocalLabeller } from '../../src/runtime/labeller.js';
import { benchFacts } from '../facts.js';

/** Bookkeeping per rollout against the size of the tree.
 *
 *  Floor: a rollout of 1.6 kB must be encoded and written once to the store, once to its tree file
 *  and, being right every other time, once as a path of labels.jsonl: about 15 microseconds at the
 *  speed of JSON on one core.
 *
 *  Everything of a run but the model and the answer check is in: search, seeds, call keys, run
 *  store with its commits, tree file, labels. The policy answers at once out of ready-made texts
 *  and the verdict is a string comparison, both of which are timed alone and taken off. */
const SIZES = [1_000, 20_000];
const ROUNDS = 3;
/** Of all problems of a round together, eight of which grow at the same time. */
const ROLLOUTS = 160_000;
const ROLLOUT_STEPS = 16;
const STEP_WORDS = 12;

interface Row {
  readonly rolloutsPerProblem: number;
  readonly rollouts: number;
  readonly cpuMsPerRollout: number;
}

async function main(): Promise<void> {
  const rows: Row[] = [];
  // A label job runs for days: compiling the code is no part of it.
  await measure(1_000, ROLLOUTS / 8);
  for (let round = 0; round < ROUNDS; round++) {
    // Alternating order, so that warming up favours no size.
    for (const size of round % 2 === 0 ? SIZES : [...SIZES].reverse()) {
      rows.push(await measure(size));
    }
  }
  const table = SIZES.map((size) => {
    const same = rows.filter((row) => row.rolloutsPerProblem === size);
    const costs = same.map((row) => row.cpuMsPerRollout).sort((a, b) => a - b);
    const median = costs[Math.floor(costs.length / 2)] ?? 0;
    return { size, rollouts: same[0]?.rollouts ?? 0, median, spread: costs };
  });
  for (const { size, rollouts, median, spread } of table) {
    const range = spread.map((cost) => cost.toFixed(4)).join(' ');
    process.stdout.write(
      `${String(size).padStart(6)} rollouts a problem (${rollouts} in all): ${median.toFixed(4)} ms of CPU per rollout (${range})\n`,
    );
  }
  process.stdout.write(`${JSON.stringify({ bench: 'overhead', ...benchFacts(), table })}\n`);
}

async function measure(rolloutsPerProblem: number, rollouts = ROLLOUTS): Promise<Row> {
  const problems = Math.round(rollouts / rolloutsPerProblem);
  const dir = await mkdtemp(join(tmpdir(), 'steptree-overhead-'));
  try {
    await writeFile(join(dir, 'x'), '');
    const policy = instantPolicy();
    const before = process.cpuUsage();
    const summary = await run(join(dir, 'run'), problems, rolloutsPerProblem, policy);
    const spent = process.cpuUsage(before);
    const totalMs = (spent.user + spent.system) / 1000;
    const modelMs = await modelAlone(policy, summary.rollouts);
    return {
      rolloutsPerProblem,
      rollouts: summary.rollouts,
      cpuMsPerRollout: (totalMs - modelMs) / summary.rollouts,
    };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

function run(dir: string, count: number, rolloutsPerProblem: number, policy: PolicyHandle) {
  const parsed = parseLabelOptions({});
  const seed = 1;
  const now = () => performance.now();
  const options = {
    ...parsed,
    ...omegaPrmOptions.parse({ maxSearchCount: 1_000_000, rolloutBudget: rolloutsPerProblem }),
    ...estimateOptions.parse({ numRollouts: 16 }),
  };
  const labeller = new LocalLabeller(
    {
      method: 'omegaprm',
      seed,
      options,
      sampling: parsed,
      budget: parsed,
      concurrency: 8,
      maxInFlight: 512,
    },
    {
      policy,
      verifier: {
        verify: async (problem, solutions) =>
          solutions.map((steps) => ({
            verdict: steps.at(-1) === `Answer: ${problem.answer}` ? 'equal' : 'different',
          })),
      },
      now,
    },
  );
  const label = new LabelRun(
    {
      dir,
      seed,
      options,
      strict: true,
      keepReplies: false,
      maxFailuresInARow: 1,
      limit: 0,
      identity: {},
      facts: {},
    },
    {
      problems: problemItems(count),
      labeller,
      signal: new AbortController().signal,
      now,
    },
  );
  return label.run();
}

async function* problemItems(count: number) {
  for (let i = 0; i < count; i++) {
    yield {
      problem: { id: `p${i}`, question: `question ${i}`, images: [], answer: '42' },
      line: i,
    };
  }
}

/** Rollouts out of a pool of words, distinct by their seed: half of them right, and a prefix
 *  always recoverable, so that the search never runs dry. */
function instantPolicy(): PolicyHandle {
  const words = Array.from({ length: 4096 }, (_, i) => `word${(i * 2654435761) % 10_007}`);
  const step = (seed: number, index: number) => {
    const from = (seed + index * 977) % (words.length - STEP_WORDS);
    return `${seed % 65_536}.${index} ${words.slice(from, from + STEP_WORDS).join(' ')}`;
  };
  const rollout = (request: SampleRequest, seed: number): Rollout => {
    const left = Math.max(0, ROLLOUT_STEPS - request.prefix.length);
    const steps = Array.from({ length: left }, (_, i) => step(seed, i));
    return {
      steps: [...steps, seed % 2 === 0 ? 'Answer: 42' : 'Answer: 41'],
      finish: 'end',
      policyTokens: 300,
    };
  };
  return {
    kind: 'simulated',
    name: 'instant',
    checksImages: false,
    takesTurns: false,
    maxInFlight: 512,
    identity: {},
    sample: async (request) => ({
      rollouts: request.seeds.map((seed) => rollout(request, seed)),
      promptTokens: 300,
      cachedTokens: 0,
    }),
    describe: () => ({}),
    stats: async () => ({}),
    close: async () => {},
  };
}

/** CPU of the policy's own text making, which is not bookkeeping. */
async function modelAlone(policy: PolicyHandle, rollouts: number): Promise<number> {
  const problem: Problem = { id: 'p', question: 'q', images: [], answer: '42' };
  const sampling = parseLabelOptions({});
  const before = process.cpuUsage();
  for (let made = 0; made < rollouts; made += 16) {
    const seeds = Array.from({ length: 16 }, (_, i) => made * 31 + i);
    await policy.sample({ problem, prefix: [], until: 'end', seeds, sampling });
  }
  const spent = process.cpuUsage(before);
  return (spent.user + spent.system) / 1000;
}

await main();
