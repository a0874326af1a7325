import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Problem } from '../../search/types.js';
import {
  type ProblemItem,
  type ReadOptions,
  type Rejection,
  readProblems,
  treeFileName,
} from '../../src/data/problems.js';
import { FIXTURES } from '../support/golden.js';

describe('the reader of problem files', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'steptree-problems-'));
    const picture = { width: 4, height: 4, channels: 3 as const, background: '#fff' };
    await sharp({ create: picture }).png().toFile(join(dir, 'a.png'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  async function write(content: string, name = 'problems.jsonl'): Promise<string> {
    const path = join(dir, name);
    await writeFile(path, content);
    return path;
  }

  async function read(path: string, options: ReadOptions = {}): Promise<ProblemItem[]> {
    const items: ProblemItem[] = [];
    for await (const item of readProblems(path, options)) items.push(item);
    return items;
  }

  const problemsOf = (items: readonly ProblemItem[]): Problem[] =>
    items.flatMap((item) => ('problem' in item ? [item.problem] : []));
  const rejectionsOf = (items: readonly ProblemItem[]): Rejection[] =>
    items.flatMap((item) => ('rejected' in item ? [item.rejected] : []));

  /** The rejection of one line, written as JSON unless it is text. */
  async function rejection(line: object | string): Promise<Rejection> {
    const path = await write(`${typeof line === 'string' ? line : JSON.stringify(line)}\n`);
    const [first] = rejectionsOf(await read(path));
    if (!first) throw new Error('the line was accepted');
    return { ...first, message: first.message.replace(path, 'FILE') };
  }

  const good = { id: 'p1', question: 'How many?', answer: '3' };

  it('reads JSONL with a byte order mark, CRLF and blank lines, and keeps line numbers', async () => {
    const second = { ...good, id: 2, image: 'a.png', choices: [1, 2, 3], precision: 0 };
    const text = `\ufeff${JSON.stringify(good)}\r\n\r\n${JSON.stringify(second)}`;
    const items = await read(await write(text));
    expect(items).toEqual([
      { problem: { ...good, images: [] }, line: 1 },
      {
        problem: {
          id: '2',
          question: 'How many?',
          answer: '3',
          choices: ['1', '2', '3'],
          precision: 0,
          images: [{ source: 'a.png', location: join(dir, 'a.png') }],
        },
        line: 3,
      },
    ]);
  });

  it('reads a JSON array, one line or many, with the line where each problem starts', async () => {
    const list = [good, { ...good, id: 'p2' }];
    const path = await write(JSON.stringify(list, null, 2), 'problems.json');
    // Line 1 is "[", each object takes five lines.
    expect((await read(path)).map((item) => 'line' in item && item.line)).toEqual([2, 7]);
    expect(problemsOf(await read(await write(JSON.stringify(list), 'p.json')))).toHaveLength(2);
  });

  it('reads a JSON array under the name of JSONL, and a bad line that is a list as one bad line', async () => {
    const list = [good, { ...good, id: 'p2' }];
    for (const text of [JSON.stringify(list), JSON.stringify(list, null, 2)]) {
      expect(problemsOf(await read(await write(text, 'array.jsonl')))).toHaveLength(2);
    }
    const items = await read(await write(`[1, 2]\n${JSON.stringify(good)}`, 'lines.jsonl'));
    expect(items).toHaveLength(2);
    expect(problemsOf(items)).toHaveLength(1);
  });

  it('reads an object of problems by id', async () => {
    const { id: _, ...rest } = good;
    const path = await write(JSON.stringify({ x: rest, y: rest }, null, 1), 'p.json');
    expect(problemsOf(await read(path)).map((problem) => problem.id)).toEqual(['x', 'y']);
  });

  it('reads the seed file of MM-PRM as it is', async () => {
    const seed = {
      id: 7,
      question: 'Q',
      correct_answer: '5',
      image_path: join(dir, 'a.png'),
      grade: 'K12',
    };
    const warnings: string[] = [];
    const path = await write(JSON.stringify([seed]), 'seed.json');
    const items = await read(path, { onWarning: (message) => warnings.push(message) });
    expect(problemsOf(items)).toEqual([
      {
        id: '7',
        question: 'Q',
        answer: '5',
        metadata: { grade: 'K12' },
        images: [{ source: join(dir, 'a.png'), location: join(dir, 'a.png') }],
      },
    ]);
    expect(warnings).toEqual([`${path} is read as mm-prm`]);
  });

  it('takes data: URLs as pictures', async () => {
    const bytes = await sharp(join(dir, 'a.png')).toBuffer();
    const image = `data:image/png;base64,${bytes.toString('base64')}`;
    const [problem] = problemsOf(await read(await write(JSON.stringify({ ...good, image }))));
    expect(problem?.images).toEqual([{ source: image, location: image }]);
  });

  it('names file, line and what was expected for malformed JSON, and reads on', async () => {
    const lines = Array.from({ length: 20 }, (_, i) => JSON.stringify({ ...good, id: `p${i}` }));
    lines[16] = '{"id": "p16", "question": ';
    const path = await write(lines.join('\n'));
    const items = await read(path);
    expect(problemsOf(items)).toHaveLength(19);
    expect(rejectionsOf(items)).toMatchObject([
      {
        code: 'PROBLEM_JSON_INVALID',
        line: 17,
        message: expect.stringContaining(`${path}, line 17: is not valid JSON`),
      },
    ]);
  });

  it('ends at the break of a JSON array, and says so', async () => {
    const path = await write(`[\n${JSON.stringify(good)},\n{"id": oops}\n]`, 'p.json');
    const items = await read(path);
    expect(problemsOf(items)).toHaveLength(1);
    expect(rejectionsOf(items)).toMatchObject([
      {
        code: 'PROBLEM_JSON_INVALID',
        line: 3,
        message: expect.stringContaining('nothing after it was read'),
      },
    ]);
    const cut = await write(`[\n${JSON.stringify(good)},`, 'cut.json');
    expect(rejectionsOf(await read(cut))).toMatchObject([
      { message: expect.stringContaining('ends before its JSON is complete') },
    ]);
  });

  it.each([
    ['a list', [1], 'PROBLEM_JSON_INVALID', 'line 1: is a list; expected an object'],
    [
      'a missing id',
      { question: 'Q', answer: '1' },
      'PROBLEM_FIELD_INVALID',
      'field id: is missing; expected a text or number',
    ],
    [
      'an empty question',
      { ...good, question: '  ' },
      'PROBLEM_QUESTION_EMPTY',
      'field question: is empty',
    ],
    [
      'a mistyped field',
      { ...good, anwser: '3' },
      'PROBLEM_FIELD_UNKNOWN',
      'field anwser: is no field of a problem; did you mean answer?',
    ],
    [
      'a field of another tool',
      { ...good, difficulty: 3 },
      'PROBLEM_FIELD_UNKNOWN',
      'put anything else into metadata',
    ],
    [
      'a missing answer',
      { id: 'p', question: 'Q' },
      'PROBLEM_ANSWER_INVALID',
      'field answer: is missing; expected the gold answer',
    ],
    [
      'an answer of another type',
      { ...good, answer: 'some', answerType: 'number' },
      'PROBLEM_ANSWER_INVALID',
      'field answer: is "some"; expected a number',
    ],
    [
      'an answer that is no choice',
      { ...good, answer: 'D', choices: ['x', 'y'], answerType: 'choice' },
      'PROBLEM_ANSWER_INVALID',
      'one of the 2 choices',
    ],
    [
      'a precision that is none',
      { ...good, precision: -1 },
      'PROBLEM_FIELD_INVALID',
      'field precision: is -1; expected a number of decimal places',
    ],
    [
      'image beside images',
      { ...good, image: 'a.png', images: ['a.png'] },
      'PROBLEM_FIELD_INVALID',
      'expected one of the two',
    ],
    [
      'a missing picture',
      { ...good, image: 'b.png' },
      'PROBLEM_IMAGE_MISSING',
      'b.png does not exist; expected a path relative to the problem file',
    ],
    [
      'a web address',
      { ...good, image: 'https://x.org/a.png' },
      'PROBLEM_IMAGE_INVALID',
      'is a web address; expected a file or a data: URL',
    ],
    [
      'an empty data: URL',
      { ...good, image: 'data:image/png;base64,' },
      'PROBLEM_IMAGE_INVALID',
      'is a data: URL without content',
    ],
    [
      'a data: URL that is no picture',
      { ...good, image: 'data:image/png;base64,AAAA' },
      'PROBLEM_IMAGE_INVALID',
      'cannot be decoded',
    ],
  ])('refuses %s', async (_, line, code, text) => {
    const found = await rejection(line);
    expect(found.code).toBe(code);
    expect(found.message).toMatch(/^FILE, line 1/);
    expect(found.message).toContain(text);
  });

  it('refuses the second of two equal ids, and names the first', async () => {
    const [found] = rejectionsOf(
      await read(await write(`${JSON.stringify(good)}\n${JSON.stringify(good)}`)),
    );
    expect(found).toMatchObject({ code: 'PROBLEM_ID_DUPLICATE', id: 'p1', line: 2, field: 'id' });
    expect(found?.message).toContain('"p1" is the id of line 1 too');
  });

  it('names the field as the file does', async () => {
    const path = await write(
      JSON.stringify([{ id: 1, question: 'Q', correct_answer: '1', image_path: 'x.png' }]),
      'p.json',
    );
    expect(rejectionsOf(await read(path))).toMatchObject([{ field: 'image_path' }]);
  });

  it('looks at pictures as closely as it is told', async () => {
    const bytes = await sharp({
      create: { width: 64, height: 64, channels: 3, background: '#123' },
    })
      .png()
      .toBuffer();
    await writeFile(join(dir, 'cut.png'), bytes.subarray(0, bytes.length - 40));
    await writeFile(join(dir, 'empty.png'), '');
    const cut = await write(JSON.stringify({ ...good, image: 'cut.png' }), 'cut.jsonl');
    const empty = await write(JSON.stringify({ ...good, image: 'empty.png' }), 'empty.jsonl');
    const codes = async (path: string, checkImages: ReadOptions['checkImages']) =>
      rejectionsOf(await read(path, checkImages ? { checkImages } : {})).map((one) => one.code);
    expect(await codes(cut, 'header')).toEqual([]);
    expect(await codes(cut, 'decode')).toEqual(['PROBLEM_IMAGE_INVALID']);
    expect(await codes(empty, undefined)).toEqual(['PROBLEM_IMAGE_INVALID']);
    expect(await codes(empty, 'none')).toEqual([]);
  });

  it('stops at the first bad problem if it is strict', async () => {
    const path = await write(`${JSON.stringify(good)}\n{}\n`);
    await expect(read(path, { strict: true })).rejects.toMatchObject({
      code: 'PROBLEM_FIELD_INVALID',
      facts: { line: 2, field: 'id' },
    });
  });

  it('accepts problems without an answer where none is needed', async () => {
    const path = await write(JSON.stringify({ id: 'p', question: 'Q' }));
    expect(problemsOf(await read(path, { requireAnswer: false }))).toHaveLength(1);
  });

  it('says what is wrong with a file that is none', async () => {
    for (const path of [join(dir, 'none.jsonl'), dir]) {
      await expect(read(path)).rejects.toMatchObject({ code: 'PROBLEMS_UNREADABLE' });
    }
    const wide = await write('', 'wide.jsonl');
    await writeFile(wide, Buffer.from(`\ufeff${JSON.stringify(good)}`, 'utf16le'));
    await expect(read(wide)).rejects.toMatchObject({
      message: expect.stringContaining('save it as UTF-8'),
    });
    expect(await read(await write('', 'nothing.jsonl'))).toEqual([]);
  });

  it('reads a large file in little memory', async () => {
    const path = join(dir, 'large.json');
    const record = JSON.stringify({ ...good, id: 'ID', question: 'x'.repeat(20_000) });
    const records = Array.from({ length: 4_000 }, (_, i) => record.replace('ID', `p${i}`));
    await writeFile(path, `[${records.join(',')}]`);
    records.length = 0;
    const before = process.memoryUsage().heapUsed;
    let count = 0;
    let peak = 0;
    for await (const _ of readProblems(path)) {
      count++;
      if (count % 500 === 0) peak = Math.max(peak, process.memoryUsage().heapUsed - before);
    }
    expect(count).toBe(4_000);
    // The file has 80 MB on a single line.
    expect(peak).toBeLessThan(60e6);
  });

  const sets = [
    ['gsm8k/test-200.jsonl', 200, 'gsm8k-0', '18'],
    ['mathvista/testmini.json', 1_000, '1', '1.2'],
    ['math-vision/test.jsonl', 3_040, '1', '60'],
  ] as const;
  it.each(sets.filter(([name]) => existsSync(join(FIXTURES, name))))(
    'reads all problems of %s',
    async (name, count, id, answer) => {
      const items = await read(join(FIXTURES, name), { checkImages: 'none' });
      expect(rejectionsOf(items)).toEqual([]);
      expect(problemsOf(items)).toHaveLength(count);
      expect(problemsOf(items)[0]).toMatchObject({ id, answer });
    },
  );
});

describe('the file name of a tree', () => {
  it('is the id where that is a plain name', () => {
    expect(treeFileName('omega-0')).toBe('omega-0.json');
    expect(treeFileName('test_17.b')).toBe('test_17.b.json');
  });

  it('never leaves the folder, hides, grows long, or meets another', () => {
    const ids = [
      '../../etc/passwd',
      '..',
      '.',
      '.x',
      'a/b',
      'a b',
      'a_b',
      'a?b',
      'CON',
      'x'.repeat(500),
      'x'.repeat(501),
      'größe',
      '',
    ];
    const names = ids.map(treeFileName);
    for (const name of names) {
      expect(name).toMatch(/^[A-Za-z0-9_-][A-Za-z0-9._~-]*\.json$|^~[0-9a-f]{24}\.json$/);
      expect(name.length).toBeLessThanOrEqual(125);
    }
    expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(ids.length);
  });
});
