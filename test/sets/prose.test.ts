import { expect, it } from 'vitest';
import { choiceAnswer } from '../../src/sets/prose/choice-answer.js';
import { listAnswer } from '../../src/sets/prose/list-answer.js';
import { numericAnswer } from '../../src/sets/prose/numeric-answer.js';
import { declining } from '../../src/sets/prose/text.js';

const angles = ['30°', '45°', '60°', '90°'];
const yesNo = ['Yes', 'No'];

it.each([
  ['The answer is (C).', angles, 'C'],
  ['Answer: B', angles, 'B'],
  ['**B**', angles, 'B'],
  ['B. 45°', angles, 'B'],
  ['答案:D', angles, 'D'],
  ['So we get \\boxed{\\text{D}}.', angles, 'D'],
  ['Option (A) is the correct answer because the lines are parallel.', angles, 'A'],
  ['(A) is incorrect, since it is acute. So the answer is (B).', angles, 'B'],
  ['The angle is a right angle, so it measures 90 degrees.', angles, '90°'],
  ['Angle A is 30°. Therefore, angle B is 180° - 120° = 60°.', angles, '60°'],
  ['The correct answer is (B).\n\nI hope this helps! Let me know if you need more.', angles, 'B'],
  [
    'The value at 10 is larger than that at 70.',
    ['larger than', 'equal to', 'smaller than'],
    'larger than',
  ],
  [
    'If the algae died, the crabs would decrease as well.',
    ['crabs increase', 'crabs decrease'],
    'crabs decrease',
  ],
  ['The answer is (B) 60°.', angles, '60°'], // the text says more than the letter
])('settles on a choice in %j', (response, choices, answer) => {
  expect(choiceAnswer(response, choices)).toBe(answer);
});

it.each([
  ['No, they are not.', 'Are there more dogs than cats?', 'No'],
  ['Indigo does not have the lowest value.', 'Does Indigo have the lowest value?', 'No'],
  ['There are more cats than dogs.', 'Are there more dogs than cats?', 'No'],
  ['There are fewer cats than dogs.', 'Are there more dogs than cats?', 'Yes'],
  ['There are more dogs than cats.', 'Are there more dogs than cats?', 'Yes'],
  ['The nest is larger than a fist.', 'Is the nest larger than a fist?', 'Yes'],
])('reads yes or no out of %j', (response, question, answer) => {
  expect(choiceAnswer(response, yesNo, question)).toBe(answer);
});

it('finds no choice where a solution declines, and says so in short', () => {
  const response = 'The text gives no information on it. Thus, the answer cannot be determined.';
  expect(choiceAnswer(response, yesNo)).toBeNull();
  expect(declining(response, yesNo)).toBe('Cannot be determined');
  expect(declining('The solution cannot be provided without the picture.', yesNo)).toBe('N/A');
});

it('a refusal behind an answer takes it back, one before it does not', () => {
  expect(
    choiceAnswer('It might be option B. However, I cannot determine the answer.', angles),
  ).toBeNull();
  expect(choiceAnswer('I cannot see the picture well. The answer is B.', angles)).toBe('B');
});

it.each([
  ['Therefore, the distance is 0.11 meters.', '', '0.11'],
  ['The answer is $5 for 3 apples.', '', '5'],
  ['There are three objects left.', '', '3'],
  ['The difference is 53.5% - 46.5% = 7%.', '', '7'],
  ['There are two bars with values smaller than 80.', 'How many bars are smaller than 80?', '2'],
  ['So the total is 1,234,567.', '', '1234567'],
  ['The temperature is -5 degrees.', '', '-5'],
  ['The range is 10 - 2 = 8 miles.', '', '8'],
  ['1. Count the dots.\n2. Add them.\nThe sum is twenty-one.', '', '21'],
  ['Then \\boxed{42}. Check: 6 times 7 is 42 and 8 is not.', '', '42'],
])('finds the number of %j', (response, question, answer) => {
  expect(numericAnswer(response, question)).toBe(answer);
});

it.each([
  "Sorry, I can't help with images of people yet.",
  'Without the table it is not possible to determine the value of 3 items.',
])('finds no number where %j declines', (response) => {
  expect(numericAnswer(response, '')).toBeNull();
});

it('finds lists in brackets and in words', () => {
  expect(listAnswer('The code is [1, 2,3].')).toBe('[1, 2, 3]');
  expect(listAnswer('It fell in 2014 and 2016.')).toBe('[2014, 2016]');
  expect(listAnswer('It never fell.')).toBeNull();
});

it('reads an endless response at once, by its beginning and its end', () => {
  const started = performance.now();
  const endless = 'not enough '.repeat(100_000);
  expect(choiceAnswer(`${endless}\nThe answer is (B).`, angles)).toBe('B');
  expect(numericAnswer(`${'a '.repeat(500_000)}\nThe answer is 7.`, '')).toBe('7');
  // A minute each before the middle was left out; generous, since machines differ.
  expect(performance.now() - started).toBeLessThan(20_000);
});
