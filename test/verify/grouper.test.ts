import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Problem } from '../../search/types.js';
import { type ComparerSettings, createComparer } from '../../src/verify/comparer.js';
import { type AnswerGroupMaker, createAnswerGrouper } from '../../src/verify/grouper.js';

const PROBLEM: Problem = { id: 'p', question: 'q', images: [] };

/** Hangs where an answer says so; `x` and `y` stand for one unknown. */
const hostileComparer = `
export default (gold, predicted) => {
  if ((gold + predicted).includes('hang')) for (;;) {}
  return gold.replace('x', 'y') === predicted.replace('x', 'y') ? 'equal' : 'different';
};
`;

describe('the answer grouper', { timeout: 120_000 }, () => {
  let dir: string;
  let symbolicModule: string;
  const open: AnswerGroupMaker[] = [];

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'steptree-group-'));
    await writeFile(join(dir, 'hostile.mjs'), hostileComparer);
    symbolicModule = pathToFileURL(join(dir, 'hostile.mjs')).href;
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((grouper) => grouper.close()));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  function grouper(settings: ComparerSettings = {}): AnswerGroupMaker {
    const made = createAnswerGrouper(settings);
    open.push(made);
    return made;
  }

  const boxed = (answer: string) => ['A step.', `So \\boxed{${answer}}.`];
  const groupsOf = async (
    answers: readonly string[],
    problem: Problem = PROBLEM,
    settings: ComparerSettings = {},
  ) => (await grouper(settings).group(problem, answers.map(boxed))).groups;

  it('groups numbers by value, numbered by first appearance', async () => {
    expect(await groupsOf(['3', '0.5', '\\frac{1}{2}', '1/2', '3.0', '4'])).toEqual([
      0, 1, 1, 1, 0, 2,
    ]);
  });

  it('groups choices by letter or text, lists in any order, words apart from case', async () => {
    const choices = ['5 cm', '7 cm'];
    expect(await groupsOf(['B', '7 cm', '(A)', '5'], { ...PROBLEM, choices })).toEqual([
      0, 0, 1, 1,
    ]);
    expect(await groupsOf(['1, 2', '2, 1', '\\{1, 2\\}', '1, 3'])).toEqual([0, 0, 0, 1]);
    expect(await groupsOf(['the red bar', 'Red bar', 'blue bar'])).toEqual([0, 0, 1]);
  });

  it('lets numbers agree to the places of the precision', async () => {
    const problem = { ...PROBLEM, precision: 1 };
    expect(await groupsOf(['2.31', '2.34', '2.5'], problem)).toEqual([0, 0, 1]);
  });

  it('puts solutions without an answer into no group', async () => {
    const { answers, groups } = await grouper().group(PROBLEM, [
      ['I do not know.'],
      ['Answer: 7'],
      [''],
      ['Answer: 7'],
    ]);
    expect(answers).toEqual([null, '7', null, '7']);
    expect(groups).toEqual([-1, 0, -1, 0]);
    expect(await grouper().group(PROBLEM, [])).toEqual({ answers: [], groups: [] });
  });

  it('holds an answer against the first of each group: 28% takes 28 and 0.28, which differ', async () => {
    expect(await groupsOf(['28\\%', '28', '0.28'])).toEqual([0, 0, 0]);
    expect(await groupsOf(['28', '0.28', '28\\%'])).toEqual([0, 1, 0]);
  });

  it('says of any two answers the same in either order', async () => {
    const pool = [
      '28\\%',
      '28',
      '0.28',
      'yes',
      'yes, because it is',
      '1,2',
      '2,1',
      '(1,2)',
      '3 cm',
    ];
    pool.push('30 mm', '3', '1/3', '0.333', 'x+1', '1+x', '\\sqrt{4}', '2', 'A', 'a');
    const one = grouper();
    const same = async (a: string, b: string) =>
      (await one.group(PROBLEM, [a, b].map(boxed))).groups[1] === 0;
    for (const [i, a] of pool.entries()) {
      for (const b of pool.slice(i + 1)) {
        expect(await same(a, b), `${a} and ${b}`).toBe(await same(b, a));
      }
    }
    // With "yes, because it is" as gold the rules alone would not take "yes".
    expect(await same('yes, because it is', 'yes')).toBe(true);
  });

  it('leaves apart what the rules can not decide and what is too long, unless it is one text', async () => {
    const open = ['\\prod_{1}^{9}', '\\prod_{2}^{9}', '\\prod_{1}^{9}'];
    expect(await groupsOf(open)).toEqual([0, 1, 0]);
    expect(await groupsOf(['x+1', '1+x', 'x+2'])).toEqual([0, 0, 1]);
    const settings = { checkMaxChars: 5 };
    expect(await groupsOf(['1234567', '1234567.0', '1234567'], PROBLEM, settings)).toEqual([
      0, 1, 0,
    ]);
  });

  it('lets an answer whose check hangs stand alone, compares no more with it, and groups the others', async () => {
    const comparer = createComparer({ symbolicModule, checkTimeoutMs: 1_000 });
    const one = createAnswerGrouper({}, comparer);
    open.push(one);
    const answers = ['\\int x+1', '\\int hang x', '\\int y+1', '\\int 2x', '\\int 2y'];
    const { groups } = await one.group(PROBLEM, answers.map(boxed));
    expect([groups, comparer.stats().killed]).toEqual([[0, 1, 0, 2, 2], 1]);
  });

  it('compares no more with an answer with which two checks hung', async () => {
    const one = createAnswerGrouper({ symbolicModule, checkTimeoutMs: 700 });
    open.push(one);
    const answers = ['hang x', 'ax', 'bx', 'cx', 'cy'].map((one) => `\\int ${one}`);
    const { groups } = await one.group(PROBLEM, answers.map(boxed));
    expect(groups).toEqual([0, 1, 2, 3, 3]);
  });

  it('stops waiting when the signal aborts, and refuses work after its end', async () => {
    const one = grouper({ symbolicModule, checkTimeoutMs: 60_000 });
    const controller = new AbortController();
    const waiting = one.group(PROBLEM, ['\\int x', '\\int hang x'].map(boxed), controller.signal);
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await one.close();
    await expect(one.group(PROBLEM, ['1', '2'].map(boxed))).rejects.toMatchObject({
      code: 'VERIFIER_CLOSED',
    });
  });
});
