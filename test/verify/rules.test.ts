import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareAnswers, type Gold } from '../../src/verify/equivalence.js';

function verdict(gold: string | Gold, predicted: string): string {
  return compareAnswers(typeof gold === 'string' ? { answer: gold } : gold, predicted).verdict;
}

describe('precision', () => {
  it.each([
    ['1/3', '0.333', 3, 'equal'],
    ['1/3', '0.333', 4, 'different'],
    ['1/3', '0.33', 2, 'equal'],
    ['1/3', '0.34', 2, 'different'],
    ['\\pi', '3.14', 2, 'equal'],
    ['\\pi', '3.14', 6, 'different'],
    ['\\sqrt{2}', '1.414214', 6, 'equal'],
    ['16386.20', '16386.17', 1, 'equal'],
    ['16386.20', '16386.17', 6, 'different'],
    ['(\\frac13, 2)', '(0.33, 2)', 2, 'equal'],
    ['[0, \\frac13]', '[0, 0.33]', 2, 'equal'],
    ['\\frac{x}{3}', '0.333x', 2, 'equal'],
    ['\\frac{x}{3}', '0.4x', 2, 'different'],
    ['x \\le \\frac13', 'x \\le 0.333', 3, 'equal'],
  ] as const)('%s is %s to %i places: %s', (answer, predicted, precision, expected) => {
    expect(verdict({ answer, precision }, predicted)).toBe(expected);
  });

  it('rounds nothing that was not written as a decimal', () => {
    expect(verdict({ answer: '0', precision: 6 }, '\\frac{1}{10^9}')).toBe('different');
    expect(verdict({ answer: '1/3', precision: 1 }, '3/10')).toBe('different');
    expect(verdict({ answer: '\\pi', precision: 1 }, '\\frac{22}{7}')).toBe('different');
  });
});

describe('strictness', () => {
  it('matters to variables, letters, and sets beside tuples', () => {
    const cases = [
      ['f(x)', 'f(y)', 'different', 'different', 'equal'],
      ['x + 1', 'y + 1', 'different', 'different', 'equal'],
      ['2a + b', '2x + y', 'different', 'different', 'equal'],
      ['2a + b', 'x + 2y', 'different', 'different', 'different'],
      ['b', 'B', 'different', 'equal', 'equal'],
      ['(1, 3)', '\\{1, 3\\}', 'different', 'equal', 'equal'],
      ['(3, 1)', '\\{1, 3\\}', 'different', 'different', 'equal'],
      ['x = 3', 'y = 3', 'different', 'different', 'equal'],
    ] as const;
    for (const [answer, predicted, strict, usual, lenient] of cases) {
      expect([answer, verdict({ answer, strict: true }, predicted)]).toEqual([answer, strict]);
      expect([answer, verdict({ answer }, predicted)]).toEqual([answer, usual]);
      expect([answer, verdict({ answer, strict: false }, predicted)]).toEqual([answer, lenient]);
    }
  });
});

describe('an inequality for a set', () => {
  it.each([
    ['[-2, 7]', '-2 \\le x \\le 7'],
    ['x \\in [-2, 7]', '-2 \\le x \\le 7'],
    ['(-\\infty, -1) \\cup (1, \\infty)', '|x| > 1'],
    ['(-\\infty, -1) \\cup (1, \\infty)', 'x < -1 \\text{ or } x > 1'],
    ['\\mathbb{R} \\setminus \\{2\\}', 'x \\ne 2'],
  ])(
    '%s is met by %s only if that is allowed, and always the other way around',
    (set, relation) => {
      expect(verdict({ answer: set }, relation)).toBe('different');
      expect(verdict({ answer: set, allowSetRelation: true }, relation)).toBe('equal');
      expect(verdict({ answer: relation }, set)).toBe('equal');
    },
  );
});

describe('sampling', () => {
  const coefficient = fc.integer({ min: -9, max: 9 });

  it('tells an expanded product from one with another coefficient', () => {
    fc.assert(
      fc.property(coefficient, coefficient, coefficient, coefficient, (a, b, c, d) => {
        const gold = `(${a}x + ${b})(${c}x + ${d})`;
        const [x2, x1, x0] = [a * c, a * d + b * c, b * d];
        expect(verdict(gold, `${x2}x^2 + ${x1}x + ${x0}`)).toBe('equal');
        expect(verdict(gold, `${x2}x^2 + ${x1 + 1}x + ${x0}`)).toBe('different');
        expect(verdict(gold, `${x2}x^2 + ${x1}x + ${x0 - 1}`)).toBe('different');
      }),
      { seed: 3, numRuns: 150 },
    );
  });

  it('gives the same verdict with the sides exchanged', () => {
    const pieces = ['x', '2', 'y', '\\sqrt{x}', '\\frac{1}{x}', '\\sin x', '3', 'x^2'];
    const expression = fc
      .array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 4 })
      .chain((parts) => fc.constantFrom(parts.join(' + '), parts.join(' \\cdot ')));
    fc.assert(
      fc.property(expression, expression, (a, b) => {
        expect(verdict(a, b)).toBe(verdict(b, a));
        expect(verdict(a, `(${a})`)).toBe('equal');
        expect(verdict(`${a} + 1`, a)).toBe('different');
      }),
      { seed: 5, numRuns: 150 },
    );
  });
});
