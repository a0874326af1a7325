import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import {
  type Call,
  chatReply,
  sendJson,
  startScriptedServer,
} from '../policy/openai/scripted-server.js';
import { readJsonl, runCli, startCli, temporaryFolder, writeJsonl } from '../support/cli.js';
import { fixture, fixtureLines, hasFixtures } from '../support/fixtures.js';

const folder = temporaryFolder();

const problems = writeJsonl(join(folder, 'math-vision.jsonl'), [
  { id: '1', question: 'How long?', options: [], answer: '12', level: 1, subject: 'algebra' },
  {
    id: '2',
    question: 'Which?',
    options: ['2', '$\\sqrt{2}$'],
    answer: 'B',
    level: 2,
    subject: 'logic',
  },
]);

it('bench score prints what its contract says, and writes what bench compare and report read', async () => {
  const responses = writeJsonl(join(folder, 'responses.jsonl'), [
    { id: '1', response: 'So \\boxed{12.001}.' },
    { id: '2', response: 'It is A.', extraction: 'b' },
  ]);
  const out = join(folder, 'scored');
  const args = ['bench', 'score', 'math-vision', '--problems', problems, '--responses', responses];
  const { code, stdout, stderr } = await runCli([...args, '--out', out, '--json']);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    accuracy: 1,
    correct: 2,
    total: 2,
    problems: [
      { id: '1', verdict: 'correct', extraction: '12.001', prediction: '12.001' },
      { id: '2', verdict: 'correct', extraction: 'b', prediction: 'b' },
    ],
    groups: { subject: { algebra: { correct: 1, total: 1, accuracy: 1 } }, level: {} },
  });
  const none = await runCli([...args, '--extraction', 'none', '--own-checker']);
  expect(none.stdout).toContain('MATH-Vision: 50.0 % (1 of 2)');
  expect(none.stdout).toContain('own checker agrees on');
  const report = join(folder, 'report.html');
  expect((await runCli(['bench', 'report', out, '--out', report])).code).toBe(0);
  expect(readFileSync(report, 'utf8')).toContain('MATH-Vision');
  const compared = await runCli(['bench', 'compare', out, out, '--json']);
  expect(JSON.parse(compared.stdout)).toMatchObject({ problems: 2, mcNemar: { pValue: 1 } });
});

it.each([
  [['math-vison', '--problems', 'x'], /did you mean "math-vision".*SET_UNKNOWN/],
  [
    ['math-vision', '--problems', 'nowhere.jsonl'],
    /cannot read nowhere\.jsonl.*SET_FILES_UNREADABLE/,
  ],
])('bench score %s is refused in one sentence with exit code 2', async (args, sentence) => {
  const { code, stderr } = await runCli(['bench', 'score', ...args, '--responses', 'none.jsonl']);
  expect(code).toBe(2);
  expect(stderr).toMatch(sentence);
  expect(stderr.trim().split('\n')).toHaveLength(1);
});

it('bench run of a set asks with its prompt, grades by its rules, in shards that a report joins', async () => {
  const asked: string[] = [];
  const server = await startScriptedServer((call) => {
    asked.push(JSON.stringify(call.body.messages));
    // The official rule reads the option's text, and not "Answer: …".
    const text = asked.at(-1)?.includes('Which?') ? '\\boxed{\\sqrt{2}}' : 'Answer: 12';
    sendJson(call.response, 200, chatReply(Array.from({ length: call.body.n }, () => text)));
  });
  afterAll(() => server.close());
  const shards = ['1/2', '2/2'].map((shard, index) => ({
    shard,
    out: join(folder, `shard-${index}`),
  }));
  for (const { shard, out } of shards) {
    const { code, stderr } = await runCli([
      ...['bench', 'run', 'math-vision', '--problems', problems, '--policy', `${server.url}/v1`],
      ...['--strategy', 'greedy', '--out', out, '--shard', shard, '--quiet'],
      ...['--continuation', 'restate'],
    ]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
  }
  const rows = shards.flatMap(({ out }) =>
    readJsonl<{ id: string; correct: boolean; groups: unknown }>(join(out, 'results.jsonl')),
  );
  expect(rows).toMatchObject([
    { id: '1', correct: false, groups: { subject: ['algebra'] } },
    { id: '2', correct: true, groups: { subject: ['logic'] } },
  ]);
  expect(asked.some((text) => text.includes('(B) $\\\\sqrt{2}$'))).toBe(true);
  const out = join(folder, 'joined.csv');
  const dirs = shards.map((one) => one.out);
  expect((await runCli(['bench', 'report', ...dirs, '--out', out])).code).toBe(0);
  expect(readFileSync(out, 'utf8')).toContain('greedy @1,greedy,1,all,all,2,0.500000');
});

it('bench run of a set without its files says what is missing', async () => {
  const { code, stderr } = await runCli(['bench', 'run', 'mathvista', '--out', join(folder, 'no')]);
  expect(code).toBe(2);
  expect(stderr).toMatch(/mathvista needs its authors' files.*--problems.*OPTION_INVALID/);
});

interface VisionProblem {
  readonly id: string;
  readonly question: string;
  readonly image: string;
}

/** Replies with the published response to the problem whose picture came. */
function publishedReplies(subset: readonly VisionProblem[]) {
  const published = new Map(
    fixtureLines<{ id: string; response: string }>('math-vision/qwen-vl-max-cot.jsonl').map(
      ({ id, response }) => [id, response],
    ),
  );
  const byContent = new Map(
    subset.map((problem) => {
      const picture = readFileSync(fixture(`math-vision/${problem.image}`)).toString('base64');
      const words = problem.question.replace(/<image\d+>/g, '').trim();
      return [picture, { words, response: published.get(problem.id) ?? '' }] as const;
    }),
  );
  return (call: Call): string | undefined => {
    const content = call.body.messages.at(-1)?.content as {
      type: string;
      text?: string;
      image_url?: { url: string };
    }[];
    const url = content.find(({ type }) => type === 'image_url')?.image_url?.url ?? '';
    const found = byContent.get(url.split(',')[1] ?? '');
    const text = content.find(({ type }) => type === 'text')?.text ?? '';
    return found && text.includes(found.words) ? found.response : undefined;
  };
}

it.skipIf(!hasFixtures)(
  'bench run math-vision: real pictures through the openai host, interrupted, resumed, to a finished report',
  async () => {
    const subset = fixtureLines<VisionProblem>('math-vision/subset-160.jsonl');
    // Two problems share a picture there, which would make the reply ambiguous.
    const shown = subset.filter(({ id }) => id !== '2899').slice(0, 48);
    const file = fixture('math-vision/subset-160.jsonl');
    const reply = publishedReplies(shown);
    let seen = 0;
    let unknown = 0;
    let onTenth = () => {};
    const server = await startScriptedServer((call) => {
      const text = reply(call);
      if (text === undefined) unknown++;
      if (++seen === 10) onTenth();
      setTimeout(() => sendJson(call.response, 200, chatReply([text ?? 'Answer: 0'])), 20);
    });
    const out = join(folder, 'vision');
    const args = [
      ...['bench', 'run', 'math-vision', '--problems', file, '--limit', '48', '--out', out],
      ...['--policy', `${server.url}/v1`, '--continuation', 'restate', '--strategy', 'greedy'],
      ...['--concurrency', '4', '--quiet'],
    ];
    const first = startCli(args);
    onTenth = () => first.child.kill('SIGINT');
    expect((await first.ended).code).toBe(130);
    const before = seen;
    expect(before).toBeLessThan(40);
    const second = await runCli(args);
    expect(second.code).toBe(0);
    await server.close();
    expect(unknown).toBe(0);
    // Only what was in flight when it was interrupted is asked for twice.
    expect(seen).toBeLessThanOrEqual(48 + 4);
    const rows = readJsonl<{ id: string; correct: boolean }>(join(out, 'results.jsonl'));
    expect(rows).toHaveLength(48);
    const correct = new Map(
      fixtureLines<{ id: string; correct: boolean }>('math-vision/qwen-vl-max-cot.jsonl').map(
        (row) => [row.id, row.correct],
      ),
    );
    expect(rows.filter((row) => row.correct !== correct.get(row.id))).toEqual([]);
    const report = join(folder, 'vision.html');
    expect((await runCli(['bench', 'report', out, '--out', report])).code).toBe(0);
    expect(readFileSync(report, 'utf8')).toContain('Accuracy by subject');
  },
);
