import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { NO_BUDGET, type PolicyModel, type Problem } from '../../search/index.js';
import { BenchRun } from '../../src/evaluate/bench-run.js';
import { makeCells } from '../../src/evaluate/cells.js';
import { summarize, summaryTable } from '../../src/evaluate/summary.js';
import { temporaryFolder } from '../support/cli.js';
import { fakePolicy, fakeScorer, lastStepGrouper, lastStepVerifier } from '../support/fakes.js';

const folder = temporaryFolder();
let runs = 0;

const problems: Problem[] = ['a', 'b'].map((id) => ({
  id,
  question: id,
  images: [],
  answer: '42',
}));

/** Three of four samples say 41, so majority is wrong where the oracle is right. */
const mostlyWrong = () => {
  let drawn = 0;
  return fakePolicy(() => [drawn++ % 4 === 3 ? 'Answer: 42' : 'Answer: 41']);
};

function run(policy: PolicyModel, dir = join(folder, `run-${runs++}`)) {
  const cells = makeCells(['majority', 'best-of-n:selection=majority'], [1, 4]);
  const bench = new BenchRun(
    {
      dir,
      cells,
      seeds: [1],
      sampling: { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, maxTokens: 100 },
      budget: NO_BUDGET,
      concurrency: 1,
      identity: { made: 'by this test' },
    },
    {
      problems,
      policy,
      scorer: fakeScorer(() => 0.5),
      grouper: lastStepGrouper,
      verifier: lastStepVerifier,
      signal: new AbortController().signal,
      now: () => 0,
    },
  );
  return { dir, cells, outcome: bench.run() };
}

it('runs every cell, and cells share the samples that they have in common', async () => {
  const policy = mostlyWrong();
  const { dir, cells, outcome } = run(policy);
  const { rows, failures } = await outcome;
  expect(failures).toEqual([]);
  expect(rows).toHaveLength(2 * 4);
  // 4 samples a problem in calls of 1, 1 and 2, whatever the number of cells that use them.
  expect(policy.calls.map(({ n }) => n)).toEqual([1, 1, 2, 1, 1, 2]);
  const at4 = summarize(cells, rows, 'majority').find(({ cell }) => cell === 'majority @4');
  expect(at4).toMatchObject({ accuracy: { mean: 0 }, oracle: { mean: 1 }, policyTokens: 4 });
  expect(readFileSync(join(dir, 'results.jsonl'), 'utf8').trim().split('\n')).toHaveLength(8);
});

it('compares with the baseline at the same N', async () => {
  const { cells, outcome } = run(mostlyWrong());
  const summary = summarize(cells, (await outcome).rows, 'majority');
  expect(summary.map(({ againstBaseline }) => againstBaseline?.mean)).toEqual([
    undefined,
    undefined,
    0,
    0,
  ]);
});

it("says how much of the baseline's tokens a strategy spent", async () => {
  const { cells, outcome } = run(mostlyWrong());
  const { rows } = await outcome;
  const cheaper = rows.map((row) =>
    row.strategy === 'majority' ? row : { ...row, policyTokens: row.policyTokens * 0.75 },
  );
  const summary = summarize(cells, cheaper, 'majority');
  expect(summary.map(({ tokensOfBaseline }) => tokensOfBaseline)).toEqual([
    undefined,
    undefined,
    0.75,
    0.75,
  ]);
  expect(summaryTable(summary, 'majority')).toContain('| 75 % |');
});

it('asks nothing again when it resumes, and ends with the same rows', async () => {
  const first = run(mostlyWrong());
  const { rows } = await first.outcome;
  const nobody = fakePolicy(() => {
    throw new Error('nobody should ask');
  });
  expect((await run(nobody, first.dir).outcome).rows).toEqual(rows);
});

it('reports a problem whose calls fail, keeps the others, and tries it again', async () => {
  const good = mostlyWrong();
  const failing: PolicyModel = {
    name: 'failing',
    sample: (request) =>
      request.problem.id === 'a' ? Promise.reject(new Error('down')) : good.sample(request),
  };
  const { dir, outcome } = run(failing);
  const { rows, failures } = await outcome;
  expect(failures).toMatchObject([{ id: 'a', seed: 1, message: 'down' }]);
  expect(new Set(rows.map(({ id }) => id))).toEqual(new Set(['b']));
  const again = await run(mostlyWrong(), dir).outcome;
  expect(again.failures).toEqual([]);
  expect(again.rows).toHaveLength(8);
});
