import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { ANSWER_SETS, answerSetNamed, readSet } from '../../src/sets/index.js';
import { compareAnswers, type Gold } from '../../src/verify/equivalence.js';
import { createComparer } from '../../src/verify/index.js';
import { temporaryFolder, writeJsonl } from '../support/cli.js';
import { SET_SAMPLES, type SetSample } from './samples.js';

const folder = temporaryFolder();
const checks = createComparer();
afterAll(() => checks.close());

async function problemsOf({ set, records }: SetSample) {
  const file = writeJsonl(join(folder, `${set}.jsonl`), records);
  return readSet(answerSetNamed(set), [file]);
}

it('every set has a hand-made sample', () => {
  expect(SET_SAMPLES.map(({ set }) => set).sort()).toEqual(
    ANSWER_SETS.map(({ name }) => name).sort(),
  );
});

it.each(SET_SAMPLES)(
  '$set: reads, scores right and wrong responses, asks and groups as its authors do',
  async (sample) => {
    const set = answerSetNamed(sample.set);
    const problems = await problemsOf(sample);
    expect(problems).toHaveLength(sample.records.length);
    for (const [index, problem] of problems.entries()) {
      for (const [responses, verdict] of [
        [sample.right, 'correct'],
        [sample.wrong, 'wrong'],
      ] as const) {
        const extraction = set.extract(responses[index] ?? '', problem);
        const score = await set.score(extraction, problem, checks);
        expect({ response: responses[index], ...score }).toMatchObject({ verdict });
      }
      expect(await set.score(null, problem, checks)).toEqual({
        verdict: 'wrong',
        prediction: null,
      });
    }
    const [first] = problems;
    expect(set.prompt(first as never)).toMatch(sample.prompt);
    expect(set.groups(first as never)).toMatchObject(sample.groups);
  },
);

it('names the nearest set for a name that is mistyped, and takes other spellings', () => {
  expect(() => answerSetNamed('mathvison')).toThrow(/did you mean "math-vision"/);
  expect(answerSetNamed('MathVerse').name).toBe('math-verse');
});

it('names the file and the record that are no problem of the set', async () => {
  const file = writeJsonl(join(folder, 'bad.jsonl'), [{ pid: '1', question: 'What?', answer: '' }]);
  await expect(readSet(answerSetNamed('mathvista'), [file])).rejects.toThrow(
    /bad\.jsonl, record 1: has no answer/,
  );
  await expect(readSet(answerSetNamed('mathvista'), [join(folder, 'none')])).rejects.toMatchObject({
    code: 'SET_FILES_UNREADABLE',
  });
});

it('WeMath: a right whole with a wrong part is rote memorisation when judged strictly', async () => {
  const sample = SET_SAMPLES.find(({ set }) => set === 'we-math') as SetSample;
  const set = answerSetNamed('we-math');
  const [whole, part] = await problemsOf(sample);
  const scored = (verdicts: readonly ('correct' | 'wrong')[]) =>
    set.metrics?.(
      [whole, part].map((problem, i) => ({
        problem: problem as never,
        verdict: verdicts[i] ?? 'wrong',
        prediction: null,
      })),
    );
  const value = (verdicts: readonly ('correct' | 'wrong')[], name: string) =>
    scored(verdicts)?.find((metric) => metric.name === name)?.value;
  expect(value(['correct', 'wrong'], 'rote memorisation (strict)')).toBe(1);
  expect(value(['correct', 'correct'], 'score (strict)')).toBe(1);
  expect(value(['wrong', 'correct'], 'score (strict)')).toBe(0.5);
  expect(value(['wrong', 'wrong'], 'insufficient knowledge')).toBe(1);
});

it('DynaMath: a seed problem counts in the worst case if all its variants are right', async () => {
  const set = answerSetNamed('dyna-math');
  const records = SET_SAMPLES.find(({ set: name }) => name === 'dyna-math')?.records ?? [];
  const files = ['v1', 'v2'].map((name) => writeJsonl(join(folder, `${name}.jsonl`), records));
  const problems = await readSet(set, files);
  expect(problems.map(({ id }) => id)).toEqual(['5', '6', '5-v2', '6-v2']);
  const metrics = set.metrics?.(
    problems.map((problem) => ({
      problem,
      verdict: problem.id === '6-v2' ? 'wrong' : 'correct',
      prediction: null,
    })),
  );
  expect(metrics).toEqual([{ name: 'worst-case accuracy', value: 0.5, total: 2 }]);
});

it('OlympiadBench: several answers are no number, and may come in any order', async () => {
  const set = answerSetNamed('olympiad-bench');
  const record = { question: 'Which?', subject: 'Math', final_answer: ['1', '2'], id: 1 };
  const [problem] = await readSet(set, [writeJsonl(join(folder, 'several.jsonl'), [record])]);
  const checks = {
    compare: async (gold: Gold, predicted: string) => compareAnswers(gold, predicted),
  };
  const verdict = async (answer: string) =>
    (await set.score(answer, problem as never, checks)).verdict;
  expect(await verdict('2, 1')).toBe('correct');
  expect(await verdict('2,1')).toBe('correct');
  expect(await verdict('12')).toBe('wrong');
});

it('LogicVista: letters in the reason are not chosen, and the last statement counts', async () => {
  const set = answerSetNamed('logic-vista');
  const record = { question: 'Which of A, B, C or D?', answer: 'A', id: 1 };
  const [problem] = await readSet(set, [writeJsonl(join(folder, 'reason.jsonl'), [record])]);
  const extract = (response: string) => set.extract(response, problem as never);
  expect(extract('The answer is A because B and C are mirrored.')).toBe('A');
  expect(extract('The answer is B and C.\n\nNo, wait. The answer is A and D.')).toBe('A, D');
});
