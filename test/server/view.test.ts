import { mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Fastify from 'fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { syntheticTree, writeRun } from '../../bench/speed/synthetic-run.js';
import { registerViewer } from '../../src/server/view.js';
import { type BuiltPage, readBuiltPage } from '../../src/server/view-built.js';
import { ViewFolder } from '../../src/server/view-folder.js';
import type { ViewRun, ViewRunDetail } from '../../src/server/view-types.js';

const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

const PAGE: BuiltPage = new Map([
  ['index.html', { type: 'text/html; charset=utf-8', bytes: Buffer.from('<!doctype html>') }],
  ['assets/index-1.js', { type: 'text/javascript; charset=utf-8', bytes: Buffer.from('1') }],
]);

let root: string;
let dir: string;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'steptree-view-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(() => {
  dir = mkdtempSync(join(root, 'runs-'));
});

function server(pictures: 'inside' | 'anywhere' = 'inside') {
  const app = Fastify();
  app.register(registerViewer, { dir, page: PAGE, pictures });
  const get = async (url: string, headers: Record<string, string> = {}) => {
    const reply = await app.inject({ url, headers });
    return { ...reply, status: reply.statusCode, json: () => reply.json() };
  };
  const view = (name: string, query: Record<string, string> = {}) =>
    get(`/api/view/${name}?${new URLSearchParams(query)}`);
  return { app, get, view };
}

/** A problem file with pictures beside it, and a run that names it. */
function runWithPictures(images: Record<string, string>): void {
  mkdirSync(join(root, 'problems', 'images'), { recursive: true });
  const file = join(root, 'problems', 'problems.jsonl');
  const lines = Object.entries(images).map(([id, image], i) =>
    JSON.stringify({ id, question: `Q ${id}`, answer: '7', image, metadata: { family: `f${i}` } }),
  );
  writeFileSync(file, lines.reverse().join('\n'));
  const trees = Object.entries(images).map(([id, image]) =>
    syntheticTree(id, 3, { images: [image] }),
  );
  writeRun(join(dir, 'run'), trees, { problemsFile: file });
}

describe('what a folder holds', () => {
  it('finds label runs, solves and benchmarks below it, whatever else lies there', async () => {
    writeRun(join(dir, 'deep', 'label'), [syntheticTree('a', 5)]);
    writeFileSync(join(dir, 'solve.json'), JSON.stringify(solveReport()));
    writeFileSync(join(dir, 'other.json'), '{"id": 1}');
    writeFileSync(join(dir, 'broken.json'), '{"id": "x", "question": "", "strategy": "');
    writeBench(join(dir, 'bench'));
    const { runs } = (await server().view('runs')).json() as { runs: ViewRun[] };
    expect(runs.map(({ id, kind, method }) => [id, kind, method])).toEqual([
      ['bench', 'bench', 'greedy, majority'],
      ['deep/label', 'label', 'step-rollouts'],
      ['solve.json', 'solve', 'mcts'],
    ]);
  });

  it('takes the folder itself for a run', async () => {
    writeRun(dir, [syntheticTree('a', 5)]);
    const { runs } = (await server().view('runs')).json() as { runs: ViewRun[] };
    expect(runs.map(({ id }) => id)).toEqual(['.']);
  });

  it('finds a run that was made a moment ago', async () => {
    writeRun(join(dir, 'old'), []);
    const { view } = server();
    await view('runs');
    writeRun(join(dir, 'new'), []);
    expect((await view('run', { run: 'new' })).status).toBe(200);
  });

  it('lists labelled and failed problems in the order of the problem file, with their groups', async () => {
    runWithPictures({ a: 'images/a.png', b: 'images/b.png' });
    writeFileSync(
      join(dir, 'run', 'failed.jsonl'),
      '{"id": "c", "code": "LABEL_ALL_UNGRADED", "message": "none of 16"}\n{"id": null, "code": "X", "message": "y"}\n',
    );
    const detail = (await server().view('run', { run: 'run' })).json() as ViewRunDetail;
    // The file was written in reverse.
    expect(detail.problems.map(({ id, group, status }) => [id, group, status])).toEqual([
      ['b', 'f1', 'done'],
      ['a', 'f0', 'done'],
      ['', null, 'failed'],
      ['c', null, 'failed'],
    ]);
    expect(detail.problems[0]).toMatchObject({ states: 3, rollouts: 48, value: 0.625 });
  });

  it('names the workers of a run over a queue while it goes on', async () => {
    const worker = { name: 'left', concurrency: 4, active: 3, rolloutsPerSecond: 12.5 };
    const policyStats = { queue: 'redis://h:6379', workers: [{ ...worker, maxInFlight: 64 }] };
    const workers = async (status: string, stats: object) => {
      writeRun(join(dir, 'run'), [syntheticTree('a', 5)], { status, policyStats: stats });
      writeFileSync(join(dir, 'run', 'run.lock'), `${process.pid}\n`);
      return ((await server().view('run', { run: 'run' })).json() as ViewRunDetail).workers;
    };
    expect(await workers('running', policyStats)).toEqual([worker]);
    expect(await workers('running', { calls: 7 })).toBeUndefined();
    expect(await workers('done', policyStats)).toBeUndefined();
  });

  it('shows a tree that is broken as such, and the others', async () => {
    writeRun(join(dir, 'run'), [syntheticTree('a', 5)]);
    writeFileSync(join(dir, 'run', 'trees', 'b.json'), '{"id": "b"');
    const { view } = server();
    const detail = (await view('run', { run: 'run' })).json() as ViewRunDetail;
    expect(detail.problems.map(({ id, error }) => [id, error?.code])).toEqual([
      ['a', undefined],
      ['b', 'VIEW_FILE_INVALID'],
    ]);
    const broken = await view('problem', { run: 'run', problem: 'b' });
    expect([broken.status, broken.json().error.code]).toEqual([422, 'VIEW_FILE_INVALID']);
    expect(broken.json().error.message).toContain('b.json');
  });

  it('gives trees, candidates with verdicts, and rows of strategies', async () => {
    writeRun(join(dir, 'run'), [syntheticTree('p', 5)], {
      config: { method: 'omegaprm', cPuct: 0.2, alpha: 0.5, beta: 0.9, lengthScale: 500 },
    });
    writeFileSync(join(dir, 'solve.json'), JSON.stringify(solveReport()));
    writeBench(join(dir, 'bench'));
    const { view } = server();
    const problem = async (run: string) => (await view('problem', { run, problem: 'p' })).json();
    expect(await problem('run')).toMatchObject({ kind: 'label', puct: { cPuct: 0.2 } });
    const solve = await problem('solve.json');
    expect(solve.report.candidates.map((one: { verdict: string }) => one.verdict)).toEqual([
      'equal',
      'different',
    ]);
    expect((await problem('bench')).rows).toHaveLength(2);
    const holders = (await view('holders', { problem: 'p' })).json();
    expect(holders.runs).toEqual(['bench', 'run', 'solve.json']);
    const row = ((await view('run', { run: 'solve.json' })).json() as ViewRunDetail).problems[0];
    expect(row).toMatchObject({ value: 0.5, states: 4, verdict: 'equal' });
  });

  it('says that a run is lost when its process has ended', async () => {
    writeRun(join(dir, 'run'), [], { status: 'running' });
    const status = async () => (await server().view('run', { run: 'run' })).json().run.status;
    expect(await status()).toBe('lost');
    writeFileSync(join(dir, 'run', 'run.lock'), `${process.pid}\n`);
    expect(await status()).toBe('running');
    // No process has the largest id that Linux allows.
    writeFileSync(join(dir, 'run', 'run.lock'), '4194304\n');
    expect(await status()).toBe('lost');
  });

  it('answers 304 until the run has gone on', async () => {
    writeRun(join(dir, 'run'), [syntheticTree('a', 5)]);
    const { get } = server();
    const first = await get('/api/view/run?run=run');
    const etag = String(first.headers.etag);
    const again = () => get('/api/view/run?run=run', { 'if-none-match': etag });
    expect((await again()).status).toBe(304);
    writeFileSync(join(dir, 'run', 'trees', 'b.json'), JSON.stringify(syntheticTree('b', 2)));
    utimesSync(join(dir, 'run', 'trees'), new Date(), new Date(Date.now() + 5_000));
    const changed = await again();
    expect([changed.status, changed.json().problems.length]).toEqual([200, 2]);
  });
});

describe('what must not leave the folder', () => {
  const TRAVERSALS = [
    '..',
    '../..',
    '/etc',
    'run/..',
    './run',
    '..%2f..',
    'run\u0000',
    '__proto__',
  ];

  it.each(TRAVERSALS)('knows no run %j', async (run) => {
    writeRun(join(dir, 'run'), [syntheticTree('a', 5)]);
    const reply = await server().view('run', { run });
    expect([reply.status, reply.json().error.code]).toEqual([404, 'VIEW_RUN_UNKNOWN']);
  });

  it.each(['../run', '../../run', '/etc/passwd', '..', 'a/../a', '__proto__', '\u0000'])(
    'knows no problem %j',
    async (problem) => {
      writeRun(join(dir, 'run'), [syntheticTree('a', 5)]);
      const reply = await server().view('problem', { run: 'run', problem });
      expect([reply.status, reply.json().error.code]).toEqual([404, 'VIEW_PROBLEM_UNKNOWN']);
    },
  );

  it.each([
    '/ui/assets/..%2findex.html',
    '/ui/assets/..%2f..%2fpackage.json',
    '/ui/assets/x.js',
    '/ui/../package.json',
  ])('serves nothing but the page at %s', async (url) => {
    expect((await server().get(url)).status).toBe(404);
  });

  it('shows pictures of the problem file, and refuses what is none', async () => {
    runWithPictures({ good: 'images/good.png', text: 'images/text.png', gone: 'images/gone.png' });
    writeFileSync(join(root, 'problems', 'images', 'good.png'), PNG);
    writeFileSync(join(root, 'problems', 'images', 'text.png'), 'secret words');
    const { view } = server();
    const picture = (problem: string, at = '0') => view('picture', { run: 'run', problem, at });
    const good = await picture('good');
    expect([good.status, good.headers['content-type']]).toEqual([200, 'image/png']);
    expect(good.rawPayload.equals(PNG)).toBe(true);
    const text = await picture('text');
    expect([text.status, text.json().error.code]).toEqual([403, 'VIEW_IMAGE_REFUSED']);
    expect(text.body).not.toContain('secret');
    expect((await picture('gone')).json().error.code).toBe('VIEW_IMAGE_MISSING');
    expect((await picture('good', '1')).json().error.code).toBe('VIEW_IMAGE_MISSING');
  });

  it('refuses pictures outside, named by path or reached by link, unless they may lie anywhere', async () => {
    const outside = join(root, 'outside.png');
    writeFileSync(outside, PNG);
    mkdirSync(join(root, 'problems', 'images'), { recursive: true });
    rmSync(join(root, 'problems', 'images', 'link.png'), { force: true });
    symlinkSync(outside, join(root, 'problems', 'images', 'link.png'));
    runWithPictures({ path: outside, up: '../outside.png', link: 'images/link.png' });
    for (const problem of ['path', 'up', 'link']) {
      const query = { run: 'run', problem };
      const reply = await server().view('picture', query);
      expect([reply.status, reply.json().error.code]).toEqual([403, 'VIEW_IMAGE_REFUSED']);
      expect((await server('anywhere').view('picture', query)).status).toBe(200);
    }
  });

  it('shows pictures that came as data: URLs', async () => {
    runWithPictures({ data: `data:image/png;base64,${PNG.toString('base64')}` });
    const reply = await server().view('picture', { run: 'run', problem: 'data' });
    expect(reply.rawPayload.equals(PNG)).toBe(true);
  });

  it.each(['run', 'problem', 'picture', 'holders'])(
    'refuses %s without its names, and names that it does not know',
    async (name) => {
      for (const query of [{}, { run: 'a', problem: 'b', x: '1' }]) {
        const reply = await server().view(name, query);
        expect([reply.status, reply.json().error.code]).toEqual([400, 'VIEW_REQUEST_INVALID']);
      }
    },
  );

  it('sends a strict policy with everything', async () => {
    writeRun(join(dir, 'run'), [syntheticTree('a', 5)]);
    const { get } = server();
    for (const url of [
      '/ui/',
      '/ui/assets/index-1.js',
      '/api/view/runs',
      '/api/view/run?run=run',
    ]) {
      const { headers } = await get(url);
      expect(headers['content-security-policy']).toContain("default-src 'none'; script-src 'self'");
      expect(headers['content-security-policy']).not.toContain('unsafe');
      expect(headers['x-content-type-options']).toBe('nosniff');
    }
  });
});

it('refuses a folder that is not there, with what to give instead', () => {
  expect(() => new ViewFolder(join(dir, 'missing'))).toThrow(/is no folder; give the --out/);
});

it('says that the page is not built', () => {
  expect(() => readBuiltPage(join(dir, 'missing'))).toThrow(/npm run build/);
});

it('tells the page whether the server can solve', async () => {
  const plain = server();
  expect((await plain.view('about')).json()).toEqual({ canSolve: false });
  const service = server();
  service.app.post('/v1/chat/completions', () => ({}));
  expect((await service.view('about')).json()).toEqual({ canSolve: true });
});

function solveReport() {
  const candidate = (steps: string[], answer: string) => {
    return {
      steps,
      answer,
      score: 0.5,
      stepScores: [0.5, 0.5],
      group: 0,
      finish: 'end',
      origin: 'sampled',
    };
  };
  return {
    id: 'p',
    question: 'Q',
    strategy: 'mcts',
    options: { n: 2 },
    seed: 0,
    policy: { host: 'onnx', model: 'embedded' },
    answer: '7',
    chosen: 0,
    candidates: [candidate(['a', 'b'], '7'), candidate(['a', 'c'], '8')],
    votes: [{ group: 0, answer: '7', votes: 1, weight: 0.5 }],
    stopped: 'done',
    warnings: [],
    usage: { rollouts: 2, policyTokens: 9 },
    elapsedMs: 5,
    gold: '7',
    verdict: { verdict: 'equal' },
    candidateVerdicts: [{ verdict: 'equal' }, { verdict: 'different' }],
  };
}

function writeBench(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const share = { mean: 1, low: 0, high: 1 };
  const cell = (strategy: string) => {
    return {
      cell: `${strategy} @1`,
      strategy,
      accuracy: share,
      oracle: share,
      policyTokens: 3,
      prmTokens: 0,
    };
  };
  const summary = {
    set: 'problems.jsonl',
    problems: 1,
    seeds: [0],
    cells: [cell('greedy'), cell('majority')],
  };
  writeFileSync(join(folder, 'summary.json'), JSON.stringify(summary));
  const row = (strategy: string) => {
    const facts = {
      n: 1,
      seed: 0,
      id: 'p',
      verdict: 'equal',
      oracle: true,
      answer: '7',
      gold: '7',
    };
    return { strategy, ...facts, policyTokens: 3, prmTokens: 0, stopped: 'done', warnings: [] };
  };
  const lines = [row('greedy'), row('majority')].map((one) => JSON.stringify(one));
  writeFileSync(join(folder, 'results.jsonl'), lines.join('\n'));
}
