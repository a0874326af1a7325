import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { readResponses } from '../../src/evaluate/responses.js';
import { type ScoreSettings, scoreResponses } from '../../src/evaluate/score-responses.js';
import { answerSetNamed, readSet } from '../../src/sets/index.js';
import { temporaryFolder, writeJsonl } from '../support/cli.js';

const folder = temporaryFolder();
const set = answerSetNamed('mathvista');
const record = { question_type: 'free_form', answer_type: 'integer', metadata: { task: 'sum' } };
const file = writeJsonl(join(folder, 'problems.jsonl'), [
  { ...record, pid: '1', question: 'How many?', answer: '4' },
  { ...record, pid: '2', question: 'How many?', answer: '5' },
  { ...record, pid: '3', question: 'How many?', answer: '6' },
]);
const checks: ScoreSettings['checks'] = { compare: async () => ({ verdict: 'equal' }) };

async function score(responses: unknown[], settings: Partial<ScoreSettings> = {}) {
  const path = writeJsonl(join(folder, 'responses.jsonl'), responses);
  return scoreResponses(set, await readSet(set, [file]), await readResponses(path), {
    extraction: 'given',
    checks,
    ...settings,
  });
}

it('a given extraction is taken instead of ours, unless none is to be taken', async () => {
  const responses = [{ pid: '1', response: 'There are 4.', extraction: '7' }];
  expect((await score(responses)).problems).toEqual([
    { id: '1', verdict: 'wrong', extraction: '7', prediction: '7' },
  ]);
  expect((await score(responses, { extraction: 'none' })).problems[0]?.verdict).toBe('correct');
});

it('counts what has no response and what no problem has, and takes the last of two responses', async () => {
  const result = await score([
    { id: 1, response: '3' },
    { id: 1, response: '4' },
    { id: '2', response: 'I cannot see the picture.' },
    { id: 'other', response: '4' },
  ]);
  expect(result).toMatchObject({
    correct: 1,
    wrong: 1,
    total: 2,
    missing: 1,
    unknown: 1,
    repeated: 1,
    accuracy: 0.5,
  });
  expect(result.problems[1]).toMatchObject({ extraction: null, prediction: null });
  expect(result.groups.task?.sum).toMatchObject({ correct: 1, total: 2, accuracy: 0.5 });
});

it('an extractor is asked where rules find nothing, or always', async () => {
  const asked: string[] = [];
  const extractor = {
    name: 'fake',
    extract: async (response: string) => {
      asked.push(response);
      return '5';
    },
    close: async () => {},
  };
  const responses = [
    { id: '1', response: 'There are 4.' },
    { id: '2', response: 'Hard to say.' },
  ];
  const fallback = await score(responses, { extractor });
  expect(asked).toEqual(['Hard to say.']);
  expect(fallback.correct).toBe(2);
  const always = await score(responses, { extractor, extractorMode: 'always' });
  expect(always.correct).toBe(1);
});

it('a judge grades in place of the rules only if it is always asked', async () => {
  const judge: NonNullable<ScoreSettings['judge']> = async () => ({
    verdict: 'equal',
    reason: 'judge',
  });
  const responses = [{ id: '1', response: '9' }];
  expect((await score(responses, { judge, judgeMode: 'fallback' })).correct).toBe(0);
  expect((await score(responses, { judge, judgeMode: 'always' })).problems[0]).toMatchObject({
    verdict: 'correct',
    reason: 'judge',
  });
});

it('reads an object of records by id, as MathVista publishes its results, and names a bad record', async () => {
  const path = join(folder, 'results.json');
  writeFileSync(
    path,
    JSON.stringify({ 1: { response: 'x', extraction: '4' }, 2: { response: 'y' } }),
  );
  expect(await readResponses(path)).toEqual([
    { id: '1', response: 'x', extraction: '4' },
    { id: '2', response: 'y' },
  ]);
  const bad = writeJsonl(join(folder, 'bad.jsonl'), [{ id: '1', response: 'x' }, { id: '2' }]);
  await expect(readResponses(bad)).rejects.toThrow(/bad\.jsonl, record 2: expected/);
});

it('reads responses with a byte order mark, CRLF, and a single one under another name', async () => {
  const path = join(folder, 'windows.jsonl');
  writeFileSync(path, '\uFEFF{"id": 1, "response": "x"}\r\n\r\n{"id": 2, "response": "y"}\r\n');
  expect((await readResponses(path)).map(({ id }) => id)).toEqual(['1', '2']);
  const one = writeJsonl(join(folder, 'one.jsonl'), [{ id: 1, model_response: 'x' }]);
  expect(await readResponses(one)).toEqual([{ id: '1', response: 'x' }]);
});
