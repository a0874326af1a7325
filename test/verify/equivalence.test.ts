import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareAnswers, fitsAnswerType, type Gold } from '../../src/verify/equivalence.js';

function verdict(gold: string | Gold, predicted: string): string {
  const { verdict: kind, reason } = compareAnswers(
    typeof gold === 'string' ? { answer: gold } : gold,
    predicted,
  );
  return reason ? `${kind} ${reason}` : kind;
}

describe('numbers', () => {
  it.each([
    ['42', '42'],
    ['42', '42.0'],
    ['42', '$42$'],
    ['42', '\\(42\\).'],
    ['42', '**42**'],
    ['42', '\\text{42}'],
    ['-5', '−5'],
    ['1000.99', '1,000.99'],
    ['1000.99', '1.000,99'],
    ['1000.99', '1000,99'],
    ['1000000', '1,000,000'],
    ['1000000', '1 000 000'],
    ['16386.20', '\\$16,\\!386.20'],
    ['0.111', '0,111'],
    ['3/4', '0.75'],
    ['0.5', '1/2'],
    ['0.5', '\\frac12'],
    ['10/9', '\\dfrac{10}{9}'],
    ['-3/4', '-\\frac{3}{4}'],
    ['5/2', '2 1/2'],
    ['5/2', '2\\frac{1}{2}'],
    ['7/2', '3½'],
    ['1200', '1.2e3'],
    ['0.00012', '1.2 \\times 10^{-4}'],
    ['three', '3'],
    ['3:4', '\\frac{3}{4}'],
    ['3\\sqrt{13}', '\\sqrt{117}'],
    ['\\frac{9}{4}\\pi', '2.25π'],
    ['8', '2^3'],
    ['-2', '\\sqrt[3]{-8}'],
    ['120', '5!'],
  ])('%s is %s', (gold, predicted) => {
    expect(verdict(gold, predicted)).toBe('equal');
  });

  it.each([
    ['1', '11'],
    ['11', '1'],
    ['42', '-42'],
    ['1/3', '0.33'],
    ['1,234', '1.234'],
    ['4', '4\\sqrt{2}'],
    ['4', '\\frac{34}{16}+\\frac{\\sqrt{1358}}{16}'],
    ['2:30', '1:15'],
    ['10', '10^2'],
    ['42', 'forty'],
    ['42', 'the moon'],
  ])('%s is not %s', (gold, predicted) => {
    expect(verdict(gold, predicted)).toBe('different');
  });

  it('takes units off, and converts where both answers name one', () => {
    expect(verdict('145°', '145')).toBe('equal');
    expect(verdict('90', '90^\\circ')).toBe('equal');
    expect(verdict('90', '90^{\\circ}')).toBe('equal');
    expect(verdict('15', '15\\mbox{ cm}^2')).toBe('equal');
    expect(verdict('13', '13 apples')).toBe('equal');
    expect(verdict('18', '$18')).toBe('equal');
    expect(verdict('18', '18 dollars')).toBe('equal');
    expect(verdict('4π cm', '4\\pi')).toBe('equal');
    expect(verdict('60', '60 km/h')).toBe('equal');
    expect(verdict('5 m', '500 cm')).toBe('equal');
    expect(verdict('5 m', '5 cm')).toBe('different');
    expect(verdict('2 hours', '120 minutes')).toBe('equal');
    expect(verdict('12', '12x')).toBe('different');
  });

  it('reads a percentage as it is written and as a share', () => {
    expect(verdict('28\\%', '28 pct')).toBe('equal');
    expect(verdict('28%', '28')).toBe('equal');
    expect(verdict('28%', '0.28')).toBe('equal');
    expect(verdict('28', '28 percent')).toBe('equal');
    expect(verdict('0.28', '28%')).toBe('equal');
    expect(verdict('0.28', '0.28%')).toBe('different');
    expect(verdict('28%', '2.8%')).toBe('different');
  });

  it('agrees to half a unit of the last decimal that precision asks for', () => {
    const gold = { answer: '1.2', precision: 1 };
    expect(verdict(gold, '1.24')).toBe('equal');
    expect(verdict(gold, '1.25')).toBe('equal');
    expect(verdict(gold, '1.26')).toBe('different');
    expect(verdict({ answer: '3.14', precision: 2 }, '\\pi')).toBe('equal');
    expect(verdict({ answer: '3.14', precision: 3 }, '\\pi')).toBe('different');
    expect(verdict({ answer: '42', precision: 0 }, '42.4')).toBe('equal');
  });

  it('without precision lets only a decimal differ, by one part in a million', () => {
    expect(verdict('1000000', '1000000.5')).toBe('equal');
    expect(verdict('1000000', '1000002.0')).toBe('different');
    expect(verdict('1000000', '1000001')).toBe('different');
    expect(verdict('1/3', '0.3333333')).toBe('equal');
  });

  it('agrees with itself however a number is written', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e9, max: 1e9 }), fc.integer({ min: 1, max: 999 }), (n, d) => {
        const grouped = n.toLocaleString('en-US');
        expect(verdict(String(n), grouped)).toBe('equal');
        expect(verdict(String(n), `$${n}.0$ cm`)).toBe('equal');
        expect(verdict(`${n}/${d}`, `\\frac{${n}}{${d}}`)).toBe('equal');
        expect(verdict(`${n}/${d}`, `\\frac{${n * 3}}{${d * 3}}`)).toBe('equal');
        expect(verdict(String(n), String(n + 1))).toBe('different');
      }),
      { seed: 7, numRuns: 200 },
    );
  });
});

describe('choices', () => {
  const choices = ['135°', '140°', '145°', '150°'];

  it('takes the letter for the text and the text for the letter', () => {
    for (const answer of ['145°', 'C', '(C)']) {
      const gold: Gold = { answer, choices, answerType: 'choice' };
      for (const right of [
        'C',
        '(C)',
        'c',
        'C.',
        '\\text{(C)}',
        'option C',
        'C. 145°',
        '(C) 145°',
        '145°',
        '145',
      ]) {
        expect(`${answer} ${right} ${verdict(gold, right)}`).toBe(`${answer} ${right} equal`);
      }
      for (const wrong of ['B', '140°', '(D)', '17', '(C) and (D)', '(A), (B) and (C)']) {
        expect(`${answer} ${wrong} ${verdict(gold, wrong)}`).toBe(`${answer} ${wrong} different`);
      }
    }
  });

  it('prefers the text of a choice to its letter', () => {
    const gold: Gold = { answer: 'A', choices: ['B', 'A'] };
    expect(verdict(gold, 'A')).toBe('equal');
    expect(verdict(gold, 'B')).toBe('different');
  });

  it('tells texts apart that contain each other', () => {
    const gold: Gold = {
      answer: 'quarter',
      choices: ['half', 'quarter', 'quarter to', 'quarter past'],
    };
    expect(verdict(gold, 'Quarter.')).toBe('equal');
    expect(verdict(gold, 'quarter to')).toBe('different');
  });

  it('compares letters where the problem states no choices', () => {
    expect(verdict('\\boxed{\\text{C}}', '(C)')).toBe('equal');
    expect(verdict('d', '\\text{E}')).toBe('different');
  });
});

describe('lists, sets, tuples and matrices', () => {
  it.each([
    ['1, 2', '2, 1'],
    ['-2,1', '\\{1, -2\\}'],
    ['21, 16 or 11', '11, 16, 21'],
    ['6 \\text{ and } 8', '8 and 6'],
    ['(3, -4)', '( 3 , -4 )'],
    ['(1,3)', '{1,3}'],
    ['[0,1)', '[0, 1)'],
    ['(11,7)or(7,11)', '(7,11), (11,7)'],
    ['1 \\pm \\sqrt{19}', '1-\\sqrt{19}, 1+\\sqrt{19}'],
    ['AB=4, CD=5', '4, 5'],
    ['(p,q,r)=(3,2,7)', '(3,2,7)'],
    ['\\{-1\\} \\cup [0,7)', '[0,7) \\cup \\{-1\\}'],
    [
      '\\begin{pmatrix} 0 & 3 \\\\ 0 & -1 \\end{pmatrix}',
      '\\begin{bmatrix}0&3\\\\0&-1\\end{bmatrix}',
    ],
  ])('%s is %s', (gold, predicted) => {
    expect(verdict(gold, predicted)).toBe('equal');
  });

  it.each([
    ['1, 2', '1, 2, 3'],
    ['(3, 1)', '{1,3}'],
    ['(1, 3)', '(3, 1)'],
    ['(0,9)', '[0,9)'],
    ['\\begin{pmatrix}1 & 2\\end{pmatrix}', '\\begin{pmatrix}1 & 3\\end{pmatrix}'],
    ['1, 2', '3'],
  ])('%s is not %s', (gold, predicted) => {
    expect(verdict(gold, predicted)).toBe('different');
  });
});

describe('texts and expressions', () => {
  it('folds case, punctuation and articles, and looks into nothing', () => {
    expect(
      verdict('The adults’ population would decrease.', 'adults population would decrease'),
    ).toBe('equal');
    expect(verdict('$\\text{Evelyn}$', 'evelyn')).toBe('equal');
    expect(verdict('decrease', 'would not decrease')).toBe('different');
    expect(verdict('larger than', 'smaller than')).toBe('different');
    expect(verdict('Yes', 'Yes, because bar A is taller.')).toBe('equal');
    expect(verdict('Yes', 'No')).toBe('different');
  });

  it('drops the name of a value', () => {
    expect(verdict('1', 'k=1')).toBe('equal');
    expect(verdict('x = 5', '5')).toBe('equal');
    expect(verdict('|AB|=1', '1')).toBe('equal');
    expect(verdict('z = 1 + 1 = 2', '2')).toBe('equal');
  });

  it('turns inequalities round', () => {
    expect(verdict('x \\leq 5', '5 \\geq x')).toBe('equal');
    expect(verdict('x >= 5', 'x \\geq 5')).toBe('equal');
    expect(verdict('x \\geq 5', 'x \\leq 5')).toBe('different');
  });

  it('never calls two expressions different that may be equal', () => {
    expect(verdict('\\frac{x+2}{7}', '\\frac{x}{7}+\\frac{2}{7}')).toBe('equal');
    expect(verdict('\\int_0^1 x dx', '\\frac12')).toBe('ungraded needs-symbolic');
    expect(verdict('(x+1)^{200}', 'x^{200} + 1')).toBe('ungraded needs-symbolic');
    expect(verdict('2x+1', '2 x + 1')).toBe('equal');
    expect(verdict('5', 'x+2')).toBe('different');
  });

  it('asks the symbolic comparer about these, and only these', () => {
    const asked: string[] = [];
    const comparer = (gold: string, predicted: string) => {
      asked.push(`${gold} ~ ${predicted}`);
      return 'equal' as const;
    };
    expect(compareAnswers({ answer: 'x^2' }, '\\int 2x dx', comparer)).toEqual({
      verdict: 'equal',
    });
    expect(compareAnswers({ answer: '3' }, '4', comparer)).toEqual({ verdict: 'different' });
    expect(asked).toEqual(['x^2 ~ \\int 2x dx']);
  });
});

describe('answers that are none', () => {
  it('says why', () => {
    expect(verdict('42', '  ')).toBe('different no-answer');
    expect(verdict(' ', '42')).toBe('ungraded no-gold');
    expect(verdict('42', '1'.repeat(10_001))).toBe('ungraded too-long');
  });

  it('never throws and always comes to an end', () => {
    const pieces = ['{', '}', '(', ')', '[', ']', '\\frac', '\\sqrt', '^', '_', '!', ',', '.', '-'];
    const more = [
      '9',
      '1e9',
      '=',
      '\\pm',
      '\\cup',
      '%',
      'and',
      'x',
      ' ',
      '\\begin{pmatrix}',
      '&',
      '\\\\',
    ];
    const part = fc.constantFrom(...pieces, ...more);
    const text = fc.array(part, { maxLength: 60 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(text, text, (gold, predicted) => {
        expect(['equal', 'different', 'ungraded']).toContain(
          compareAnswers({ answer: gold }, predicted).verdict,
        );
      }),
      { seed: 11, numRuns: 2_000 },
    );
    const start = process.cpuUsage();
    for (const deep of [
      '{'.repeat(9_000),
      '9^{9^{9^{9}}}',
      '('.repeat(4_000) + ')'.repeat(4_000),
    ]) {
      compareAnswers({ answer: '1' }, deep);
      compareAnswers({ answer: deep }, `${deep}1`.slice(0, 10_000));
    }
    compareAnswers({ answer: '1,'.repeat(4_000) }, '2,'.repeat(4_000));
    // CPU time, so that a busy machine is no reason to fail.
    expect(process.cpuUsage(start).user / 1e6).toBeLessThan(10);
  });
});

describe('the declared type of a gold answer', () => {
  it('must be readable from it', () => {
    expect(fitsAnswerType({ answer: '3/4', answerType: 'number' })).toBe(true);
    expect(fitsAnswerType({ answer: 'many', answerType: 'number' })).toBe(false);
    expect(fitsAnswerType({ answer: 'B', answerType: 'choice', choices: ['x', 'y'] })).toBe(true);
    expect(fitsAnswerType({ answer: 'C', answerType: 'choice', choices: ['x', 'y'] })).toBe(false);
    expect(fitsAnswerType({ answer: 'anything', answerType: 'auto' })).toBe(true);
    expect(fitsAnswerType({ answer: ' ' })).toBe(false);
  });
});
