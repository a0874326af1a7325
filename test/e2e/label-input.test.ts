import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { readJsonl, runCli, simpleProblems, temporaryFolder, writeJsonl } from '../support/cli.js';

const folder = temporaryFolder();
let runs = 0;

async function label(problems: string, more: readonly string[] = []) {
  const out = join(folder, `run-${runs++}`);
  const args = ['--policy', 'simulated', '--num-rollouts', '4', '--rollout-budget', '20'];
  const result = await runCli(['label', problems, '--out', out, '--quiet', ...args, ...more]);
  return { ...result, out };
}

const failures = (out: string) =>
  readJsonl<{ id: string | null; line?: number; code: string; message: string }>(
    join(out, 'failed.jsonl'),
  );

describe('one bad problem never stops the others', () => {
  it('names file, line and fault of each, labels the rest and exits with 2', async () => {
    await sharp({ create: { width: 4, height: 4, channels: 3, background: '#fff' } })
      .png()
      .toFile(join(folder, 'good.png'));
    writeFileSync(join(folder, 'broken.png'), 'this is no picture');
    const good = simpleProblems(20);
    const lines = good.map((row) => JSON.stringify(row));
    lines[2] = JSON.stringify({ ...good[2], image: 'missing.png' });
    lines[4] = JSON.stringify({ ...good[4], image: 'broken.png' });
    lines[6] = JSON.stringify({ ...good[6], image: 'good.png' });
    lines[8] = JSON.stringify({ ...good[8], id: 'p0' });
    lines[10] = JSON.stringify({ ...good[10], question: '  ' });
    lines[12] = JSON.stringify({ ...good[12], anwser: '1' });
    lines[14] = JSON.stringify({ ...good[14], answer: 'no number', answerType: 'number' });
    lines[16] = '{"id": "p16", "question": ';
    const problems = join(folder, 'mixed.jsonl');
    writeFileSync(problems, `${lines.join('\n')}\n`);

    const { code, out } = await label(problems);
    expect(code).toBe(2);
    const found = failures(out);
    expect(found.map(({ line, code: fault }) => [line, fault])).toEqual([
      [3, 'PROBLEM_IMAGE_MISSING'],
      [5, 'PROBLEM_IMAGE_INVALID'],
      [9, 'PROBLEM_ID_DUPLICATE'],
      [11, 'PROBLEM_QUESTION_EMPTY'],
      [13, 'PROBLEM_FIELD_UNKNOWN'],
      [15, 'PROBLEM_ANSWER_INVALID'],
      [17, 'PROBLEM_JSON_INVALID'],
    ]);
    for (const { message, line } of found) {
      expect(message).toMatch(/mixed\.jsonl/);
      expect(message).toMatch(new RegExp(`\\b${line}\\b`));
    }
    expect(found[4]?.message).toMatch(/anwser.*answer/);
    expect(readdirSync(join(out, 'trees'))).toHaveLength(13);
  });

  it('--strict stops at the first bad one and harms nothing that is written', async () => {
    const problems = join(folder, 'strict.jsonl');
    const rows = simpleProblems(6).map((row) => JSON.stringify(row));
    writeFileSync(problems, [...rows.slice(0, 3), 'oops', ...rows.slice(3)].join('\n'));
    const { code, stderr } = await label(problems, ['--strict']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/strict\.jsonl.*4.*\[PROBLEM_JSON_INVALID\]/s);
  });
});

describe('a command that can not run says why in one sentence', () => {
  const problems = writeJsonl(join(folder, 'fine.jsonl'), simpleProblems(3));

  it('for an unknown option, naming the nearest', async () => {
    const { code, stderr } = await label(problems, ['--rolout-budget', '3']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/--rollout-budget/);
  });

  it('for an option of the wrong kind or range, naming it', async () => {
    const wrong = await label(problems, ['--temperature', 'hot']);
    expect(wrong).toMatchObject({ code: 2 });
    expect(wrong.stderr).toMatch(/--temperature.*hot.*\[OPTION_INVALID\]/);
    const range = await label(problems, ['--top-p', '1.5']);
    expect(range.stderr).toMatch(/--top-p.*\[OPTION_INVALID\]/);
  });

  it('for a config file with an unknown key, naming the nearest', async () => {
    const config = join(folder, 'config.json');
    writeFileSync(config, JSON.stringify({ numRolouts: 4 }));
    const { code, stderr } = await label(problems, ['--config', config]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/numRolouts.*numRollouts.*\[OPTION_UNKNOWN\]/);
  });

  it('for a problem file that is not there, before anything is made', async () => {
    const { code, stderr, out } = await label(join(folder, 'nowhere.jsonl'));
    expect(code).toBe(2);
    expect(stderr).toMatch(/nowhere\.jsonl.*\[PROBLEMS_UNREADABLE\]/);
    expect(() => statSync(out)).toThrow();
  });

  it('for a server that can not be reached', async () => {
    const { code, stderr } = await label(problems, [
      ...['--policy', 'http://127.0.0.1:9/v1', '--max-retries', '1', '--retry-base-ms', '1'],
    ]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/127\.0\.0\.1:9.*\[POLICY_UNREACHABLE\]/);
  });

  it('for a policy that is none', async () => {
    const { code, stderr } = await label(problems, ['--policy', 'embeded']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/embeded.*\[OPTION_POLICY_UNKNOWN\]/);
  });

  it('for an output folder that was made with another configuration, naming the difference', async () => {
    const { out } = await label(problems);
    const before = readFileSync(join(out, 'labels.jsonl'), 'utf8');
    const again = ['label', problems, '--out', out, '--quiet', '--policy', 'simulated'];
    const other = await runCli([...again, '--num-rollouts', '5', '--rollout-budget', '20']);
    expect(other.code).toBe(2);
    expect(other.stderr).toMatch(/numRollouts was 4 and is now 5.*\[RUN_CONFIG_DIFFERS\]/);
    expect(readFileSync(join(out, 'labels.jsonl'), 'utf8')).toBe(before);
  });

  it('for an output folder whose problems were changed', async () => {
    const changing = writeJsonl(join(folder, 'changing.jsonl'), simpleProblems(3));
    const { out } = await label(changing);
    writeJsonl(changing, [{ id: 'p0', question: 'another question', answer: '7' }]);
    const again = ['label', changing, '--out', out, '--quiet', '--policy', 'simulated'];
    const other = await runCli([...again, '--num-rollouts', '4', '--rollout-budget', '20']);
    expect(other.code).toBe(2);
    expect(other.stderr).toMatch(/p0.*\[RUN_PROBLEM_CHANGED\]/);
  });

  it('for an output path that is a file', async () => {
    const path = join(folder, 'a-file');
    writeFileSync(path, '');
    const result = await runCli([
      ...['label', problems, '--out', join(path, 'run'), '--policy', 'simulated', '--quiet'],
    ]);
    expect(result.code).toBe(2);
    expect(result.stderr).toMatch(/\[RUN_DIR_UNUSABLE\]/);
  });

  it('for a folder that another process is writing to', async () => {
    const out = join(folder, 'locked');
    mkdirSync(out);
    writeFileSync(join(out, 'run.lock'), `${process.pid}\n`);
    const result = await runCli([
      ...['label', problems, '--out', out, '--policy', 'simulated', '--quiet'],
    ]);
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(new RegExp(`${process.pid}.*\\[RUN_LOCKED\\]`));
  });

  it('for a recording that lacks a prefix: the problem fails with the prefix named', async () => {
    const recording = writeJsonl(join(folder, 'short.jsonl'), [
      { problemId: 'p0', prefix: [], rollouts: [['a', 'Answer: 0']] },
    ]);
    const { code, out } = await label(problems, ['--policy', `recorded:${recording}`]);
    expect(code).toBe(1);
    expect(failures(out).map((line) => line.code)).toEqual([
      'RECORDED_MISS',
      'RECORDED_MISS',
      'RECORDED_MISS',
    ]);
  });
});

it('writes a picture that came as data: URL once, and trees, labels and export name it', async () => {
  const png = await sharp({ create: { width: 4, height: 4, channels: 3, background: '#f00' } })
    .png()
    .toBuffer();
  const image = `data:image/png;base64,${png.toString('base64')}`;
  const rows = simpleProblems(3).map((row) => ({ ...row, image }));
  const { code, out } = await label(writeJsonl(join(folder, 'inside.jsonl'), rows));
  expect(code).toBe(0);
  const [name = ''] = readdirSync(join(out, 'images'));
  expect(readdirSync(join(out, 'images'))).toHaveLength(1);
  expect(readFileSync(join(out, 'images', name))).toEqual(png);
  for (const line of readJsonl<{ images: string[] }>(join(out, 'labels.jsonl'))) {
    expect(line.images).toEqual([`images/${name}`]);
  }
  const file = join(folder, 'inside.parquet');
  const exported = await runCli([
    'export',
    out,
    '--to',
    'parquet',
    '--images',
    'embed',
    '--out',
    file,
  ]);
  expect(exported.code).toBe(0);
  expect(readFileSync(file).includes(png)).toBe(true);
});

it('ends without a word when its reader stops early', () => {
  const { stdout, stderr } = spawnSync(
    'bash',
    ['-c', `"${process.execPath}" bin/steptree.js label --help | true; echo "\${PIPESTATUS[0]}"`],
    { encoding: 'utf8' },
  );
  expect([stdout, stderr]).toEqual(['0\n', '']);
});
