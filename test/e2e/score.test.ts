import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ScriptedServer } from '../policy/openai/scripted-server.js';
import { sendJson } from '../policy/openai/scripted-server.js';
import { startToyServer } from '../prm/toy-server.js';
import { readJsonl, runCli, temporaryFolder, writeJsonl } from '../support/cli.js';

const folder = temporaryFolder();
let server: ScriptedServer;
beforeAll(async () => {
  server = await startToyServer((call, reply) => {
    if (!JSON.stringify(call.body).includes('unscorable')) return reply;
    sendJson(call.response, 400, { error: { message: 'too long' } });
    return undefined;
  });
  await sharp({ create: { width: 4, height: 4, channels: 3, background: '#fff' } })
    .png()
    .toFile(join(folder, 'good.png'));
});
afterAll(() => server.close());

const score = (file: string, ...more: string[]) =>
  runCli(['score', file, '--prm', server.url, '--quiet', '--prm-max-retries', '0', ...more]);

describe('steptree score', () => {
  it('gives raw step scores and every aggregate of each solution, in file order', async () => {
    const file = writeJsonl(join(folder, 'good.jsonl'), [
      {
        id: 'a',
        question: 'How many?',
        image: 'good.png',
        solutions: [['one p=0.5', 'two p=0.8'], ['three p=0.9']],
      },
      { id: 'b', question: 'How long?', choices: ['1', '2'], steps: ['four p=0.25'] },
      { id: 'b', question: 'How long?', choices: ['1', '2'], steps: ['five p=0.75'] },
    ]);
    const { code, stdout } = await score(file, '--json', '--aggregation', 'product');
    expect(code).toBe(0);
    const { results, ...summary } = JSON.parse(stdout);
    expect(summary).toMatchObject({
      scored: 3,
      failed: 0,
      rejected: [],
      prm: { kind: 'token-logits', model: 'm', template: 'plain' },
      stats: { readings: 5, missing: 0 },
    });
    expect(results.map((one: { id: string; line: number }) => [one.id, one.line])).toEqual([
      ['a', 1],
      ['b', 2],
      ['b', 3],
    ]);
    const [{ paths, best }] = results;
    // Products 0.5 · 0.8 = 0.4 and 0.9.
    expect(best).toBe(1);
    expect(paths[0].score).toBeCloseTo(0.4, 9);
    for (const [name, value] of Object.entries({
      min: 0.5,
      last: 0.8,
      product: 0.4,
      mean: 0.65,
      max: 0.8,
      // ln 0.4, ln 1 + ln 4, (1 + 4)/2, and 1 / (1 + e^(-ln 4 / 2)) = 2/3
      sumLog: Math.log(0.4),
      sumLogit: Math.log(4),
      meanOdds: 2.5,
      sigmoidMeanLogit: 2 / 3,
    })) {
      expect(paths[0].aggregates[name], name).toBeCloseTo(value, 9);
    }
  });

  it('writes a line per problem to --out, and with a window looks at the last steps only', async () => {
    const file = writeJsonl(join(folder, 'window.jsonl'), [
      { id: 'a', question: 'q', steps: ['x p=0.1', 'y p=0.5', 'z p=0.7'] },
    ]);
    const out = join(folder, 'scores', 'out.jsonl');
    const { code, stdout } = await score(file, '--out', out, '--window', '2');
    expect([code, stdout]).toEqual([0, '']);
    const [line] = readJsonl<{ paths: { score: number; aggregates: { min: number } }[] }>(out);
    expect(line?.paths[0]?.score).toBeCloseTo(0.6, 9);
    expect(line?.paths[0]?.aggregates.min).toBeCloseTo(0.5, 9);
  });

  it('prints a line per solution for people', async () => {
    const file = writeJsonl(join(folder, 'people.jsonl'), [
      { id: 'a', question: 'q', solutions: [['x p=0.1'], ['y p=0.5', 'z p=0.7']] },
    ]);
    expect((await score(file)).stdout).toBe(
      'a path 1: 0.100 -> 0.100\na path 2: 0.500 0.700 -> 0.600 *\n',
    );
  });

  it('names bad lines and lost problems, scores the rest, and exits with 2 or 1', async () => {
    const file = join(folder, 'bad.jsonl');
    const good = { id: 'g', question: 'q', steps: ['p=0.5'] };
    writeFileSync(
      file,
      [
        JSON.stringify(good),
        '{"id": "cut", ',
        JSON.stringify({ id: 'none', question: 'q' }),
        JSON.stringify({ ...good, solutions: [['a']] }),
        JSON.stringify({ ...good, steps: ['a', ' '] }),
        JSON.stringify({ id: 's', question: 'q', solutions: [['a'], []] }),
        JSON.stringify({ ...good, image: 'missing.png' }),
        JSON.stringify({ ...good, stepz: 1 }),
        JSON.stringify({ ...good, id: 'u', steps: ['unscorable'] }),
      ].join('\n'),
    );
    const { code, stdout } = await score(file, '--json');
    expect(code).toBe(2);
    const { results, rejected } = JSON.parse(stdout);
    const lines = rejected.map((one: { line: number; code: string }) => [one.line, one.code]);
    expect(lines).toEqual([
      [2, 'PROBLEM_JSON_INVALID'],
      [3, 'PROBLEM_FIELD_INVALID'],
      [4, 'PROBLEM_FIELD_INVALID'],
      [5, 'PROBLEM_FIELD_INVALID'],
      [6, 'PROBLEM_FIELD_INVALID'],
      [7, 'PROBLEM_IMAGE_MISSING'],
      [8, 'PROBLEM_FIELD_UNKNOWN'],
    ]);
    expect(rejected[4].message).toContain('line 6, field solutions.1');
    expect(results).toMatchObject([
      { id: 'g', best: 0 },
      { id: 'u', error: { code: 'POLICY_CALL_REFUSED' } },
    ]);
    const lost = writeJsonl(join(folder, 'lost.jsonl'), [{ ...good, steps: ['unscorable'] }]);
    expect((await score(lost, '--json')).code).toBe(1);
  });

  it('leaves no file behind when it can not be read, and names a wrong reward model', async () => {
    const out = join(folder, 'never.jsonl');
    const missing = await score(join(folder, 'no-such.jsonl'), '--out', out);
    expect([missing.code, existsSync(out)]).toEqual([2, false]);
    expect(missing.stderr).toContain('PROBLEMS_UNREADABLE');
    const file = writeJsonl(join(folder, 'one.jsonl'), [{ id: 'a', question: 'q', steps: ['x'] }]);
    const wrong = await runCli(['score', file, '--prm', 'nowhere/at-all']);
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('OPTION_PRM_UNKNOWN') });
  });

  it('takes its options from a --config file too', async () => {
    const file = writeJsonl(join(folder, 'config.jsonl'), [
      { id: 'a', question: 'q', steps: ['x p=0.3', 'y p=0.6'] },
    ]);
    const config = join(folder, 'config.json');
    writeFileSync(config, JSON.stringify({ aggregation: 'min', prmKind: 'pooling' }));
    const { stdout } = await score(file, '--json', '--config', config);
    const summary = JSON.parse(stdout);
    expect(summary.prm.kind).toBe('pooling');
    expect(summary.results[0].paths[0].score).toBeCloseTo(0.3, 9);
  });

  it('runs a model folder in the process, and computes what paths share once', async () => {
    const file = writeJsonl(join(folder, 'folder.jsonl'), [
      {
        id: 'a',
        question: 'How many?',
        image: 'good.png',
        solutions: [
          ['A=2.', '2+3=5.', 'Answer: 5'],
          ['A=2.', '2+4=6.', 'Answer: 6'],
        ],
      },
    ]);
    const args = ['score', file, '--prm', 'test/fixtures/tiny-prm', '--quiet', '--json'];
    const { code, stdout } = await runCli(args);
    expect(code).toBe(0);
    const { results, stats, prm } = JSON.parse(stdout);
    expect(prm).toMatchObject({ kind: 'onnx', model: 'test/fixtures/tiny-prm' });
    const [first, second] = results[0].paths;
    expect(first.steps).toHaveLength(3);
    expect(first.steps[0]).toBe(second.steps[0]);
    expect(first.steps[1]).not.toBe(second.steps[1]);
    // Of two paths of equal length the second has the opening and the first step for nothing.
    expect(stats.computedTokens).toBeLessThan(stats.pathTokens * 0.7);
    expect(results[0].prmTokens).toBe(stats.computedTokens);
    const other = ['--prm-threads', '2', '--prm-kv-cache-mb', '0', '--prm-max-batch', '1'];
    const again = JSON.parse((await runCli([...args, ...other])).stdout);
    expect(again.results[0].paths).toEqual(results[0].paths);
    expect(again.stats.computedTokens).toBe(stats.pathTokens);
    const blind = JSON.parse((await runCli([...args, '--no-prm-images'])).stdout);
    expect(blind.stats.pathTokens).toBe(stats.pathTokens - 2 * 64);
  });
});
