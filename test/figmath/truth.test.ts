import { describe, expect, it } from 'vitest';
import { generateProblem } from '../../src/figmath/index.js';
import { createStepTruth, problemOfId } from '../../src/figmath/truth.js';

const problems = Array.from({ length: 200 }, (_, i) => generateProblem('validation', 3, i));

describe('what the generator knows about steps', () => {
  it('finds every wording of every right solution right', () => {
    for (const problem of problems) {
      const judge = createStepTruth(problem);
      for (const variant of [0, 57, 112, 999]) {
        const steps = problem.solution(variant);
        expect([problem.id, steps, judge(steps).map(({ right }) => right)]).toEqual([
          problem.id,
          steps,
          steps.map(() => true),
        ]);
      }
    }
  });

  it('finds a changed result wrong, and all that follows it', () => {
    for (const problem of problems) {
      const steps = problem.solution(1);
      const at = steps.findIndex((step) => /\d+[-+*]\d+=\d+/.test(step));
      if (at < 0) continue;
      const broken = steps.map((step, i) =>
        i === at ? step.replace(/=(\d+)/, (_, value) => `=${Number(value) + 1}`) : step,
      );
      const rights = createStepTruth(problem)(broken).map(({ right }) => right);
      expect(rights).toEqual(steps.map((_, i) => i < at));
    }
  });

  it('finds a wrong reading and a wrong answer wrong', () => {
    const [problem] = problems;
    const steps = problem?.solution(0) ?? [];
    const judge = createStepTruth(problem ?? generateProblem('test', 1, 0));
    const misread = steps.map((step, i) =>
      i === 0 ? step.replace(/=(\d+)/, (_, value) => `=${Number(value) + 7}`) : step,
    );
    expect(judge(misread)[0]).toEqual({ right: false, kind: 'reading' });
    expect(judge([...steps.slice(0, -1), 'Answer: 99999']).at(-1)).toEqual({
      right: false,
      kind: 'answer',
    });
  });

  it('can not judge a step that says nothing, nor what follows', () => {
    const problem = generateProblem('test', 1, 0);
    const [first = '', ...rest] = problem.solution(0);
    const truths = createStepTruth(problem)([first, 'Let me think.', ...rest]);
    expect(truths.map(({ right }) => right)).toEqual([true, null, ...rest.map(() => null)]);
  });

  it('finds the problem of an id', () => {
    expect(problemOfId('figmath-test-7-000012')?.question).toBe(
      generateProblem('test', 7, 12).question,
    );
    expect(problemOfId('elsewhere-1')).toBeNull();
  });
});
