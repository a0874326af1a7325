/** Beam search over 30 problems at n = 64 in virtual time: a loop of search-and-learn's shape, and ours,
 *  on a server whose clock stands still while clients work. So the figures are free of the machine
 *  and its load; `side-by-side.ts` measures the real loops over HTTP.
 *
 *  `node dist/bench/peers/virtual-beam.js [--lengths even|long-tail] [--device shared|own]
 *  [--scoring whole|cached] [--max-in-flight 768] [--latency 20] [--overlap]`: `--overlap` starts to
 *  read a path as soon as it is sampled, not when the slowest one of its round is (not in the engine). */
import { parseArgs } from 'node:util';
import { contentHash } from '../../search/rng.js';
import type { AnswerGrouper, PolicyModel, Problem, StepScorer } from '../../search/types.js';
import { simulatedOptions } from '../../src/policy/simulated.js';
import { ScheduledPolicy } from '../../src/runtime/scheduler.js';
import { solveProblem } from '../../src/runtime/solve.js';
import { benchFacts } from '../facts.js';
import { createVirtualServer, type VirtualServer } from '../servers/virtual-server.js';
import { occupancyProblems } from '../speed/occupancy.js';
import { LENGTHS, READ_MS_PER_TOKEN } from './settings.js';

const { values } = parseArgs({
  options: {
    lengths: { type: 'string', default: 'even' },
    device: { type: 'string', default: 'shared' },
    scoring: { type: 'string', default: 'whole' },
    'max-in-flight': { type: 'string', default: '768' },
    latency: { type: 'string', default: '20' },
    overlap: { type: 'boolean', default: false },
    problems: { type: 'string', default: '30' },
    n: { type: 'string', default: '64' },
  },
});
const n = Number(values.n);
const problems = occupancyProblems(Number(values.problems));
const sampling = {
  temperature: 0.8,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  maxTokens: 2048,
};

const lastSteps: AnswerGrouper = {
  async group(_problem, solutions) {
    const answers = solutions.map((steps) => steps.at(-1) ?? null);
    return { answers, groups: answers.map((answer) => answers.indexOf(answer)) };
  },
};

const peer = await measure((server) => lockStep(server, 0));
const published = await measure((server) => lockStep(server, 1));
const ours = await measure(solveAll);
const facts = { ...benchFacts(), ...values, published, peer, ours };
process.stdout.write(
  `${JSON.stringify({ ...facts, ratio: peer.seconds / ours.seconds, ratioPublished: published.seconds / ours.seconds })}\n`,
);

async function measure(run: (server: VirtualServer) => Promise<unknown>) {
  const server = createVirtualServer({
    slots: 256,
    stepBaseMs: 10,
    stepPerSequenceMs: 0.06,
    readMsPerToken: READ_MS_PER_TOKEN,
    readDevice: values.device as 'shared' | 'own',
    policy: simulatedOptions.parse(LENGTHS[values.lengths]),
    clientLatencyMs: Number(values.latency),
  });
  await server.drive(run(server));
  const { busyShare, tokens, sequences } = server.stats();
  return { seconds: server.nowMs() / 1000, occupancy: busyShare, tokens, sequences };
}

/** One problem after the other: a step for each of n beams, all texts scored, the best quarter kept
 *  and repeated to n, until none is open. Scores are random: only the shape matters here. */
async function lockStep(server: VirtualServer, lookahead: number): Promise<void> {
  let seed = 0;
  for (const problem of problems) {
    let beams: (readonly string[])[] = Array.from({ length: n }, () => []);
    for (let round = 0; round < 40 && beams.length > 0; round++) {
      const grown = await Promise.all(
        beams.map((prefix) => oneStep(server, problem, prefix, seed++)),
      );
      for (let ahead = 0; ahead < lookahead; ahead++) {
        const open = grown.filter(({ finish }) => finish === 'step');
        await Promise.all(open.map(({ steps }) => oneStep(server, problem, steps, seed++)));
      }
      await Promise.all(grown.map(({ steps }) => server.read(tokensOf(problem, steps))));
      const open = grown.filter(({ finish }) => finish === 'step');
      const kept = ranked(
        problem,
        open.map(({ steps }) => steps),
      ).slice(0, n / 4);
      beams =
        kept.length === 0 ? [] : Array.from({ length: n }, (_, i) => kept[i % kept.length] ?? []);
    }
  }
}

async function oneStep(
  policy: PolicyModel,
  problem: Problem,
  prefix: readonly string[],
  seed: number,
) {
  const { rollouts } = await policy.sample({
    problem,
    prefix,
    until: 'step',
    seeds: [seed],
    sampling,
  });
  const [rollout] = rollouts;
  return { steps: [...prefix, ...(rollout?.steps ?? [])], finish: rollout?.finish ?? 'end' };
}

async function solveAll(server: VirtualServer): Promise<void> {
  const scorer = virtualScorer(server);
  const host = values.overlap ? eagerlyScored(server, scorer) : server;
  const policy = new ScheduledPolicy(host, Number(values['max-in-flight']));
  await Promise.all(
    problems.map((problem) =>
      solveProblem(problem, {
        strategy: 'beam',
        options: { n, beamWidth: 4 },
        policy,
        scorer,
        grouper: lastSteps,
        sampling,
        now: () => 0,
      }),
    ),
  );
}

/** A policy whose open paths are put before the reward model at once. */
function eagerlyScored(policy: PolicyModel, scorer: StepScorer): PolicyModel {
  return {
    name: policy.name,
    async sample(request) {
      const reply = await policy.sample(request);
      const open = reply.rollouts.filter(({ finish }) => finish === 'step');
      const paths = open.map(({ steps }) => [...request.prefix, ...steps]);
      void scorer.score({ problem: request.problem, paths });
      return reply;
    },
  };
}

/** Reads a path whole, or only what follows the longest part that it has read before. */
function virtualScorer(server: VirtualServer): StepScorer {
  const known = new Map<string, Promise<void>>();
  return {
    name: 'virtual',
    async score({ problem, paths }) {
      const scores = await Promise.all(
        paths.map(async (steps) => {
          const key = contentHash([problem.id, ...steps]);
          const parent = contentHash([problem.id, ...steps.slice(0, -1)]);
          const cached = values.scoring === 'cached' && (known.has(parent) || steps.length === 1);
          const tokens = cached ? tokensOf(problem, steps.slice(-1)) : tokensOf(problem, steps);
          const reading = known.get(key) ?? server.read(tokens);
          known.set(key, reading);
          await reading;
          return { steps: steps.map((_, i) => chance(problem, steps.slice(0, i + 1))) };
        }),
      );
      return { paths: scores, prmTokens: 0 };
    },
  };
}

function ranked(problem: Problem, paths: readonly (readonly string[])[]) {
  return [...paths].sort((a, b) => chance(problem, b) - chance(problem, a));
}

function chance(problem: Problem, steps: readonly string[]): number {
  return Number.parseInt(contentHash([problem.id, ...steps]).slice(0, 8), 16) / 2 ** 32;
}

function tokensOf(problem: Problem, steps: readonly string[]): number {
  return [problem.question, ...steps].join(' ').split(' ').length;
}
