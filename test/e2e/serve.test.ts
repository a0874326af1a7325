import type { ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import OpenAI from 'openai';
import { afterEach, describe, expect, it } from 'vitest';
import {
  type CliResult,
  readJsonl,
  runCli,
  simpleProblems,
  startCli,
  temporaryFolder,
  writeJsonl,
} from '../support/cli.js';

const folder = temporaryFolder();
const started: { child: ChildProcess; ended: Promise<CliResult> }[] = [];

afterEach(async () => {
  for (const { child, ended } of started.splice(0)) {
    child.kill('SIGKILL');
    await ended;
  }
});

/** Starts the real command and waits until it listens. */
async function serve(...args: string[]) {
  const command = startCli(['serve', '--port', '0', '--json', ...args]);
  started.push(command);
  const url = await new Promise<string>((resolve, reject) => {
    let text = '';
    command.child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('\n')) resolve((JSON.parse(text) as { url: string }).url);
    });
    void command.ended.then(({ stderr }) => reject(new Error(stderr)));
  });
  return { ...command, url };
}

/** What the tests look at of a job. */
interface JobJson {
  readonly id: string;
  readonly status: string;
}

const json = async (url: string, init: RequestInit = {}, key = '') => {
  const reply = await fetch(url, {
    ...init,
    headers: {
      ...(init.body ? { 'content-type': 'application/json' } : {}),
      ...(key === '' ? {} : { authorization: `Bearer ${key}` }),
    },
  });
  return { status: reply.status, body: (await reply.json()) as JobJson };
};

describe('steptree serve', () => {
  it('answers a picture question with the embedded pair, drains on SIGTERM, and exits with 0', async () => {
    await runCli(['figmath', '--count', '1', '--out', join(folder, 'problems')]);
    const [problem] = readJsonl<{ question: string; image: string; answer: string }>(
      join(folder, 'problems', 'problems.jsonl'),
    );
    const bytes = readFileSync(join(folder, 'problems', problem?.image ?? ''));
    const { url, child, ended } = await serve();
    const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });
    const request = {
      model: 'steptree',
      messages: [
        {
          role: 'user' as const,
          content: [
            {
              type: 'image_url' as const,
              image_url: { url: `data:image/png;base64,${bytes.toString('base64')}` },
            },
            { type: 'text' as const, text: problem?.question ?? '' },
          ],
        },
      ],
    };
    const reply = await client.chat.completions.create(request);
    expect(reply.choices[0]?.message.content).toMatch(/\n\nAnswer: \S+$/);
    const { steptree } = reply.choices[0] as unknown as {
      steptree: { strategy: string; step_scores: number[]; usage: { prm_tokens: number } };
    };
    expect(steptree.strategy).toBe('best-of-n');
    expect(steptree.step_scores.every((score) => score > 0 && score < 1)).toBe(true);
    expect(steptree.usage.prm_tokens).toBeGreaterThan(0);
    // The same request again gives the same answer: seeds come from its content.
    const again = await client.chat.completions.create(request);
    expect(again.choices[0]?.message).toEqual(reply.choices[0]?.message);
    const last = client.chat.completions.create({ ...request, seed: 9 });
    while (!/requests_running 1/.test(await (await fetch(`${url}/metrics`)).text()));
    child.kill('SIGTERM');
    expect((await last).choices).toHaveLength(1);
    expect((await ended).code).toBe(0);
  });

  it('goes on with a job after kill -9, and ends with the files of an uninterrupted run', async () => {
    const problems = simpleProblems(12);
    const options = { maxSearchCount: 4, numRollouts: 4, seed: 3 };
    const file = writeJsonl(join(folder, 'simple.jsonl'), problems);
    const policy = ['--policy', 'simulated', '--simulated-latency-ms', '40'];
    const direct = runCli([
      ...['label', file, '--out', join(folder, 'direct'), '--quiet', '--policy', 'simulated'],
      ...['--max-search-count', '4', '--num-rollouts', '4', '--seed', '3'],
    ]);
    const jobs = join(folder, 'jobs');
    const first = await serve(...policy, '--jobs', jobs);
    const { body: job } = await json(`${first.url}/v1/jobs`, {
      method: 'POST',
      body: JSON.stringify({ kind: 'label', problems, options: { ...options, concurrency: 2 } }),
    });
    const run = join(jobs, job.id, 'run');
    const trees = () => {
      const dir = join(run, 'trees');
      const names = existsSync(dir)
        ? readdirSync(dir).filter((name) => name.endsWith('.json'))
        : [];
      return new Map(names.map((name) => [name, statSync(join(dir, name)).mtimeMs]));
    };
    while (trees().size < 4) await sleep(10);
    first.child.kill('SIGKILL');
    await first.ended;
    const before = trees();
    expect(before.size).toBeLessThan(12);
    expect(JSON.parse(readFileSync(join(run, 'run.json'), 'utf8')).status).toBe('running');
    const second = await serve(...policy, '--jobs', jobs);
    let seen = await json(`${second.url}/v1/jobs/${job.id}`);
    while (['queued', 'running'].includes(seen.body.status)) {
      await sleep(50);
      seen = await json(`${second.url}/v1/jobs/${job.id}`);
    }
    expect(seen.body).toMatchObject({ status: 'done', run: { problems: { done: 12, failed: 0 } } });
    // What was done is not done again, but for trees that were written and not yet settled.
    const after = trees();
    const kept = [...before].filter(([name, mtimeMs]) => after.get(name) === mtimeMs);
    expect(kept.length).toBeGreaterThanOrEqual(before.size - 2);
    const labels = await fetch(`${second.url}/v1/jobs/${job.id}/files/labels.jsonl`);
    await direct;
    expect(await labels.text()).toBe(readFileSync(join(folder, 'direct', 'labels.jsonl'), 'utf8'));
  });

  it('lets nobody in without a key where others can reach it', async () => {
    const refused = await runCli([
      'serve',
      '--host',
      '0.0.0.0',
      '--port',
      '0',
      '--policy',
      'simulated',
    ]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/\[SERVE_PUBLIC_WITHOUT_KEY\]/);
    const keys = ['--keys', join(folder, 'keys.json')];
    const key = (await runCli(['serve', 'keys', 'add', ...keys, '--name', 'laptop'])).stdout.trim();
    const listed = (await runCli(['serve', 'keys', 'list', ...keys])).stdout;
    expect(listed).toMatch(/^[0-9a-f]{8} {2}\S+ {2}laptop\n$/);
    const silent = ['--log-level', 'silent', '--policy', 'simulated'];
    const { url, child, ended } = await serve('--host', '0.0.0.0', ...silent, ...keys);
    const { port } = new URL(url);
    const models = `http://127.0.0.1:${port}/v1/models`;
    expect((await json(models)).status).toBe(401);
    expect((await json(models, {}, key)).status).toBe(200);
    expect((await runCli(['serve', 'keys', 'revoke', 'laptop', ...keys])).code).toBe(0);
    await sleep(300);
    expect((await json(models, {}, key)).status).toBe(401);
    child.kill('SIGTERM');
    expect((await ended).stderr).not.toContain('"level"');
  });

  it('names a wrong option, and refuses rollouts as reward model', async () => {
    const wrong = await runCli(['serve', '--max-queue', '-1']);
    expect([wrong.code, /--max-queue/.test(wrong.stderr)]).toEqual([2, true]);
    const rollouts = await runCli(['serve', '--prm-kind', 'rollouts']);
    expect([rollouts.code, /gold answers/.test(rollouts.stderr)]).toEqual([2, true]);
  });
});

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
