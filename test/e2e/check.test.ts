import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCli, temporaryFolder, writeJsonl } from '../support/cli.js';

describe('steptree check', { timeout: 120_000 }, () => {
  const dir = temporaryFolder();

  it('prints a verdict per line as JSON, ids as in the file or else the number of the line', async () => {
    const file = writeJsonl(join(dir, 'answers.jsonl'), [
      { id: 'a', gold: '\\frac12', pred: 'It is \\boxed{0.5}.' },
      { gold: '1/3', pred: '0.33' },
      { id: 7, gold: '1/3', pred: '0.33', precision: 2 },
      { id: 'set', gold: '(0,1)', pred: '$0<x<1$' },
      { id: 'allowed', gold: '(0,1)', pred: '$0<x<1$', allowSetRelation: true },
      { id: 'none', gold: '5', pred: '' },
    ]);
    const { code, stdout, stderr } = await runCli(['check', file, '--json']);
    expect(JSON.parse(stdout)).toEqual({
      results: [
        { id: 'a', verdict: 'equal' },
        { id: 2, verdict: 'different' },
        { id: 7, verdict: 'equal' },
        { id: 'set', verdict: 'different' },
        { id: 'allowed', verdict: 'equal' },
        { id: 'none', verdict: 'different', reason: 'no-answer' },
      ],
    });
    expect([code, stderr]).toEqual([0, '']);
  });

  it('takes options for lines that say nothing', async () => {
    const file = writeJsonl(join(dir, 'defaults.jsonl'), [
      { gold: '1/3', pred: '0.33' },
      { gold: '1/3', pred: '0.33', precision: 6 },
      { gold: '(0,1)', pred: '$0<x<1$' },
      { gold: '(1,2)', pred: '\\{1,2\\}' },
    ]);
    const verdicts = async (...flags: string[]) => {
      const { stdout } = await runCli(['check', file, '--json', ...flags]);
      return JSON.parse(stdout).results.map(({ verdict }: { verdict: string }) => verdict);
    };
    expect(await verdicts()).toEqual(['different', 'different', 'different', 'equal']);
    expect(await verdicts('--precision', '2', '--allow-set-relation', '--strict')).toEqual([
      'equal',
      'different',
      'equal',
      'different',
    ]);
  });

  it('names a bad line in one sentence, checks the others, and exits with 2', async () => {
    const file = join(dir, 'bad.jsonl');
    writeFileSync(
      file,
      '{"gold": "1", "pred": "1"}\n{"gold": "1"}\nno json\n[1]\n{"gold":1,"pred":2}\n',
    );
    const { code, stdout, stderr } = await runCli(['check', file]);
    expect(code).toBe(2);
    expect(stderr.trim().split('\n')).toEqual([
      `${file}, line 2: field pred is missing; expected the response as a text or number [CHECK_LINE_INVALID]`,
      expect.stringMatching(/line 3: is not valid JSON .* \[CHECK_LINE_INVALID\]$/),
      `${file}, line 4: is no JSON object; expected {"gold": …, "pred": …} [CHECK_LINE_INVALID]`,
    ]);
    expect(stdout).toContain('1 equal, 1 different, 0 ungraded');
  });

  it('shows a table, and how many verdicts are as the file expects', async () => {
    const file = writeJsonl(join(dir, 'expected.jsonl'), [
      { gold: 'x+1', pred: '1+x', expected: 1 },
      { gold: 'x+1', pred: 'x+2', expected: 1 },
    ]);
    const { code, stdout } = await runCli(['check', file]);
    expect(code).toBe(0);
    expect(stdout.split('\n')).toEqual([
      'id  verdict      gold  predicted',
      '1   equal        x+1   1+x',
      '2   different *  x+1   x+2',
      '',
      '1 equal, 1 different, 0 ungraded; 1 of 2 as expected (others: *)',
      '',
    ]);
  });

  it('leaves what hangs ungraded within its limit, and says how to be used', async () => {
    const file = writeJsonl(join(dir, 'hang.jsonl'), [
      { id: 'hang', gold: '1', pred: '9^{9^{9^9}}' },
      { id: 'long', gold: '1', pred: 'x+'.repeat(50_000) },
      { id: 'next', gold: '1', pred: '1' },
    ]);
    const { stdout } = await runCli(['check', file, '--json', '--check-timeout-ms', '1000']);
    expect(JSON.parse(stdout).results).toMatchObject([
      { id: 'hang', verdict: 'ungraded' },
      { id: 'long', verdict: 'ungraded', reason: 'too-long' },
      { id: 'next', verdict: 'equal' },
    ]);
    const help = await runCli(['check', '--help']);
    expect(help.stdout).toContain('$ steptree check answers.jsonl');
  });
});
