import { afterAll, describe, expect, it } from 'vitest';
import { createRandom } from '../../search/rng.js';
import { sameText } from '../../src/policy/openai/replies.js';
import { createComparer } from '../../src/verify/comparer.js';
import { extractAnswer } from '../../src/verify/extract.js';

/** Seeded texts of up to so many of these pieces. */
function* texts(pieces: readonly string[], most: number, count: number): Generator<string> {
  const random = createRandom(pieces.join('|'));
  for (let i = 0; i < count; i++) {
    const length = Math.floor(random() * (most + 1));
    yield Array.from({ length }, () => pieces[Math.floor(random() * pieces.length)]).join('');
  }
}

describe('looking for the mark of a final answer', () => {
  // A word at the very front that is no mark makes the search begin there.
  const FRONT = 'no answer here yet; ';

  it('finds what a search from the front of the text finds', () => {
    const words = [
      'answer',
      'Answer',
      'aNswer',
      'final',
      'Final ',
      'correct ',
      'word',
      'x',
      '答案',
      '故选',
      '因此选择A',
    ];
    const marks = [' ', '\n', '*', '**', '#', '_', '.', '!', ':', '：', ' is ', '是', '5', '42 cm'];
    const found = [...texts([...words, ...marks], 12, 3_000)].flatMap((text) => {
      const whole = extractAnswer(FRONT + text);
      return whole?.how === 'final-answer' ? [{ text, whole }] : [];
    });
    expect(found.length).toBeGreaterThan(200);
    expect(found.map(({ text }) => ({ text, whole: extractAnswer(text) }))).toEqual(found);
  });

  it.each([
    ['So.\n\n_ **Answer**: 5', '5'],
    ['the sum\n### Final   Answer:\n12', '12'],
    ['x*correct answer: 7', '7'],
    ['答案：8\nNo answer', '8'],
  ])('reads %j', (text, answer) => {
    expect(extractAnswer(text)).toEqual({ answer, how: 'final-answer' });
  });
});

describe('texts that differ in white space alone', () => {
  it('are the same exactly where collapsing white space says so', () => {
    const spaced = [...texts(['a', 'b', ' ', '\n', '\t', '\u00a0', '\u2003', '\ufeff'], 5, 4_000)];
    const collapsed = (text: string) => text.replace(/\s+/g, ' ');
    const pairs = spaced.map((text, index) => [text, spaced[index + 1] ?? ''] as const);
    const expected = pairs.filter(([a, b]) => collapsed(a) === collapsed(b));
    expect(expected.length).toBeGreaterThan(50);
    expect(pairs.filter(([a, b]) => sameText(a, b))).toEqual(expected);
  });
});

describe('an answer that rules decide', () => {
  const comparer = createComparer();
  afterAll(() => comparer.close());
  const soon = (answer: string) => comparer.compareSoon?.({ answer: '42' }, answer);

  it('is compared at once, and once', () => {
    expect(soon('42.0')).toEqual({ verdict: 'equal' });
    const before = comparer.stats().remembered;
    expect(soon('42.0')).toEqual({ verdict: 'equal' });
    expect(comparer.stats().remembered).toBe(before + 1);
    expect(soon('43')).toMatchObject({ verdict: 'different' });
  });

  it('is told apart from the same answer to another question', () => {
    expect(comparer.compareSoon?.({ answer: '4' }, '42')).toMatchObject({ verdict: 'different' });
    // Gold "4" and answer "2…" must not meet gold "42…": the key tells where the gold ends.
    expect(comparer.compareSoon?.({ answer: '4' }, '4')).toEqual({ verdict: 'equal' });
    expect(comparer.compareSoon?.({ answer: '42', precision: 1 }, '42.04')).toEqual({
      verdict: 'equal',
    });
    expect(soon('42.04')).toMatchObject({ verdict: 'different' });
  });

  it('is refused once the comparer is closed, unless it is remembered', async () => {
    const closed = createComparer();
    expect(closed.compareSoon?.({ answer: '1' }, '1')).toEqual({ verdict: 'equal' });
    await closed.close();
    expect(closed.compareSoon?.({ answer: '1' }, '1')).toEqual({ verdict: 'equal' });
    await expect(closed.compareSoon?.({ answer: '1' }, '2')).rejects.toMatchObject({
      code: 'VERIFIER_CLOSED',
    });
  });
});
