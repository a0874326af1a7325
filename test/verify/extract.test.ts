import { describe, expect, it } from 'vitest';
import { extractAnswer } from '../../src/verify/extract.js';

function answer(solution: string | string[], choices?: string[]): string | undefined {
  return extractAnswer(solution, choices)?.answer;
}

describe('the final answer of a solution', () => {
  it.each([
    [
      'the last box, braces balanced',
      'First \\boxed{1}. No: $x=\\boxed{\\frac{3}{56}}.$',
      '\\frac{3}{56}',
    ],
    ['boxes joined by "and"', '\\(\\boxed{1}\\) and \\(\\boxed{-2}\\).', '1, -2'],
    [
      'boxes of named values',
      '$$\\boxed{k = 45} \\quad \\text{and} \\quad \\boxed{n = 2}$$',
      'k = 45, n = 2',
    ],
    [
      'not an earlier box of another step',
      '\\boxed{200} after six months. Later it is \\boxed{255}.',
      '255',
    ],
    ['the answer tag', 'So it is 5.\n<answer> 5 cm </answer>', '5 cm'],
    ['an answer tag that was not closed', '<answer>5', '5'],
    ['a box inside an answer tag', '<answer>It is \\boxed{5}</answer>', '5'],
    ['what follows Answer:', '2 + 2 = 4\n\nAnswer: 4', '4'],
    ['what follows a bold Answer:', 'Thus\n**Answer:** 4 cm.', '4 cm'],
    ['what follows a heading', '### Final Answer\n\\boxed{189}\n</think>', '189'],
    [
      'what follows "the final answer is"',
      'The final answer is $28 \\%$. I hope it is correct.',
      '$28 \\%$',
    ],
    ['what follows "the answer is"', 'Therefore, the answer is 60.', '60'],
    ['what follows the hashes', '16 - 3 - 4 = 9\n#### 18', '18'],
    ['the right side of the last line', 'Adding up:\nx = 3 + 4 = 7', '7'],
    ['a bare last line', 'Let me see.\n\n60', '60'],
    ['the last number of the last sentence', 'Bar A is 4.\nSo she has 18 dollars left.', '18'],
    [
      'the one number of an answering sentence',
      'Final Answer: Jane started 3 hours ago. I hope it is correct.',
      '3',
    ],
    ['a number beside a name', 'Final Answer: The volume of $ABCDEFGH$ is 120.', '120'],
    ['a decimal at the end of a sentence', 'The answer is 3.5.', '3.5'],
    ['the answer after thinking', '<think>Maybe \\boxed{3}?</think> It is \\boxed{4}.', '4'],
    ['the last statement of several', 'Answer: 3\n\nWait, I misread it.\n\nAnswer: 4', '4'],
    [
      'a statement after a box',
      'That is \\boxed{255}. Final Answer: The final answer is $10,455$.',
      '$10,455$',
    ],
  ])('is %s', (_, solution, expected) => {
    expect(answer(solution)).toBe(expected);
  });

  it('is read from the last step', () => {
    expect(answer(['Bar A is 4.', 'Bar B is 5.', 'Answer: 9'])).toBe('9');
  });

  it('says how it was found', () => {
    expect(extractAnswer('It is \\boxed{5}.')?.how).toBe('boxed');
    expect(extractAnswer('The answer is 5.')?.how).toBe('phrase');
    expect(extractAnswer('So there are 5 of them.')?.how).toBe('last-number');
  });

  it('is a letter or a text of the choices', () => {
    const choices = ['half', 'quarter', "o'clock"];
    expect(answer('So the right choice is (B).', choices)).toBe('B');
    expect(answer('Therefore, the correct answer is (B) quarter.', choices)).toBe('B');
    expect(answer('I would choose option B', choices)).toBe('B');
    expect(answer('Answer: B. quarter past the hour it is', choices)).toBe('B');
    expect(answer('It shows a quarter past three.', choices)).toBe('quarter');
    expect(answer('B', choices)).toBe('B');
    expect(answer('The correct answer is therefore choice (B).', choices)).toBe('B');
    expect(answer('\\boxed{(A) and (B)}', choices)).toBe('(A) and (B)');
    expect(
      answer('So it is a **quarter**.\n\nIs there anything else I can help you with?', choices),
    ).toBe('quarter');
  });

  it('is absent where none is stated', () => {
    expect(extractAnswer('')).toBeNull();
    expect(extractAnswer([])).toBeNull();
    expect(extractAnswer('I cannot see the picture well enough to tell.')).toBeNull();
    expect(extractAnswer('\\boxed{}')).toBeNull();
  });

  it('is found in linear time', () => {
    const start = process.cpuUsage();
    for (const piece of [
      '\\boxed{',
      '<answer>',
      'Answer: ',
      '$',
      '= ',
      '( ',
      'the answer is ',
      '. ',
    ]) {
      extractAnswer(piece.repeat(20_000));
      extractAnswer(`${piece.repeat(20_000)}\n`, ['one', 'two']);
    }
    // CPU time, so that a busy machine is no reason to fail.
    expect(process.cpuUsage(start).user / 1e6).toBeLessThan(10);
  });
});
