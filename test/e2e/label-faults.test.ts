import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  type SimulatedServer,
  startSimulatedServer,
} from '../../bench/servers/simulated-server.js';
import type { LabelLine } from '../../src/runtime/label-problem.js';
import { readJsonl, runCli, simpleProblems, temporaryFolder, writeJsonl } from '../support/cli.js';

const folder = temporaryFolder();
const rows = simpleProblems(40);
const problems = writeJsonl(join(folder, 'problems.jsonl'), rows);
const reference = join(folder, 'reference');
/** Of each kind 4 %: a fifth of all requests fails. */
const FAULTS = { error500: 0.04, busy429: 0.04, reset: 0.04, cutJson: 0.04, hang: 0.04 };
let server: SimulatedServer;

beforeAll(async () => {
  server = await startSimulatedServer({
    problems: rows.map((row) => ({ ...row, images: [] })),
    speedup: 0,
    retryAfterSeconds: 0,
  });
  expect(await runCli(command(reference))).toMatchObject({ code: 0 });
});

afterAll(() => server.close());

function command(out: string, more: readonly string[] = []): string[] {
  return [
    ...['label', problems, '--out', out, '--policy', server.url, '--continuation', 'prefill'],
    ...['--rollout-budget', '60', '--num-rollouts', '8', '--json', '--quiet'],
    ...['--retry-base-ms', '5', '--retry-cap-ms', '50', ...more],
  ];
}

it('with a fifth of the requests failing, every problem ends with the labels of the fault-free run', async () => {
  server.setFaults(FAULTS);
  server.resetStats();
  const out = join(folder, 'faulty');
  // Long enough for a busy machine, short enough that hung requests are noticed.
  const result = await runCli(command(out, ['--request-timeout-ms', '3000']));
  const { faults } = server.stats();
  server.setFaults({});
  for (const kind of Object.keys(FAULTS)) expect(faults[kind] ?? 0).toBeGreaterThan(0);
  expect(result).toMatchObject({ code: 0 });
  expect(JSON.parse(result.stdout)).toMatchObject({ problems: { done: 40, failed: 0 } });
  expect(readFileSync(join(out, 'labels.jsonl'), 'utf8')).toBe(
    readFileSync(join(reference, 'labels.jsonl'), 'utf8'),
  );
});

it('without retries the hit problems land in failed.jsonl with their reason, the others keep their labels, and a second run mends them', async () => {
  server.setFaults({ error500: 0.05 });
  const out = join(folder, 'failing');
  const result = await runCli(command(out, ['--max-retries', '0']));
  server.setFaults({});
  const failed = readJsonl<{ id: string; code: string; message: string }>(
    join(out, 'failed.jsonl'),
  );
  expect(result.code).toBe(1);
  expect(failed.length).toBeGreaterThan(0);
  expect(failed.length).toBeLessThan(40);
  for (const line of failed) {
    expect(line).toMatchObject({ code: 'POLICY_CALL_FAILED' });
    expect(line.message).toMatch(/500/);
  }
  // Nothing counts as a wrong answer because a call failed: what is labelled, is labelled alike.
  const failedIds = new Set(failed.map((line) => line.id));
  const expected = readJsonl<LabelLine>(join(reference, 'labels.jsonl'));
  expect(readJsonl(join(out, 'labels.jsonl'))).toEqual(
    expected.filter((line) => !failedIds.has(line.id)),
  );

  const mended = await runCli(command(out, ['--max-retries', '0']));
  expect(mended.code).toBe(0);
  expect(readJsonl(join(out, 'failed.jsonl'))).toEqual([]);
  expect(readJsonl(join(out, 'labels.jsonl'))).toEqual(expected);
});

it('stops with a clear word when the server is gone, and leaves the rest for the next run', async () => {
  const out = join(folder, 'gone');
  server.setFaults({ error500: 1 });
  const result = await runCli(
    command(out, ['--max-retries', '0', '--max-failures-in-a-row', '5', '--concurrency', '2']),
  );
  server.setFaults({});
  expect(result.code).toBe(1);
  expect(result.stderr).toMatch(/POLICY_DOWN/);
  expect(readJsonl(join(out, 'failed.jsonl')).length).toBeLessThan(10);
  const resumed = await runCli(command(out));
  expect(JSON.parse(resumed.stdout)).toMatchObject({ problems: { done: 40, failed: 0 } });
});
