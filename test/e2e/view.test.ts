import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { syntheticTree, writeRun } from '../../bench/speed/synthetic-run.js';
import { runCli, startCli, temporaryFolder, writeJsonl } from '../support/cli.js';

const dir = temporaryFolder();
const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

/** The address that the command prints, or its end. */
async function addressOf(args: readonly string[]) {
  const { child, ended } = startCli(['view', ...args, '--port', '0', '--json']);
  const url = await new Promise<string>((done, fail) => {
    child.stdout?.once('data', (line: Buffer) => done(JSON.parse(String(line)).url));
    ended.then(({ stderr }) => fail(new Error(stderr)));
  });
  return { url, child, ended };
}

it('serves the built page on a free port until it is interrupted', async () => {
  writeRun(join(dir, 'runs', 'run'), [syntheticTree('a', 3)]);
  const { url, child, ended } = await addressOf([join(dir, 'runs')]);
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/ui\/$/);
  const page = await (await fetch(url)).text();
  const script = /src="\.\/(assets\/[^"]+\.js)"/.exec(page)?.[1];
  expect((await fetch(new URL(script ?? '', url))).headers.get('content-type')).toContain(
    'javascript',
  );
  const reply = await fetch(new URL('../api/view/runs', url));
  expect(((await reply.json()) as { runs: unknown[] }).runs).toHaveLength(1);
  child.kill('SIGINT');
  expect((await ended).code).toBe(0);
});

it('writes one page with --html, of all problems or of those with --problem', async () => {
  writeRun(join(dir, 'pages'), [syntheticTree('a', 3), syntheticTree('b', 3)]);
  const file = join(dir, 'page.html');
  const all = await runCli(['view', join(dir, 'pages'), '--html', file, '--json']);
  expect(JSON.parse(all.stdout)).toMatchObject({ runs: 1, problems: 2 });
  expect(readFileSync(file, 'utf8')).toContain('"id":"b"');
  const one = await runCli(['view', join(dir, 'pages'), '--html', file, '--problem', 'a']);
  expect(one.stdout).toMatch(/1 runs, 1 problems, \d+\.\d MB/);
  expect(readFileSync(file, 'utf8')).not.toContain('"id":"b"');
  const useless = await runCli(['view', join(dir, 'pages'), '--problem', 'a']);
  expect([useless.code, useless.stderr]).toEqual([
    2,
    expect.stringContaining('give --html FILE too'),
  ]);
});

it('finds the pictures of a solve in the file of --problems', async () => {
  writeFileSync(join(dir, 'dot.png'), PNG);
  const problems = writeJsonl(join(dir, 'problems.jsonl'), [
    { id: 'p', question: 'What is 2 plus 3?', answer: '5', image: 'dot.png' },
  ]);
  const out = join(dir, 'solves', 'solve.json');
  const solved = await runCli([
    'solve',
    '--problem',
    problems,
    '--id',
    'p',
    '--policy',
    'simulated',
    '--strategy',
    'majority',
    '--n',
    '3',
    '--out',
    out,
    '--quiet',
  ]);
  expect(solved.code).toBe(0);
  const file = join(dir, 'solve.html');
  await runCli(['view', join(dir, 'solves'), '--html', file]);
  expect(readFileSync(file, 'utf8')).not.toContain('data:image/png');
  await runCli(['view', join(dir, 'solves'), '--html', file, '--problems', problems]);
  expect(readFileSync(file, 'utf8')).toContain(`data:image/png;base64,${PNG.toString('base64')}`);
});

it('refuses a folder that is not there, and leaves no page behind', async () => {
  const file = join(dir, 'never.html');
  const { code, stderr } = await runCli(['view', join(dir, 'missing'), '--html', file]);
  expect([code, stderr]).toEqual([2, expect.stringContaining('[VIEW_FOLDER_MISSING]')]);
  expect(existsSync(file)).toBe(false);
});
