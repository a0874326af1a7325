import { afterAll, describe, expect, it } from 'vitest';
import { type CheckCase, checkCase } from '../../src/verify/check-case.js';
import { createComparer } from '../../src/verify/comparer.js';
import { responseCases } from './cases/responses.js';

describe('a line of steptree check', { timeout: 120_000 }, () => {
  const comparer = createComparer({ checkTimeoutMs: 2_000, checkMemoryMb: 128 });
  afterAll(() => comparer.close());

  async function verdict(gold: string, predicted: string, more: Partial<CheckCase> = {}) {
    const { verdict: kind, reason } = await checkCase(comparer, {
      gold: [gold],
      predicted,
      ...more,
    });
    return reason ? `${kind} ${reason}` : kind;
  }

  it.each([
    ['4', 'So $x = 4$. The answer is \\boxed{4}.', 'equal'],
    ['4', 'First \\boxed{3}. I was wrong.\n\n**Answer: 4**', 'equal'],
    ['$x \\leq 2$', 'The solution is $x \\leq 2$.', 'equal'],
    ['$x \\geq 5$', 'The solution is $x \\leq 5$', 'different'],
    ['$x^2/4 + y^2/3 = 1$', '$3x^2 + 4y^2 = 12$', 'equal'],
    ['5', 'x = 3 or x = 5', 'different'],
    ['3, 5', 'So x = 3 or x = 5', 'equal'],
    ['So we get \\boxed{20} percent.', 'Thus 20%.', 'equal'],
    ['$\\boxed{1}$ and $\\boxed{2}$', '\\boxed{1,2}', 'equal'],
    ['\\boxed{1} papers and \\boxed{2} bins', '$\\boxed{1,2}$', 'equal'],
    ['$(0,1)$', 'It is the interval $(0, 1)$.', 'equal'],
    ['would decrease', 'The population would decrease a lot.', 'different'],
    ['42', '', 'different no-answer'],
    [
      '\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}',
      'It is\n\\begin{pmatrix}\n1 \\\\\n2\n\\end{pmatrix}',
      'equal',
    ],
    ['7', '设 x。答案是 7。', 'equal'],
  ])('%s: %j is %s', async (gold, predicted, expected) => {
    expect(await verdict(gold, predicted)).toBe(expected);
  });

  it.each(responseCases.responses?.equal ?? [])('%s is met by %j', async (gold, predicted) => {
    expect(await verdict(gold, predicted)).toBe('equal');
  });

  it.each(responseCases.responses?.different ?? [])(
    '%s is not met by %j',
    async (gold, predicted) => {
      expect(await verdict(gold, predicted)).toBe('different');
    },
  );

  it('is equal if any of several gold answers is met', async () => {
    const both = { gold: ['1/2', '0.6'], predicted: '0.6' };
    expect(await checkCase(comparer, both)).toEqual({ verdict: 'equal' });
    expect(await checkCase(comparer, { ...both, predicted: '0.7' })).toEqual({
      verdict: 'different',
    });
  });

  it('is looked for in LaTeX only if that is asked', async () => {
    expect(await verdict('$9$', 'Answer 9')).toBe('equal');
    expect(await verdict('$9$', 'Answer 9', { latexOnly: true })).toBe('different no-answer');
    expect(await verdict('$9$', 'Answer $9$', { latexOnly: true })).toBe('equal');
  });

  it('asks computer algebra about calculus', async () => {
    expect(await verdict('\\frac13', '\\int_0^1 x^2 dx')).toBe('equal');
    expect(await verdict('\\frac14', '\\int_0^1 x^2 dx')).toBe('different');
    expect(await verdict('3x^2', '\\frac{d}{dx} x^3')).toBe('equal');
    expect(await verdict('1', '\\lim_{x \\to 0} \\frac{\\sin x}{x}')).toBe('equal');
    expect(await verdict('3', '\\int_0^1 f(x) dx')).toBe('ungraded needs-symbolic');
  });

  it('stays within its limits whatever the answer, and the others go on', async () => {
    const nested = `${'('.repeat(4_900)}1${')'.repeat(4_900)}`;
    const hostile = [
      '9^{9^{9^9}}',
      '\\prod_{1}^{100000}',
      '\\sum_{1}^{10^9}',
      '\\sum_{k=1}^{10^9} k',
      '(x+y+z+1)^{200}',
      nested,
      `\\boxed{${nested}}`,
      `${'x+'.repeat(50_000)}1`,
      `\\boxed{${'7'.repeat(100_000)}}`,
    ];
    const [verdicts, last] = await Promise.all([
      Promise.all(hostile.map((predicted) => verdict('x', predicted))),
      verdict('2', '\\boxed{2}'),
    ]);
    expect(verdicts.map((one) => one.split(' ')[0])).toEqual(hostile.map(() => 'ungraded'));
    expect(last).toBe('equal');
    expect(await verdict('\\frac13', '\\int_0^1 x^2 dx')).toBe('equal');
  });
});
