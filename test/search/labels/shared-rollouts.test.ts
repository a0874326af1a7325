import { expect, it } from 'vitest';
import { SharedRollouts } from '../../../search/labels/shared-rollouts.js';
import type { Rollout, Step, VerdictKind } from '../../../search/types.js';

const graded = (...list: [readonly Step[], VerdictKind][]) => ({
  rollouts: list.map(([steps]): Rollout => ({ steps, finish: 'end', policyTokens: 1 })),
  verdicts: list.map(([, verdict]) => ({ verdict })),
});

it('counts a rollout for every wanted prefix after its start, up to where it leaves them', () => {
  const shared = new SharedRollouts([['a'], ['a', 'b'], ['a', 'b', 'c']]);
  shared.add(
    [],
    graded(
      [['a', 'b', 'c', 'end'], 'equal'],
      [['a', 'b', 'x', 'end'], 'different'],
      [['y'], 'equal'],
    ),
  );
  shared.add(['a'], graded([['b', 'z'], 'equal']));
  expect(shared.of(['a'])).toEqual({ correct: 1, graded: 2 });
  expect(shared.of(['a', 'b'])).toEqual({ correct: 2, graded: 3 });
  expect(shared.of(['a', 'b', 'c'])).toEqual({ correct: 1, graded: 1 });
});

it('counts nothing of a rollout that ends at the prefix, was not graded, or left and came back', () => {
  const shared = new SharedRollouts([['a', 'b']]);
  shared.add(
    [],
    graded([['a', 'b'], 'equal'], [['a', 'b', 'c'], 'ungraded'], [['x', 'a', 'b', 'c'], 'equal']),
  );
  expect(shared.of(['a', 'b'])).toEqual({ correct: 0, graded: 0 });
  expect(shared.of(['never', 'wanted'])).toEqual({ correct: 0, graded: 0 });
});
