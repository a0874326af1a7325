import { describe, expect, it } from 'vitest';
import { patchCount } from '../../src/figmath/patches.js';
import { generateProblem, splitOf } from '../../src/figmath/problem.js';
import { hash32 } from '../../src/figmath/rng.js';
import { figmathFamilies, figmathSplits } from '../../src/figmath/types.js';

const pixelHash = (pixels: Uint8Array): number => hash32(String.fromCharCode(...pixels));

/** All "a+b=c" of a text, with the result recomputed here. */
function calculations(text: string): { said: number; right: number }[] {
  return [...text.matchAll(/(\d+)([-+*])(\d+)=(\d+)/g)].map(([, left, operator, right, said]) => {
    const a = Number(left);
    const b = Number(right);
    const recomputed = { '+': a + b, '-': a - b, '*': a * b }[operator as '+' | '-' | '*'];
    return { said: Number(said), right: recomputed };
  });
}

describe('figmath problems', () => {
  it('are the same bytes and words for the same split, seed and index', () => {
    for (let index = 0; index < 40; index++) {
      const first = generateProblem('train', 3, index);
      const again = generateProblem('train', 3, index);
      expect(Buffer.compare(first.image.pixels, again.image.pixels)).toBe(0);
      expect({ ...again, image: 0, solution: 0 }).toEqual({ ...first, image: 0, solution: 0 });
      expect(again.solution(1)).toEqual(first.solution(1));
    }
  });

  it('keep their pixels across releases, so that a trained model still reads them', () => {
    const hashes = [0, 1, 2, 3].map((index) =>
      pixelHash(generateProblem('test', 1, index).image.pixels),
    );
    expect(hashes).toMatchInlineSnapshot(`
      [
        2663198892,
        4118549294,
        639604512,
        1586340424,
      ]
    `);
  });

  it('never share a figure between splits, whatever the seed', () => {
    const seen = new Map<string, string>();
    for (const split of figmathSplits) {
      for (const seed of [1, 2]) {
        for (let index = 0; index < 200; index++) {
          const { figureContent } = generateProblem(split, seed, index);
          expect(splitOf(figureContent)).toBe(split);
          expect(seen.get(figureContent) ?? split).toBe(split);
          seen.set(figureContent, split);
        }
      }
    }
  });

  it('take the families in turns and ask every kind of question', () => {
    const problems = Array.from({ length: 400 }, (_, index) => generateProblem('test', 1, index));
    for (const family of figmathFamilies) {
      expect(problems.filter((problem) => problem.family === family)).toHaveLength(100);
    }
    const kinds = new Set(problems.map((problem) => `${problem.family}/${problem.kind}`));
    expect([...kinds].sort()).toEqual([
      'bars/pair',
      'bars/price',
      'bars/range',
      'bars/total',
      'counts/boxes',
      'counts/minus',
      'counts/points',
      'shapes/area',
      'shapes/both',
      'shapes/fence',
      'shapes/triangle',
      'table/difference',
      'table/pairs',
      'table/price',
    ]);
  });

  it('have solutions of 3 to 6 steps whose sums are right and whose last step is the answer', () => {
    for (let index = 0; index < 400; index++) {
      const problem = generateProblem('validation', 5, index);
      for (const variant of [0, 1, 2]) {
        const steps = problem.solution(variant);
        expect(steps.length).toBeGreaterThanOrEqual(3);
        expect(steps.length).toBeLessThanOrEqual(6);
        const done = calculations(steps.join('\n\n'));
        expect(done.length).toBeGreaterThan(0);
        for (const { said, right } of done) expect(said).toBe(right);
        expect(steps.at(-1)).toBe(`Answer: ${problem.answer}`);
        expect(done.at(-1)?.said).toBe(Number(problem.answer));
        // Every value that is asked for is read, with its own name.
        for (const reading of problem.readings) {
          expect(steps.join('\n\n')).toContain(`${reading.name}=${reading.value}`);
        }
        for (const step of steps) expect(step).not.toContain('\n\n');
      }
    }
  });

  it('have several wordings for one right solution', () => {
    const problem = generateProblem('train', 1, 5);
    const texts = new Set(Array.from({ length: 20 }, (_, i) => problem.solution(i).join('\n\n')));
    expect(texts.size).toBeGreaterThan(5);
  });

  it('ask different questions about one figure', () => {
    const [first, second] = [0, 1].map((question) => generateProblem('train', 1, 8, question));
    expect(second?.figureContent).toBe(first?.figureContent);
    expect(Buffer.compare(first!.image.pixels, second!.image.pixels)).toBe(0);
    const asked = Array.from({ length: 8 }, (_, i) => generateProblem('train', 1, 8, i).question);
    expect(new Set(asked).size).toBeGreaterThan(2);
  });

  it('label every value that has to be read at some patch', () => {
    for (let index = 0; index < 200; index++) {
      const { readings, patchLabels } = generateProblem('train', 2, index);
      const values = new Set<number>();
      for (let patch = 0; patch < patchCount; patch++) {
        const ones = patchLabels.ones[patch] as number;
        if (ones === 0 || ones === 255) continue;
        values.add(((patchLabels.tens[patch] as number) - 1) * 10 + ones - 1);
      }
      for (const reading of readings) expect(values).toContain(reading.value);
    }
  });
});
