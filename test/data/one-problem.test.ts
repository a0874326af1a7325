import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { findProblem, questionProblem } from '../../src/data/one-problem.js';
import { temporaryFolder, writeJsonl } from '../support/cli.js';

const folder = temporaryFolder();
const file = join(folder, 'problems.jsonl');

beforeAll(async () => {
  await sharp({ create: { width: 4, height: 4, channels: 3, background: '#fff' } })
    .png()
    .toFile(join(folder, 'good.png'));
  writeJsonl(file, [
    { id: 'first', question: 'q', image: 'missing.png', answer: '1' },
    { id: 'second', question: 'q', image: 'good.png' },
    { id: 'third', question: ' ' },
    { id: 'fourth', question: 'q', image: 'missing.png' },
  ]);
});

const failure = (work: Promise<unknown>) =>
  work.then(
    () => null,
    (error) => `${error.code} ${error.message}`,
  );

describe('a problem of a file', () => {
  it('is found by its id, whatever is wrong with the others, gold answer or not', async () => {
    const found = await findProblem(file, 'second');
    expect(found).toMatchObject({ id: 'second', question: 'q' });
    expect(found.images[0]?.location).toBe(join(folder, 'good.png'));
  });

  it('is refused for its own faults, by name', async () => {
    expect(await failure(findProblem(file, 'third'))).toMatch(/^PROBLEM_QUESTION_EMPTY .*line 3/);
    expect(await failure(findProblem(file, 'first'))).toMatch(
      /^PROBLEM_IMAGE_MISSING .*problem first: .*missing\.png does not exist/,
    );
    expect(await findProblem(file, 'first', { checkImages: 'none' })).toMatchObject({
      id: 'first',
    });
  });

  it('that is not there: the nearest id is named', async () => {
    expect(await failure(findProblem(file, 'secnd'))).toMatch(
      /^PROBLEM_ID_UNKNOWN .*"secnd"; did you mean "second"\?/,
    );
    expect(await failure(findProblem(file, 'zzzzzz'))).toMatch(/its first is "first"/);
    expect(await failure(findProblem(join(folder, 'none.jsonl'), 'a'))).toMatch(
      /^PROBLEMS_UNREADABLE/,
    );
  });

  it('needs no id where it is the only one', async () => {
    const single = writeJsonl(join(folder, 'single.jsonl'), [{ id: 'a', question: 'q' }]);
    expect(await findProblem(single, undefined)).toMatchObject({ id: 'a' });
    expect(await failure(findProblem(file, undefined))).toMatch(
      /^PROBLEM_ID_UNKNOWN .*several problems, such as first; name one with --id/,
    );
    const empty = join(folder, 'empty.jsonl');
    writeFileSync(empty, '\n');
    expect(await failure(findProblem(empty, undefined))).toMatch(/holds no problem/);
  });

  it('of a foreign format is read as such', async () => {
    const foreign = writeJsonl(join(folder, 'mm-prm.jsonl'), [
      { id: 'm', question: 'q', correct_answer: '5', image_path: 'good.png' },
    ]);
    expect(await findProblem(foreign, 'm')).toMatchObject({ id: 'm', answer: '5' });
  });
});

describe('a problem of the command line', () => {
  const parts = { question: 'How many?', images: [], choices: [] };

  it('has a name made of its content, or the given one', async () => {
    const one = await questionProblem(parts, 'header');
    const same = await questionProblem(parts, 'header');
    const other = await questionProblem({ ...parts, choices: ['1', '2'] }, 'header');
    expect(one.id).toMatch(/^question-[0-9a-f]{8}$/);
    expect([same.id === one.id, other.id === one.id]).toEqual([true, false]);
    const named = await questionProblem({ ...parts, id: 'mine', answer: '3' }, 'header');
    expect(named).toEqual({ id: 'mine', question: 'How many?', images: [], answer: '3' });
  });

  it('is refused without a question, or with a picture that is none', async () => {
    const picture = (name: string) =>
      failure(questionProblem({ ...parts, images: [join(folder, name)] }, 'header'));
    expect(await failure(questionProblem({ ...parts, question: ' ' }, 'header'))).toMatch(
      /^PROBLEM_QUESTION_EMPTY --question is empty/,
    );
    expect(await picture('good.png')).toBeNull();
    expect(await picture('missing.png')).toMatch(
      /^PROBLEM_IMAGE_MISSING --image: .*relative to the working folder/,
    );
    expect(await picture('problems.jsonl')).toMatch(/^PROBLEM_IMAGE_INVALID --image: /);
  });
});
