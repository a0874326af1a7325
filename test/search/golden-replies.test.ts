import { describe, expect, it } from 'vitest';
import {
  contentHash,
  type PolicyModel,
  type Rollout,
  STRATEGY_NAMES,
  type Step,
  strategyNamed,
} from '../../search/index.js';
import { fakeContext, fakeCritic, fakeScorer, memoryStore, PROBLEM } from '../support/fakes.js';

/** What runs of today ask and store must stay what runs of yesterday asked and stored: a stored
 *  reply is found by its key, and a seed that changes changes every result. The golden file holds
 *  a digest of all keys, values, seeds, requests and results of each strategy. */

const EXTRA: Record<string, Record<string, unknown>[]> = {
  beam: [{ n: 8, beamWidth: 4 }],
  dvts: [{ n: 8, beamWidth: 4 }],
  mcts: [
    { n: 30, simulations: 80, leafBatch: 1, patience: 0 },
    { n: 30, simulations: 120, leafBatch: 8, patience: 0, maxChildren: 5 },
    { n: 12, simulations: 120, leafBatch: 4, backup: 'max', aggregation: 'mean', window: 2 },
  ],
};
const KNOWN = { n: 7, beamWidth: 2, maxSteps: 6, simulations: 60 };

const pick = (parts: readonly string[], ways: number) =>
  Number.parseInt(contentHash(parts).slice(0, 6), 16) % ways;

function recordedWorld() {
  const log: unknown[] = [];
  const policy: PolicyModel = {
    name: 'golden',
    async sample({ prefix, seeds, until, sampling }) {
      log.push(['sample', prefix, until, seeds, sampling.temperature]);
      const rollouts = seeds.map((seed): Rollout => {
        const steps: Step[] = [];
        for (;;) {
          const way = pick([String(seed), ...prefix, ...steps], 20);
          const depth = prefix.length + steps.length;
          if (way === 0) return { steps, finish: 'length', policyTokens: 9 };
          if (way === 1) return { steps: [...steps, ''], finish: 'step', policyTokens: 1 };
          if (depth >= 4 || way < 5) {
            return { steps: [...steps, `Answer: ${way % 3}`], finish: 'end', policyTokens: 3 };
          }
          steps.push(`step ${way % 4} é`);
          if (until === 'step') return { steps, finish: 'step', policyTokens: 2 };
        }
      });
      return { rollouts, promptTokens: 5, cachedTokens: 1 };
    },
  };
  const scores = fakeScorer((step, before) => pick([step, ...before], 101) / 100);
  const scorer = {
    ...scores,
    score: (request: Parameters<typeof scores.score>[0]) => {
      log.push(['score', request.paths]);
      return scores.score(request);
    },
  };
  const critic = fakeCritic((steps) => {
    const firstError = pick(['error', ...steps], 3) === 0 ? null : pick(steps, steps.length);
    return {
      firstError,
      findings: steps.map((step) => ({ probability: pick([step], 11) / 10 })),
      ...(firstError === null ? {} : { correction: 'corrected' }),
    };
  });
  const store = memoryStore();
  return { log, store, context: fakeContext(policy, { scorer, critic, store, seed: 11 }) };
}

type World = ReturnType<typeof recordedWorld>;

/** Counts in a result's `details` are left out: a strategy may come to count more. */
function digest({ log, store }: World, result: object) {
  const entries = [...store.entries].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    entries: entries.length,
    firstKey: entries[0]?.[0],
    lastKey: entries.at(-1)?.[0],
    stored: contentHash([JSON.stringify(entries)]),
    asked: contentHash([JSON.stringify(log)]),
    result: contentHash([JSON.stringify({ ...result, details: undefined })]),
  };
}

describe('keys, seeds, requests and results stay those of earlier versions', () => {
  it.each(STRATEGY_NAMES)('of %s', async (name) => {
    const entry = strategyNamed(name);
    const known = Object.entries(KNOWN).filter(([key]) => key in entry.options.shape);
    const runs: unknown[] = [];
    for (const options of [Object.fromEntries(known), ...(EXTRA[name] ?? [])]) {
      const world = recordedWorld();
      const result = await entry.solve(PROBLEM, world.context, options);
      runs.push(digest(world, result));
    }
    await expect(`${JSON.stringify(runs, null, 2)}\n`).toMatchFileSnapshot(
      `../golden/replies/${name}.json`,
    );
  });

  it('of graded rollouts', async () => {
    const world = recordedWorld();
    const first = await world.context.gradedRollouts(['a', 'b'], { n: 3 });
    const more = await world.context.gradedRollouts(['a', 'b'], { n: 2, purpose: 'rollout' });
    const other = await world.context.gradedRollouts([], { n: 2, purpose: 'value' });
    await world.context.sample([], { n: 1, until: 'step', temperature: 0 });
    await expect(
      `${JSON.stringify(digest(world, { first, more, other, usage: world.context.usage }), null, 2)}\n`,
    ).toMatchFileSnapshot('../golden/replies/graded-rollouts.json');
  });
});
