import { describe, expect, it } from 'vitest';
import { pathOptions, processText, ROOT, StateTree, trainingPaths } from '../../../search/index.js';

/** Root 0.5; `a b` 0.5 with children `c d` (0, searched on) and `c` 1.0 with child `d` 0; and one
 *  finished right solution. */
function sampleTree(): StateTree {
  const tree = new StateTree();
  const add = (parent: number, steps: string[], correct: number, graded: number) => {
    const state = tree.addState(parent, steps);
    tree.correct[state] = correct;
    tree.graded[state] = graded;
    tree.mcValue[state] = correct / graded;
    return state;
  };
  tree.correct[ROOT] = 2;
  tree.graded[ROOT] = 4;
  tree.mcValue[ROOT] = 0.5;
  const ab = add(ROOT, ['a', 'b'], 2, 4);
  add(ab, ['c', 'd'], 0, 4);
  const c = add(ab, ['c'], 4, 4);
  const d = tree.addState(c, ['d']);
  tree.mcValue[d] = 0;
  const right = tree.addState(ROOT, ['r', 's', 'Answer: 42']);
  tree.mcValue[right] = 1;
  return tree;
}

const BASE = {
  ...pathOptions.parse({}),
  label: 'soft',
  labelThreshold: 0,
  consensusRule: 'and',
} as const;
const of = (more: Partial<typeof BASE> | Record<string, unknown>) =>
  trainingPaths({ tree: sampleTree(), critiques: new Map() }, { ...BASE, ...more }, 'seed');

describe('trainingPaths', () => {
  it('takes every path from the root to a leaf, one label per segment', () => {
    expect(of({}).map(({ segments, labels, negative }) => [segments, labels, negative])).toEqual([
      [
        [
          ['a', 'b'],
          ['c', 'd'],
        ],
        [0.5, 0],
        true,
      ],
      [[['a', 'b'], ['c'], ['d']], [0.5, 1, 0], true],
      [[['r', 's', 'Answer: 42']], [1], false],
    ]);
  });

  it('gives one label per step out of what the tree knows of each prefix', () => {
    const paths = of({ labelUnit: 'step' });
    // `a` can succeed since `a b` can; `a b c` is known to be right from the finer path, so the
    // coarse and the fine path become one.
    expect(paths.map(({ segments, labels }) => [segments.flat(), labels])).toEqual([
      [
        ['a', 'b', 'c', 'd'],
        [0.5, 0.5, 1, 0],
      ],
      [
        ['r', 's', 'Answer: 42'],
        [1, 1, 1],
      ],
    ]);
    // Only the end of a finished solution is certain.
    expect(paths[1]?.intervals[0]?.[0]).toBeLessThan(0.4);
    expect(paths[1]?.intervals[2]).toEqual([1, 1]);
  });

  it('counts the rollouts of a segment once where its steps share them and parents are priors', () => {
    const tree = new StateTree();
    tree.correct[ROOT] = 2;
    tree.graded[ROOT] = 4;
    tree.mcValue[ROOT] = 0.5;
    const ab = tree.addState(ROOT, ['a', 'b']);
    tree.correct[ab] = 4;
    tree.graded[ab] = 4;
    tree.mcValue[ab] = 1;
    const options = { ...BASE, labelUnit: 'step', priorStrength: 2 } as const;
    const [path] = trainingPaths({ tree, critiques: new Map() }, options, 's');
    // Of `a` no more is known than of `a b`: root mean 0.5, so Beta(1, 1), and (4 + 1) / 6 for both.
    expect(path?.labels.map((label) => label.toFixed(6))).toEqual(['0.833333', '0.833333']);
    expect(path?.intervals[1]).toEqual(path?.intervals[0]);
  });

  it('makes hard labels by threshold and progress labels by the ratio to the step before', () => {
    expect(of({ label: 'hard', labelThreshold: 0.5 }).map((path) => path.labels)).toEqual([
      [0, 0],
      [0, 1, 0],
      [1],
    ]);
    // 0.5 / 0.5 = 1 and 1 / 0.5 = 2 reach 0.8; 0 / 0.5 does not; 1 / 0.5 does.
    expect(of({ label: 'progress' }).map((path) => path.labels)).toEqual([[1, 0], [1, 1, 0], [1]]);
  });

  it('asks progress labels for the ratio that progressThreshold says', () => {
    // `c` comes from 0.5 to 1, a ratio of 2; the finished solution from 0.5 to 1 as well.
    expect(of({ label: 'progress', progressThreshold: 2.1 }).map((path) => path.labels)).toEqual([
      [0, 0],
      [0, 0, 0],
      [0],
    ]);
  });

  it('sees progress where a step succeeds after a prefix of which nothing did', () => {
    // All solutions were wrong, so the root has 0; yet half of the rollouts from `a` are right.
    const tree = new StateTree();
    tree.graded[ROOT] = 4;
    tree.mcValue[ROOT] = 0;
    let state = ROOT;
    for (const value of [0.5, 0, 0, 0.25]) {
      state = tree.addState(state, [`step ${state}`]);
      tree.graded[state] = 4;
      tree.correct[state] = 4 * value;
      tree.mcValue[state] = value;
    }
    const options = { ...BASE, label: 'progress' } as const;
    const [path] = trainingPaths({ tree, critiques: new Map() }, options, 's');
    expect(path?.labels).toEqual([1, 0, 0, 1]);
  });

  it('under the mm-prm rule drops short texts and puts negative paths first', () => {
    // `a\n\nb<prm>\n\n…` has no single space at all: one word by that rule.
    expect(of({ pathRule: 'mm-prm' })).toEqual([]);
    expect(of({ pathRule: 'mm-prm', minWords: 0 }).map((path) => path.negative)).toEqual([
      true,
      true,
      false,
    ]);
  });

  it('balances positives to negatives with a seed', () => {
    const tree = sampleTree();
    for (let i = 0; i < 20; i++) {
      tree.mcValue[tree.addState(ROOT, [`right ${i}`])] = 1;
    }
    const balanced = (seed: string) =>
      trainingPaths({ tree, critiques: new Map() }, { ...BASE, balance: true }, seed);
    const kept = balanced('one');
    expect(kept.filter((path) => !path.negative)).toHaveLength(2);
    expect(kept.filter((path) => path.negative)).toHaveLength(2);
    expect(balanced('one')).toEqual(kept);
    const seeds = Array.from({ length: 10 }, (_, i) => JSON.stringify(balanced(String(i))));
    expect(new Set(seeds).size).toBeGreaterThan(1);
  });

  it('gives nothing under the mm-prm rule from a tree that is all right or all wrong', () => {
    const tree = sampleTree();
    tree.mcValue[ROOT] = 1;
    const options = { ...BASE, pathRule: 'mm-prm', minWords: 0 } as const;
    expect(trainingPaths({ tree, critiques: new Map() }, options, 's')).toEqual([]);
  });

  it('writes the process text as the trainer reads it', () => {
    expect(processText([[' a ', 'b'], ['c']])).toBe('a\n\nb<prm>\n\nc<prm>');
  });
});
