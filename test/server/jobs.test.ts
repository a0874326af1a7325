import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Job, JobBoard, type JobRunner } from '../../src/server/jobs.js';
import { addKey, KeyRing } from '../../src/server/keys.js';
import { temporaryFolder } from '../support/cli.js';
import { png, post, startService } from './harness.js';

const folder = temporaryFolder();
let folders = 0;
const newDir = () => join(folder, `jobs-${folders++}`);
const request = { kind: 'bench' as const, set: 'figmath' as const, options: {} };
const settled = async (job: Job) => {
  while (job.status === 'queued' || job.status === 'running') await new Promise(setImmediate);
  return job;
};

/** Ends when it is told to, or aborted. */
function heldRunner() {
  const runs: { id: string; end: (error?: unknown) => void; aborted: boolean }[] = [];
  const run: JobRunner = ({ id }, _place, signal) =>
    new Promise((resolve, reject) => {
      const one = {
        id,
        aborted: false,
        end: (error?: unknown) => (error === undefined ? resolve({ ok: id }) : reject(error)),
      };
      runs.push(one);
      signal.addEventListener('abort', () => {
        one.aborted = true;
        reject(signal.reason);
      });
    });
  return { run, runs };
}

describe('JobBoard', () => {
  it('runs so many at once, the others in order', async () => {
    const { run, runs } = heldRunner();
    const board = new JobBoard({ dir: newDir(), maxJobs: 1, maxQueuedJobs: 10 }, run);
    const a = await board.submit(request, 'x');
    const b = await board.submit(request, 'x');
    while (runs.length < 1) await new Promise(setImmediate);
    expect([a.status, b.status]).toEqual(['running', 'queued']);
    runs[0]?.end();
    expect(await settled(a)).toMatchObject({ status: 'done', summary: { ok: a.id } });
    while (runs.length < 2) await new Promise(setImmediate);
    runs[1]?.end();
    await settled(b);
    expect(board.list('x').map(({ status }) => status)).toEqual(['done', 'done']);
  });

  it('takes up what a killed or closed process left, and nothing that had ended', async () => {
    const dir = newDir();
    const first = heldRunner();
    const board = new JobBoard({ dir, maxJobs: 1, maxQueuedJobs: 10 }, first.run);
    const done = await board.submit(request, 'x');
    while (first.runs.length < 1) await new Promise(setImmediate);
    first.runs[0]?.end();
    await settled(done);
    const cut = await board.submit(request, 'x');
    const waiting = await board.submit(request, 'x');
    while (first.runs.length < 2) await new Promise(setImmediate);
    // Nothing is written when a process is killed: the folder is what it is now.
    const second = heldRunner();
    const again = new JobBoard({ dir, maxJobs: 2, maxQueuedJobs: 10 }, second.run);
    again.start();
    while (second.runs.length < 2) await new Promise(setImmediate);
    expect(new Set(second.runs.map(({ id }) => id))).toEqual(new Set([cut.id, waiting.id]));
    expect(again.get(done.id, 'x')).toMatchObject({ status: 'done', summary: { ok: done.id } });
    await again.close();
    expect(second.runs.every(({ aborted }) => aborted)).toBe(true);
    const third = new JobBoard({ dir, maxJobs: 2, maxQueuedJobs: 10 }, heldRunner().run);
    expect(third.list('x').filter(({ status }) => status === 'queued')).toHaveLength(2);
    await board.close();
  });

  it('keeps a failed job with its error until it is tried again', async () => {
    const { run, runs } = heldRunner();
    const board = new JobBoard({ dir: newDir(), maxJobs: 1, maxQueuedJobs: 10 }, run);
    const job = await board.submit(request, 'x');
    while (runs.length < 1) await new Promise(setImmediate);
    runs[0]?.end(new Error('the server is down'));
    expect(await settled(job)).toMatchObject({
      status: 'failed',
      error: { code: 'INTERNAL', message: 'the server is down' },
    });
    await board.resume(job);
    while (runs.length < 2) await new Promise(setImmediate);
    runs[1]?.end();
    expect(await settled(job)).toMatchObject({ status: 'done', error: null });
  });

  it('shows how far a run is that tells it', async () => {
    const dir = newDir();
    const jobs = new JobBoard(
      { dir, maxJobs: 1, maxQueuedJobs: 10 },
      (_job, _place, _signal, watch) => {
        watch(() => ({ problems: { done: 3 } }));
        return new Promise(() => {});
      },
    );
    const job = await jobs.submit(request, 'x');
    await new Promise(setImmediate);
    while (jobs.progress(job) === null) await new Promise(setImmediate);
    expect(jobs.progress(job)).toEqual({ problems: { done: 3 } });
  });

  it('removes a job with its files, also one that runs', async () => {
    const { run, runs } = heldRunner();
    const dir = newDir();
    const board = new JobBoard({ dir, maxJobs: 1, maxQueuedJobs: 10 }, run);
    const job = await board.submit(request, 'x');
    while (runs.length < 1) await new Promise(setImmediate);
    await board.remove(job);
    expect(runs[0]?.aborted).toBe(true);
    expect(existsSync(join(dir, job.id))).toBe(false);
    expect(board.get(job.id, 'x')).toBeNull();
  });

  it('refuses more than may wait, and is not misled by other folders', async () => {
    const dir = newDir();
    mkdirSync(join(dir, 'other'), { recursive: true });
    writeFileSync(join(dir, 'other', 'job.json'), '{"id": "another", "status": "queued"}');
    const { run } = heldRunner();
    const board = new JobBoard({ dir, maxJobs: 1, maxQueuedJobs: 1 }, run);
    expect(board.list('x')).toEqual([]);
    await board.submit(request, 'x');
    await expect(board.submit(request, 'x')).rejects.toMatchObject({ code: 'SERVE_BUSY' });
    await board.close();
  });
});

describe('a folder of jobs', () => {
  const settings = (dir: string) => ({ dir, maxJobs: 1, maxQueuedJobs: 10 });

  it('belongs to one process: a second service leaves its running jobs alone', async () => {
    const dir = newDir();
    const { run, runs } = heldRunner();
    const board = new JobBoard(settings(dir), run);
    const job = await board.submit(request, 'x');
    while (runs.length < 1) await new Promise(setImmediate);
    const before = readFileSync(join(dir, job.id, 'job.json'), 'utf8');
    // As if the first service were another process.
    writeFileSync(join(dir, 'run.lock'), `${process.ppid}\n`);
    expect(() => new JobBoard(settings(dir), run)).toThrow(`process ${process.ppid} is writing`);
    expect(readFileSync(join(dir, job.id, 'job.json'), 'utf8')).toBe(before);
    await board.close();
  });

  it('is free again when the service has ended', async () => {
    const dir = newDir();
    const board = new JobBoard(settings(dir), heldRunner().run);
    expect(existsSync(join(dir, 'run.lock'))).toBe(true);
    await board.close();
    expect(existsSync(join(dir, 'run.lock'))).toBe(false);
  });

  it('takes no more jobs than may wait, also when they come at once', async () => {
    const board = new JobBoard({ ...settings(newDir()), maxQueuedJobs: 2 }, heldRunner().run);
    const submitted = await Promise.allSettled(
      Array.from({ length: 5 }, () => board.submit(request, 'x')),
    );
    expect(submitted.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
    expect(board.list('x')).toHaveLength(2);
    await board.close();
  });
});

describe('/v1/jobs', () => {
  const problem = { id: 'p', question: 'Q', answer: '4', metadata: { family: 'bars' } };
  const started = async (dir = newDir()) => {
    const { run, runs } = heldRunner();
    const jobs = new JobBoard({ dir, maxJobs: 1, maxQueuedJobs: 10 }, run);
    return { service: await startService({ jobs }), runs, dir };
  };

  it('takes a labelling job, shows it and its files, and deletes it', async () => {
    const { service, runs, dir } = await started();
    const url = await png();
    const { status, body } = await post(
      service,
      { kind: 'label', problems: [{ ...problem, image: url }], options: { numRollouts: 4 } },
      '/v1/jobs',
    );
    expect([status, body.status]).toEqual([202, 'running']);
    const place = join(dir, body.id);
    expect(JSON.parse(readFileSync(join(place, 'problems.jsonl'), 'utf8'))).toEqual({
      ...problem,
      images: [url],
    });
    const call = async (method: 'GET' | 'DELETE', path: string) =>
      service.app.inject({ method, url: `/v1/jobs/${path}`, headers: { host: 'localhost' } });
    mkdirSync(join(place, 'run'));
    writeFileSync(join(place, 'run', 'run.json'), '{"labels": 7}');
    expect((await call('GET', body.id)).json()).toMatchObject({
      status: 'running',
      run: { labels: 7 },
    });
    expect((await call('GET', `${body.id}/files/run.json`)).body).toBe('{"labels": 7}');
    for (const name of [
      'labels.jsonl',
      '..%2Fjob.json',
      'job.json',
      '%2Fetc%2Fpasswd',
      'toString',
    ]) {
      expect((await call('GET', `${body.id}/files/${name}`)).statusCode).toBe(404);
    }
    while (runs.length < 1) await new Promise(setImmediate);
    expect((await call('DELETE', body.id)).json()).toEqual({ id: body.id, deleted: true });
    expect(existsSync(place)).toBe(false);
    expect((await call('GET', body.id)).statusCode).toBe(404);
  });

  it.each([
    ['a picture by path', { kind: 'label', problems: [{ ...problem, image: '/etc/passwd' }] }],
    [
      'a picture by address',
      { kind: 'label', problems: [{ ...problem, image: 'http://a.test/' }] },
    ],
    ['a policy', { kind: 'label', problems: [problem], options: { policy: 'http://10.0.0.1/' } }],
    ['a file to write', { kind: 'label', problems: [problem], options: { record: '/tmp/x' } }],
    ['a config file', { kind: 'bench', set: 'figmath', options: { config: '/etc/passwd' } }],
    ['a judge', { kind: 'bench', set: 'figmath', options: { judge: 'http://10.0.0.1/' } }],
    ['a folder', { kind: 'bench', set: 'figmath', out: '/tmp/x' }],
    ['a file as a set', { kind: 'bench', set: '/etc/passwd' }],
    ['neither set nor problems', { kind: 'bench' }],
    ['no problems', { kind: 'label', problems: [] }],
    ['an unknown kind', { kind: 'train' }],
    ['a billion rollouts', { kind: 'label', problems: [problem], options: { numRollouts: 1e9 } }],
    ['a billion samples', { kind: 'bench', set: 'figmath', options: { n: '4,1000000000' } }],
    [
      'a billion in a strategy',
      { kind: 'bench', set: 'figmath', options: { strategy: 'mcts:simulations=1e9' } },
    ],
  ])('refuses %s', async (_what, body) => {
    const { service } = await started();
    expect((await post(service, body, '/v1/jobs')).status).toBe(400);
    expect(service.service.jobs?.list('local')).toEqual([]);
  });

  it('is for those who have jobs, and each sees its own', async () => {
    const none = await post(await startService(), { kind: 'bench', set: 'figmath' }, '/v1/jobs');
    expect([none.status, none.body.error.code]).toEqual([400, 'SERVE_JOB_REFUSED']);
    const file = join(newDir(), 'keys.json');
    const [a, b] = [await addKey(file, 'a'), await addKey(file, 'b')];
    const { run } = heldRunner();
    const jobs = new JobBoard({ dir: newDir(), maxJobs: 1, maxQueuedJobs: 10 }, run);
    const service = await startService({ jobs, keys: new KeyRing(file, () => {}) });
    const as = ({ key }: { key: string }) => ({
      authorization: `Bearer ${key}`,
      host: 'localhost',
    });
    const { body } = await post(service, { kind: 'bench', set: 'figmath' }, '/v1/jobs', as(a));
    const url = `/v1/jobs/${body.id}`;
    expect((await service.app.inject({ url, headers: as(b) })).statusCode).toBe(404);
    expect((await service.app.inject({ method: 'DELETE', url, headers: as(b) })).statusCode).toBe(
      404,
    );
    expect((await service.app.inject({ url, headers: as(a) })).statusCode).toBe(200);
  });
});
