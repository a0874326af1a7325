import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { SolveReport } from '../../src/cli/solve-report.js';
import { writeFigmath } from '../../src/figmath/index.js';
import { startToyServer } from '../prm/toy-server.js';
import { type CliResult, readJsonl, runCli, startCli, temporaryFolder } from '../support/cli.js';
import { withoutTimes } from '../support/solve-fakes.js';

const folder = temporaryFolder();
const problems = join(folder, 'problems', 'problems.jsonl');
let ids: string[] = [];

beforeAll(async () => {
  await writeFigmath({ split: 'test', count: 3, seed: 5, out: join(folder, 'problems') });
  ids = readJsonl<{ id: string }>(problems).map(({ id }) => id);
});

/** Solves the first problem with the embedded policy. */
const solve = (...more: string[]) =>
  runCli(['solve', '--problem', problems, '--id', ids[0] ?? '', '--quiet', '--json', ...more]);

function reportOf({ code, stdout, stderr }: CliResult): SolveReport {
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout) as SolveReport;
}

describe('steptree solve with the embedded policy', () => {
  it('takes one greedy solution, the same every time, and grades it', async () => {
    const first = reportOf(await solve('--strategy', 'greedy'));
    expect(first).toMatchObject({
      id: ids[0],
      strategy: 'greedy',
      options: {},
      policy: { host: 'onnx', model: 'embedded' },
      prm: null,
      critic: null,
      chosen: 0,
      usage: { rollouts: 1, calls: 1 },
    });
    expect(first.usage.policyTokens).toBeGreaterThan(0);
    expect(['equal', 'different']).toContain(first.verdict?.verdict);
    const again = reportOf(await solve('--strategy', 'greedy', '--seed', '9'));
    expect(again.candidates).toEqual(first.candidates);
  });

  it('votes by majority, and more samples contain those of fewer', async () => {
    const few = reportOf(await solve('--strategy', 'majority', '--n', '4', '--seed', '2'));
    const many = reportOf(await solve('--strategy', 'majority', '--n', '8', '--seed', '2'));
    const texts = (report: SolveReport) => report.candidates.map(({ steps }) => steps);
    expect(texts(many).slice(0, 4)).toEqual(texts(few));
    const most = Math.max(...many.votes.map(({ votes }) => votes));
    expect(many.votes.find(({ answer }) => answer === many.answer)?.votes).toBe(most);
    expect(many.candidateVerdicts).toHaveLength(8);
  });

  it('takes the best of n by rules, or by the sum of their scores', async () => {
    const rules = ['--prm-kind', 'rules', '--n', '8'];
    const best = reportOf(await solve(...rules));
    // With a reward model named, best-of-n is the default.
    expect(best).toMatchObject({ strategy: 'best-of-n', prm: { kind: 'rules' } });
    const scores = best.candidates.map(({ score }) => score ?? -1);
    expect(scores[best.chosen ?? -1]).toBe(Math.max(...scores));
    const vote = reportOf(await solve(...rules, '--selection', 'weighted'));
    expect(vote.options).toMatchObject({ selection: 'weighted', n: 8 });
    const heaviest = [...vote.votes].sort((a, b) => b.weight - a.weight)[0];
    expect(vote.answer).toBe(heaviest?.answer);
  });

  it('refines with the embedded reward model as critic, the same every time', async () => {
    const refined = ['--strategy', 'refined-best-of-n', '--n', '16', '--seed', '3'];
    const report = reportOf(await solve(...refined));
    expect(report.critic).toMatchObject({ model: 'embedded' });
    expect(report.usage.criticTokens).toBeGreaterThan(0);
    const corrected = report.candidates.filter(({ origin }) => origin === 'refined');
    expect(corrected.length).toBeGreaterThan(0);
    for (const { parent, steps } of corrected) {
      const wrong = report.candidates[parent ?? -1]?.steps ?? [];
      const parted = steps.findIndex((step, at) => step !== wrong[at]);
      // A correction that repeats the wrong step is none; no marker comes from the critic.
      expect(parted).toBeGreaterThanOrEqual(0);
      expect(steps.join('')).not.toContain('<prm>');
    }
    expect(reportOf(await solve(...refined)).candidates).toEqual(report.candidates);
  });

  it('searches step by step with Monte Carlo values of the gold answer', async () => {
    const beam = ['--strategy', 'beam', '--n', '4', '--beam-width', '2'];
    const report = reportOf(
      await solve(...beam, '--prm-kind', 'rollouts', '--rollouts-count', '4'),
    );
    const chosen = report.candidates[report.chosen ?? -1];
    // The last step states the answer: its value is 1 or 0, and the gold one wins.
    expect(chosen?.stepScores).toHaveLength(chosen?.steps.length ?? 0);
    expect([report.verdict?.verdict, chosen?.score]).toEqual(['equal', 1]);
    expect(report.options).toMatchObject({ beamWidth: 2, aggregation: 'last' });
    expect(report.usage.prmTokens).toBeGreaterThan(0);
  });

  it('continues from steps that a critic corrected, with a critic or a reward model that is one', async () => {
    const server = await startToyServer();
    try {
      const refined = ['--strategy', 'refined-best-of-n', '--n', '4'];
      const report = reportOf(await solve(...refined, '--critic', server.url));
      // The toy critic finds P(correct) = 0.5 in every step, which is no error: all are resampled.
      expect(report.candidates.map(({ origin }) => origin)).toEqual([
        ...['sampled', 'sampled', 'resampled', 'resampled'],
      ]);
      expect(report).toMatchObject({ prm: null, critic: { model: 'm' } });
      expect(report.usage).toMatchObject({ criticCalls: 4, prmCalls: 0 });
      const shared = ['--prm-kind', 'critic', '--prm', server.url];
      const same = reportOf(await solve(...refined, ...shared));
      expect(same.candidates).toEqual(report.candidates);
      expect(same.critic).toMatchObject({ kind: 'critic' });
    } finally {
      await server.close();
    }
  });

  it('refines where the critic finds an error', async () => {
    // Every first step is doubtful: p=0.2.
    const server = await startToyServer((_call, reply) => {
      const [choice] = (reply as { choices: { message: { content: string } }[] }).choices;
      const judged = JSON.parse(choice?.message.content ?? '{}');
      judged.steps[0] = { ...judged.steps[0], verdict: 'Incorrect', probability: 0.2 };
      const content = JSON.stringify({ ...judged, correction: 'mended' });
      return { choices: [{ message: { content } }], usage: { prompt_tokens: 1 } };
    });
    try {
      const refined = ['--strategy', 'refined-best-of-n', '--n', '4', '--critic', server.url];
      const report = reportOf(await solve(...refined));
      const made = report.candidates.filter(({ origin }) => origin === 'refined');
      expect(made.map(({ steps, parent }) => [steps[0], parent])).toEqual([
        ['mended', 0],
        ['mended', 1],
      ]);
    } finally {
      await server.close();
    }
  });

  it('replays a recording to the same bytes apart from times, pictures not needed', async () => {
    const file = join(folder, 'recorded.jsonl');
    const beam = ['--strategy', 'beam', '--n', '4', '--beam-width', '2', '--prm-kind', 'rollouts'];
    const live = reportOf(await solve(...beam, '--record', file));
    const replayed = async () =>
      reportOf(await solve(...beam, '--policy', `recorded:${file}`, '--out', join(folder, 'out')));
    const bytes = (report: SolveReport) => JSON.stringify(withoutTimes(report));
    const first = await replayed();
    expect(bytes(first)).toBe(bytes(await replayed()));
    // A recording says nothing of the model it came from.
    expect(bytes({ ...first, policy: live.policy })).toBe(bytes(live));
    expect(bytes(JSON.parse(readFileSync(join(folder, 'out'), 'utf8')))).toBe(bytes(first));
  });

  it('goes on from its store: the same result, and no reply is asked for twice', async () => {
    const server = await startToyServer();
    try {
      const store = ['--store', join(folder, 'store'), '--n', '4', '--seed', '1'];
      const prm = ['--strategy', 'best-of-n', '--prm', server.url];
      const first = reportOf(await solve(...store, ...prm));
      const asked = server.calls.length;
      expect(asked).toBeGreaterThan(0);
      const again = reportOf(await solve(...store, ...prm));
      expect(server.calls.length).toBe(asked);
      expect(again.candidates).toEqual(first.candidates);
      expect(again.usage.replayed).toBe(first.usage.calls);
      // Another strategy takes the solutions that are there.
      const majority = reportOf(await solve(...store, '--strategy', 'majority'));
      expect(majority.usage.replayed).toBe(majority.usage.calls);
      // Another temperature has other solutions.
      const warm = reportOf(
        await solve(...store, '--strategy', 'majority', '--temperature', '0.5'),
      );
      expect(warm.usage.replayed).toBe(0);
    } finally {
      await server.close();
    }
  });

  it('solves a question of the command line with its picture, and prints for people', async () => {
    const [row] = readJsonl<{ question: string; image: string; answer: string }>(problems);
    const image = join(folder, 'problems', row?.image ?? '');
    const question = ['--question', row?.question ?? '', '--image', image];
    const { code, stdout } = await runCli(['solve', ...question, '--n', '4', '--quiet']);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^.+\nAnswer: \S+ {2}\(best-of-n\)\n\nChosen path: candidate \d of 4, score 0\.\d+\n/,
    );
    expect(stdout).toContain('4 rollouts, ');
    const graded = await runCli(['solve', ...question, '--answer', 'none', '--n', '2', '--json']);
    expect(JSON.parse(graded.stdout)).toMatchObject({
      gold: 'none',
      verdict: { verdict: 'different' },
    });
    expect(graded.stderr).toMatch(/^policy onnx:figmath-policy/);
  });
});

describe('wrong input of steptree solve', () => {
  const refused = async (code: string, words: RegExp, ...args: string[]) => {
    const result = await runCli(['solve', ...args]);
    expect([result.code, result.stdout], result.stderr).toEqual([2, '']);
    // One sentence, with the code at its end.
    expect(result.stderr).toMatch(new RegExp(`^steptree: [^\\n]*\\[${code}\\]\\n$`));
    expect(result.stderr).toMatch(words);
  };
  const question = ['--question', 'What is 1 plus 1?', '--policy', 'simulated', '--answer', '2'];

  it('is named in one sentence and exits with 2', async () => {
    await refused('OPTION_INVALID', /--n: .*got 0/, ...question, '--n', '0');
    await refused('OPTION_INVALID', /--n: .*got 1\.5/, ...question, '--n', '1.5');
    await refused('STRATEGY_UNKNOWN', /did you mean "beam"/, ...question, '--strategy', 'bean');
    await refused(
      'OPTION_INVALID',
      /--beam-width is no option of majority; beam, dvts have it/,
      ...[...question, '--strategy', 'majority', '--beam-width', '2'],
    );
    await refused('PROBLEM_IMAGE_MISSING', /nowhere\.png/, ...question, '--image', 'nowhere.png');
    const unknown = ['--problem', problems, '--id', `${ids[1]}x`];
    await refused('PROBLEM_ID_UNKNOWN', new RegExp(`did you mean "${ids[1]}"`), ...unknown);
    await refused('OPTION_INVALID', /--question TEXT, or --problem FILE/);
    const bare = ['--question', 'q', '--policy', 'simulated'];
    await refused('OPTION_INVALID', /needs the gold answer/, ...bare, '--prm-kind', 'rollouts');
    await refused(
      'OPTION_INVALID',
      /--critic \(/,
      ...[...question, '--strategy', 'refined-best-of-n'],
    );
    const beam = ['--question', 'q', '--policy', 'simulated', '--strategy', 'beam'];
    await refused('OPTION_INVALID', /beam needs a reward model; .*--prm/, ...beam);
    const nowhere = ['--strategy', 'beam', '--prm', 'no/such/folder'];
    await refused('OPTION_PRM_UNKNOWN', /--prm no\/such\/folder/, ...question, ...nowhere);
  });

  it('such as a folder that can not be written to is told before anything is solved', async () => {
    const inFile = join(problems, 'inside-a-file.json');
    const result = await runCli(['solve', ...question, '--out', inFile, '--json']);
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/^steptree: cannot write .*\[FILE_WRITE_FAILED\]\n$/);
    expect(JSON.parse(result.stdout)).toMatchObject({ error: { code: 'FILE_WRITE_FAILED' } });
  });

  it('of budgets too small is no error but a result that says so', async () => {
    const tight = ['--max-total-rollouts', '1', '--n', '4', '--quiet', '--json'];
    const { code, stdout } = await runCli(['solve', ...question, ...tight]);
    const report = JSON.parse(stdout) as SolveReport;
    expect([code, report.stopped, report.candidates.length]).toEqual([0, 'maxTotalRollouts', 1]);
    const short = ['--strategy', 'majority', '--n', '2', '--max-tokens', '2', '--quiet', '--json'];
    const cut = await solve(...short);
    expect(cut.code).toBe(1);
    const none = JSON.parse(cut.stdout) as SolveReport;
    expect(none).toMatchObject({ answer: null, chosen: null, verdict: { reason: 'no-answer' } });
    expect(none.warnings.join()).toContain('2 were cut by the token limit');
  });
});

describe('an interrupted solve', () => {
  it('exits with 130 at Ctrl-C, and the same command goes on', async () => {
    const dir = join(folder, 'interrupted');
    const args = ['solve', '--question', 'What is 1 plus 1?', '--answer', '2'];
    args.push('--policy', 'simulated', '--store', dir, '--n', '64', '--samples-per-round', '1');
    args.push('--max-total-rollouts', '64', '--json');
    const { child, ended } = startCli([...args, '--simulated-latency-ms', '300']);
    await new Promise<void>((resolve) => {
      // 64 rounds take 20 seconds; a line every 5 tells how far it is.
      child.stderr?.on('data', (text) => {
        if (/[1-9]\d* rollouts/.test(String(text))) resolve();
      });
    });
    child.kill('SIGINT');
    const { code, stdout, stderr } = await ended;
    expect([code, stdout]).toEqual([130, '']);
    expect(stderr).toContain('the same command goes on');
    const { code: end, stdout: json } = await runCli(args);
    const report = JSON.parse(json) as SolveReport;
    expect([end, report.candidates.length]).toEqual([0, 64]);
    expect(report.usage.replayed).toBeGreaterThan(0);
    expect(report.usage.replayed).toBeLessThan(64);
  });
});
