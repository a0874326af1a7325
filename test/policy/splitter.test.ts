import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSplitter, findStop, SPLITTER_NAMES } from '../../src/policy/splitter.js';

describe('step splitters', () => {
  it('split a solution at blank lines and drop empty steps', () => {
    const splitter = createSplitter('blank-line');
    expect(splitter.split('\n\nRead 3.\n\n \n\nSo 3 + 4 = 7.\n')).toEqual([
      'Read 3.',
      'So 3 + 4 = 7.',
    ]);
    expect(splitter.join(['Read 3.', 'So 7.'])).toBe('Read 3.\n\nSo 7.\n\n');
    expect(splitter.join([])).toBe('');
  });

  it('keep the tags of an answer and close those that a stop string cut', () => {
    const splitter = createSplitter('step-tags');
    expect(splitter.split('<step>a</step>\n<step>b</step>\n<answer>5</answer>')).toEqual([
      'a',
      'b',
      '<answer>5</answer>',
    ]);
    expect(splitter.split('<step>half')).toEqual(['half']);
    expect(splitter.split('<answer>5')).toEqual(['<answer>5</answer>']);
    expect(splitter.join(['a', '<answer>5</answer>'])).toBe('<step>a</step>\n<answer>5</answer>\n');
  });

  it('number headings again from the place of the step', () => {
    const splitter = createSplitter('step-headings');
    expect(splitter.split('Step 1: a\nmore\nStep 2: b\n')).toEqual(['a\nmore', 'b']);
    expect(splitter.split('Step 3: c\nStep ')).toEqual(['c']);
    expect(splitter.join(['a', 'b'])).toBe('Step 1: a\nStep 2: b\n');
  });

  it.each(SPLITTER_NAMES)('%s reads its own joined text back as the same steps', (name) => {
    const splitter = createSplitter(name);
    fc.assert(
      fc.property(fc.array(fc.string()), (texts) => {
        const steps = texts.flatMap((text) => splitter.split(text));
        expect(splitter.split(splitter.join(steps))).toEqual(steps);
      }),
      { seed: 7 },
    );
  });

  it('find the first stop that ends a step, not one at the very start', () => {
    expect(findStop('\n\nRead 3.\n\nSo', ['\n\n'])).toEqual({ index: 9, length: 2 });
    expect(findStop('\n\n', ['\n\n'])).toBeNull();
    expect(findStop('a</answer>b</step>', ['</step>', '</answer>'])).toEqual({
      index: 1,
      length: 9,
    });
  });

  it('refuse an unknown name and list the known ones', () => {
    expect(() => createSplitter('lines')).toThrow(/blank-line, step-tags, step-headings/);
  });
});
