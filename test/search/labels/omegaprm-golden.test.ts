import { describe, expect, it } from 'vitest';
import {
  estimateOptions,
  omegaPrm,
  omegaPrmOptions,
  pathOptions,
  processText,
  trainingPaths,
  treeFromJson,
  treeToJson,
} from '../../../search/index.js';
import { fakeContext, fakePolicy } from '../../support/fakes.js';
import { type GoldenState, HAS_GOLDEN, readGolden, referencePart } from '../../support/golden.js';

describe.skipIf(!HAS_GOLDEN)('omegaPrm repeats the recorded MM-PRM runs', () => {
  it.each(readGolden())('$id: selections, tree and paths', async (run) => {
    const problem = { id: run.id, question: run.question, images: [], answer: run.answer };
    const calls = [...run.policyCalls];
    const policy = fakePolicy((prefix, index) => {
      const call = calls.find((one) => JSON.stringify(one.prefix) === JSON.stringify(prefix));
      const rollout = call?.rollouts[index];
      if (!rollout) throw new Error(`the reference never sampled from ${JSON.stringify(prefix)}`);
      return rollout;
    });
    const context = fakeContext(policy, { problem });
    const c = run.config;
    const result = await omegaPrm(problem, context, {
      ...omegaPrmOptions.parse({
        cPuct: c.c_puct,
        alpha: c.alpha,
        beta: c.beta,
        lengthScale: c.length_scale,
        maxSearchCount: c.max_search_count,
        rolloutBudget: c.rollout_budget,
      }),
      ...estimateOptions.parse({ numRollouts: c.num_rollouts }),
    });
    const json = treeToJson(problem, result, {
      method: 'omegaprm',
      totalRollouts: context.usage.rollouts,
      warnings: [],
    });

    expect(json.selections).toEqual(run.selections);
    expect(policy.calls.map((call) => call.prefix)).toEqual(run.policyCalls.map((p) => p.prefix));
    expect(json.total_rollouts).toBe(run.totalRollouts);
    expect(json.search_count).toBe(run.searchCount);
    expect(referencePart(json as unknown as GoldenState)).toEqual(referencePart(run.tree));

    const options = { ...pathOptions.parse({ pathRule: 'mm-prm' }), ...RULE };
    const paths = trainingPaths(treeFromJson(json), options, 'any');
    const root = run.tree.mc_value;
    expect(run.sampledPaths.kept).toBe(root !== 0 && root !== 1);
    expect(
      paths.map(({ segments, labels, negative }) => ({
        process: processText(segments),
        labels,
        negative,
      })),
    ).toEqual(run.sampledPaths.kept ? run.sampledPaths.paths : []);
  });
});

const RULE = { label: 'soft', labelThreshold: 0, consensusRule: 'and' } as const;
