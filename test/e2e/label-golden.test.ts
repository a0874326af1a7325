import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { TreeJson } from '../../search/index.js';
import type { LabelLine } from '../../src/runtime/label-problem.js';
import { readJsonl, runCli, temporaryFolder, writeJsonl } from '../support/cli.js';
import { type GoldenState, HAS_GOLDEN, readGolden, referencePart } from '../support/golden.js';

const folder = temporaryFolder();

describe.skipIf(!HAS_GOLDEN)('steptree label --policy recorded repeats the MM-PRM runs', () => {
  it.concurrent.each(readGolden())('$id', async (run) => {
    const c = run.config;
    const problems = writeJsonl(join(folder, `${run.id}.problems.jsonl`), [
      { id: run.id, question: run.question, image: run.image, answer: run.answer },
    ]);
    const recording = writeJsonl(
      join(folder, `${run.id}.recorded.jsonl`),
      run.policyCalls.map((call) => ({ problemId: run.id, ...call })),
    );
    const out = join(folder, run.id);
    const result = await runCli([
      ...['label', problems, '--out', out, '--policy', `recorded:${recording}`, '--json'],
      ...['--c-puct', `${c.c_puct}`, '--alpha', `${c.alpha}`, '--beta', `${c.beta}`],
      ...['--length-scale', `${c.length_scale}`, '--num-rollouts', `${c.num_rollouts}`],
      ...['--max-search-count', `${c.max_search_count}`],
      ...['--rollout-budget', `${c.rollout_budget}`, '--path-rule', 'mm-prm'],
    ]);
    expect(result).toMatchObject({ code: 0 });
    expect(JSON.parse(result.stdout)).toMatchObject({
      status: 'done',
      rollouts: run.totalRollouts,
      problems: { done: 1, failed: 0, total: 1 },
    });

    const tree = JSON.parse(readFileSync(join(out, 'trees', `${run.id}.json`), 'utf8')) as TreeJson;
    expect(tree.image_path).toBe(run.tree.image_path);
    expect(tree.selections).toEqual(run.selections);
    expect(tree.search_count).toBe(run.searchCount);
    expect(referencePart(tree as unknown as GoldenState)).toEqual(referencePart(run.tree));

    const lines = readJsonl<LabelLine>(join(out, 'labels.jsonl'));
    expect(
      lines.map((line) => ({
        process: line.steps.map((step) => `${step}<prm>`).join('\n\n'),
        labels: line.labels,
      })),
    ).toEqual(
      run.sampledPaths.kept
        ? run.sampledPaths.paths.map(({ process, labels }) => ({ process, labels }))
        : [],
    );
  });
});
