import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exportRun } from '../../../src/data/export/index.js';
import { HAS_GOLDEN, readGolden } from '../../support/golden.js';

/** One path of two segments and one that fails at once, from a tree whose root value is 1/2. */
const tree = {
  id: 'bars-1',
  question: 'How tall is bar B?',
  answer: '5',
  image_path: 'images/bars-1.png',
  mc_value: 0.5,
  visit_count: 1,
  correct_rollouts: [],
  incorrect_rollouts: [],
  children: [
    {
      partial_solution: ['Bar A is as tall as the line at four.', ' Bar B is one more than that. '],
      mc_value: 0.75,
      visit_count: 1,
      correct_rollouts: [],
      incorrect_rollouts: [],
      children: [
        {
          partial_solution: ['So the answer is what one gets by adding: Answer: 5'],
          mc_value: 1,
          visit_count: 0,
          correct_rollouts: [],
          incorrect_rollouts: [],
          children: [],
        },
      ],
    },
    {
      partial_solution: ['Bar B is at the line of nine, as the figure shows it.'],
      mc_value: 0,
      visit_count: 0,
      correct_rollouts: [],
      incorrect_rollouts: [],
      children: [],
    },
  ],
};

const lines = [
  {
    id: 'bars-1',
    question: 'How tall is bar B?',
    images: ['images/bars-1.png'],
    steps: ['Bar A is 4.', 'Bar B is 5.', 'Answer: 5'],
    labels: [0.75, 0.25, 1],
    visits: [16, 16, 1],
    intervals: [
      [0.5, 0.9],
      [0.1, 0.5],
      [1, 1],
    ],
    method: 'omegaprm',
  },
  {
    id: 'text-2',
    question: 'What is 2 + 2?',
    images: [],
    steps: ['Answer: 5'],
    labels: [0],
    visits: [16],
    intervals: [[0, 0.14]],
    method: 'omegaprm',
    kinds: ['reasoning'],
  },
];

describe('the export of a run', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'steptree-export-'));
    await mkdir(join(dir, 'trees'));
    await mkdir(join(dir, 'images'));
    await writeFile(join(dir, 'trees', 'bars-1.json'), JSON.stringify(tree));
    await writeLabels(lines);
    const picture = { width: 8, height: 6, channels: 3 as const, background: '#336699' };
    await sharp({ create: picture })
      .png()
      .toFile(join(dir, 'images', 'bars-1.png'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  const out = (name: string) => join(dir, 'out', name);
  const writeLabels = (records: readonly unknown[]) =>
    writeFile(
      join(dir, 'labels.jsonl'),
      records.map((record) => `${JSON.stringify(record)}\n`).join(''),
    );
  const jsonLines = async (path: string): Promise<unknown[]> =>
    (await readFile(path, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));

  it('writes for MM-PRM what its own script writes, byte for byte', async () => {
    const summary = await exportRun(dir, { to: 'mm-prm', out: out('mm.json') });
    expect(summary).toEqual({ to: 'mm-prm', out: out('mm.json'), examples: 2 });
    // One negative path (cut at its first 0), one positive to balance it; as json.dump(indent=4) lays it out.
    expect(await readFile(out('mm.json'), 'utf8')).toBe(`[
    {
        "question": "How tall is bar B?",
        "answer": "5",
        "image_path": "images/bars-1.png",
        "process": "Bar B is at the line of nine, as the figure shows it.<prm>",
        "labels": [
            0.0
        ]
    },
    {
        "question": "How tall is bar B?",
        "answer": "5",
        "image_path": "images/bars-1.png",
        "process": "Bar A is as tall as the line at four.\\n\\nBar B is one more than that.<prm>\\n\\nSo the answer is what one gets by adding: Answer: 5<prm>",
        "labels": [
            0.75,
            1.0
        ]
    }
]`);
  });

  it('drops short texts for MM-PRM only as far as it is told to', async () => {
    const summary = await exportRun(dir, { to: 'mm-prm', out: out('mm.json'), minWords: 13 });
    // The negative text has 12 words; without it, balance leaves no positive either.
    expect(summary.examples).toBe(0);
    expect(await readFile(out('mm.json'), 'utf8')).toBe('[]');
    const all = { to: 'mm-prm', out: out('mm.json'), minWords: 13, balance: false } as const;
    expect((await exportRun(dir, all)).examples).toBe(1);
  });

  it.skipIf(!HAS_GOLDEN)(
    'samples the same paths as the reference from its 17 golden trees',
    async () => {
      const runs = readGolden();
      expect(runs).toHaveLength(17);
      for (const run of runs) {
        await rm(join(dir, 'trees'), { recursive: true });
        await mkdir(join(dir, 'trees'));
        await writeFile(join(dir, 'trees', `${run.id}.json`), JSON.stringify(run.tree));
        await exportRun(dir, { to: 'mm-prm', out: out('golden.json'), balance: false });
        const got = JSON.parse(
          await readFile(out('golden.json'), 'utf8'),
        ) as typeof run.sampledPaths.paths;
        const want = run.sampledPaths.kept ? run.sampledPaths.paths : [];
        expect(got.map(({ process, labels }) => ({ process, labels }))).toEqual(
          want.map(({ process, labels }) => ({ process, labels })),
        );
      }
    },
  );

  it('writes TRL stepwise supervision with labels above the threshold', async () => {
    await exportRun(dir, { to: 'trl', out: out('trl.jsonl'), threshold: 0.5 });
    expect(await jsonLines(out('trl.jsonl'))).toEqual([
      {
        prompt: 'How tall is bar B?',
        completions: ['Bar A is 4.', 'Bar B is 5.', 'Answer: 5'],
        labels: [true, false, true],
        images: ['images/bars-1.png'],
      },
      { prompt: 'What is 2 + 2?', completions: ['Answer: 5'], labels: [false], images: [] },
    ]);
  });

  it('writes VisualPRM conversations, one turn per step', async () => {
    await exportRun(dir, { to: 'visualprm', out: out('v.jsonl') });
    const [first, second] = (await jsonLines(out('v.jsonl'))) as {
      image?: unknown;
      conversations: { from: string; value: string }[];
    }[];
    expect(first?.image).toBe('images/bars-1.png');
    expect(first?.conversations.slice(1)).toEqual([
      {
        from: 'human',
        value: '### Question:\nHow tall is bar B?\n\n### Solution Process:\nBar A is 4.',
      },
      { from: 'gpt', value: '+' },
      { from: 'human', value: 'Bar B is 5.' },
      { from: 'gpt', value: '+' },
      { from: 'human', value: 'Answer: 5' },
      { from: 'gpt', value: '+' },
    ]);
    expect(second).not.toHaveProperty('image');
  });

  it('ends a VisualPRM conversation at its first wrong step if told so', async () => {
    await exportRun(dir, { to: 'visualprm', out: out('v.jsonl'), threshold: 0.5, earlyStop: true });
    const [first] = (await jsonLines(out('v.jsonl'))) as { conversations: { value: string }[] }[];
    expect(first?.conversations.slice(2).map((turn) => turn.value)).toEqual([
      '+',
      'Bar B is 5.',
      '-',
    ]);
  });

  it('writes Parquet that DuckDB reads, pictures embedded', async () => {
    await exportRun(dir, { to: 'parquet', out: out('d.parquet'), problemsDir: dir });
    const picture = await readFile(join(dir, 'images', 'bars-1.png'));
    const rows = await query(`
      select id, question, len(images) as pictures, images[1].path as path,
        octet_length(images[1].bytes) as bytes, md5(images[1].bytes) as hash, steps, labels, visits,
        intervals, kinds, method
      from '${out('d.parquet')}'`);
    const { createHash } = await import('node:crypto');
    expect(rows[0]).toMatchObject({
      id: 'bars-1',
      question: 'How tall is bar B?',
      pictures: '1',
      path: 'bars-1.png',
      bytes: String(picture.length),
      hash: createHash('md5').update(picture).digest('hex'),
      steps: ['Bar A is 4.', 'Bar B is 5.', 'Answer: 5'],
      labels: [0.75, 0.25, 1],
      visits: [16, 16, 1],
      intervals: [
        [0.5, 0.9],
        [0.1, 0.5],
        [1, 1],
      ],
      kinds: [],
      method: 'omegaprm',
    });
    expect(rows[1]).toMatchObject({
      id: 'text-2',
      pictures: '0',
      labels: [0],
      kinds: ['reasoning'],
    });
    const types = await query(`
      select column_name, column_type from (describe select * from '${out('d.parquet')}')`);
    expect(Object.fromEntries(types.map((row) => [row.column_name, row.column_type]))).toEqual({
      id: 'VARCHAR',
      question: 'VARCHAR',
      images: 'STRUCT(bytes BLOB, path VARCHAR)[]',
      steps: 'VARCHAR[]',
      labels: 'DOUBLE[]',
      visits: 'INTEGER[]',
      intervals: 'DOUBLE[][]',
      kinds: 'VARCHAR[]',
      method: 'VARCHAR',
    });
  });

  it('writes Parquet with paths only, which needs no pictures', async () => {
    await rm(join(dir, 'images'), { recursive: true });
    await exportRun(dir, { to: 'parquet', out: out('d.parquet'), images: 'path' });
    const rows = await query(`select images from '${out('d.parquet')}' where len(images) > 0`);
    expect(rows).toEqual([{ images: [{ bytes: null, path: 'images/bars-1.png' }] }]);
  });

  it('names the picture that cannot be embedded, and keeps the old file', async () => {
    await mkdir(join(dir, 'out'));
    await writeFile(out('d.parquet'), 'old');
    await rm(join(dir, 'images', 'bars-1.png'));
    await expect(
      exportRun(dir, { to: 'parquet', out: out('d.parquet'), problemsDir: dir }),
    ).rejects.toMatchObject({
      code: 'EXPORT_INPUT_INVALID',
      message: expect.stringContaining('bars-1.png, a picture of problem "bars-1"'),
    });
    await expect(exportRun(dir, { to: 'parquet', out: out('d.parquet') })).rejects.toMatchObject({
      code: 'EXPORT_UNSUPPORTED',
      message: expect.stringContaining('--problems-dir'),
    });
    expect(await readFile(out('d.parquet'), 'utf8')).toBe('old');
    expect(await readdir(join(dir, 'out'))).toEqual(['d.parquet']);
  });

  it('names the line of labels.jsonl that is not one', async () => {
    await writeLabels([lines[0], { ...lines[1], visits: [] }]);
    await expect(exportRun(dir, { to: 'trl', out: out('x') })).rejects.toMatchObject({
      code: 'EXPORT_INPUT_INVALID',
      message: expect.stringMatching(
        /labels\.jsonl, line 2: 1 steps with 1, 0, 1 labels, visits, intervals/,
      ),
    });
  });

  it('says what is missing from a folder that is no run', async () => {
    for (const to of ['trl', 'mm-prm'] as const) {
      await expect(exportRun(join(dir, 'images'), { to, out: out('x') })).rejects.toMatchObject({
        code: 'EXPORT_NOTHING',
        message: expect.stringMatching(
          /has no (labels\.jsonl|folder "trees"); give the --out folder/,
        ),
      });
    }
  });

  it('stops between two paths when the signal aborts', async () => {
    const stop = AbortSignal.abort(new Error('interrupted'));
    await expect(exportRun(dir, { to: 'trl', out: out('x.jsonl') }, stop)).rejects.toThrow(
      'interrupted',
    );
    expect(existsSync(out('x.jsonl'))).toBe(false);
  });
});

async function query(sql: string): Promise<Record<string, unknown>[]> {
  const instance = await DuckDBInstance.create();
  const connection = await instance.connect();
  try {
    return (await (await connection.runAndReadAll(sql)).getRowObjectsJson()) as Record<
      string,
      unknown
    >[];
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
