import { expect, it } from 'vitest';
import type { TreeJson } from '../../search/labels/tree-json.js';
import {
  bestPath,
  labelTree,
  pathTo,
  prefixKey,
  solveTree,
  traceTree,
} from '../../web/src/model/view-tree.js';
import { candidate, report, state, treeOf } from './trees.js';

it('numbers the states of a labelled tree parents first, with their facts', () => {
  const tree = labelTree(smallTree(), null);
  expect(tree.nodes.map(({ parent, depth, steps }) => [parent, depth, steps])).toEqual([
    [-1, 0, []],
    [0, 1, ['a']],
    [1, 2, ['b', 'c']],
    [0, 1, ['d']],
  ]);
  expect(tree.nodes[1]).toMatchObject({
    value: 0.5,
    graded: 4,
    correct: 2,
    ungraded: 1,
    ends: null,
  });
});

it('tells ends from states that were estimated', () => {
  const { nodes } = labelTree(smallTree(), null);
  expect(nodes.map(({ ends }) => ends)).toEqual([null, null, 'equal', 'different']);
});

it("computes Q and U as the search's pool does", () => {
  // Root: MC 0.5, one wrong rollout of 2 words, N = 1 of 1 visits in all.
  // Q = 0.5^(1-0.5) * 0.9^(2/500) = 0.7071067812 * 0.99957865 = 0.70680884
  // U = 0.125 * sqrt(1) / (1 + 1) = 0.0625
  const json = treeOf(
    {
      mc_value: 0.5,
      visit_count: 1,
      incorrect_rollouts: [['two words']],
      counts: { correct: 1, graded: 2, ungraded: 0 },
    },
    [],
  );
  const { nodes } = labelTree(json, { cPuct: 0.125, alpha: 0.5, beta: 0.9, lengthScale: 500 });
  expect(nodes[0]?.q).toBeCloseTo(0.70680884, 7);
  expect(nodes[0]?.u).toBe(0.0625);
});

it('shares the common prefixes of candidates and counts who goes through', () => {
  const tree = solveTree(
    report({
      chosen: 1,
      candidates: [
        candidate(['a', 'b'], { stepScores: [0.9, 0.2], verdict: 'different' }),
        candidate(['a', 'c'], { stepScores: [0.9, 0.8], verdict: 'equal' }),
        candidate(['a', 'b'], { stepScores: [0.9, 0.2], verdict: 'different' }),
      ],
    }),
  );
  expect(
    tree.nodes.map(({ steps, visits, score, value }) => [steps[0], visits, score, value]),
  ).toEqual([
    [undefined, 3, null, 1 / 3],
    ['a', 3, 0.9, 1 / 3],
    ['b', 2, 0.2, 0],
    ['c', 1, 0.8, 1],
  ]);
  expect(tree.chosen).toEqual([0, 1, 3]);
  expect(tree.nodes[2]?.candidates).toEqual([0, 2]);
});

it('draws a live solve below its question, and finds the chosen path', () => {
  const node = (id: number, parent: number, text: string, score: number | null) => {
    return { id, parent, text, samples: 1, score, outcome: null, finish: null };
  };
  const tree = traceTree(
    [node(0, -1, 'a', 0.5), node(1, 0, 'b', null), node(2, -1, 'c', 0.1)],
    ['a', 'b'],
    [],
  );
  expect(tree.nodes.map(({ parent, score }) => [parent, score])).toEqual([
    [-1, null],
    [0, 0.5],
    [1, null],
    [0, 0.1],
  ]);
  expect(tree.chosen).toEqual([0, 1, 2]);
});

/** A root, `a` with one visit, `a b` once as an end and once going on. */
const SEARCHED = [
  { parent: -1, steps: [], score: null, visits: 3, q: 0.5, u: null, prior: null, isEnd: false },
  { parent: 0, steps: ['a'], score: 0.6, visits: 3, q: 0.55, u: 0.1, prior: 1, isEnd: false },
  { parent: 1, steps: ['b'], score: 0.4, visits: 1, q: 0.4, u: 0.2, prior: 0.3, isEnd: false },
  { parent: 1, steps: ['b'], score: 0.7, visits: 2, q: 0.7, u: 0.3, prior: 0.7, isEnd: true },
  { parent: 0, steps: ['c'], score: 0.1, visits: 0, q: 0.1, u: 0.4, prior: 0.2, isEnd: false },
];

it('shows all states of MCTS with Q, U and prior, those without a candidate too', () => {
  const tree = solveTree(
    report({
      chosen: 0,
      candidates: [candidate(['a', 'b'], { stepScores: [0.6, 0.7], verdict: 'equal' })],
      states: SEARCHED,
    }),
  );
  expect(tree.visitsMean).toBe('simulations');
  expect(
    tree.nodes.map(({ steps, visits, q, u, prior, value }) => [
      steps[0],
      visits,
      q,
      u,
      prior,
      value,
    ]),
  ).toEqual([
    [undefined, 3, 0.5, null, null, 1],
    ['a', 3, 0.55, 0.1, 1, 1],
    ['b', 2, 0.7, 0.3, 0.7, 1],
    ['c', 0, 0.1, 0.4, 0.2, null],
  ]);
  expect(tree.chosen).toEqual([0, 1, 2]);
});

it('puts the figures of MCTS onto a live tree, which has steps that the search dropped', () => {
  const node = (id: number, parent: number, text: string) => {
    return { id, parent, text, samples: 1, score: 0.5, outcome: null, finish: null };
  };
  const nodes = [node(0, -1, 'x'), node(1, -1, 'a'), node(2, 1, 'b')];
  const tree = traceTree(nodes, null, [], SEARCHED);
  expect(tree.nodes.map(({ steps, q, prior }) => [steps[0], q, prior])).toEqual([
    [undefined, 0.5, null],
    ['x', null, null],
    ['a', 0.55, 1],
    ['b', 0.7, 0.7],
  ]);
});

it('walks to the best end by value', () => {
  const tree = labelTree(smallTree(), null);
  expect(bestPath(tree)).toEqual([0, 1, 2]);
  expect(pathTo(tree, 2)).toEqual([0, 1, 2]);
  expect(prefixKey(tree, 2)).toBe('a\n\nb\n\nc');
});

it('takes a tree that is ten thousand states deep', () => {
  let chain = state(['last'], 1, 1);
  for (let i = 0; i < 10_000; i++) chain = state([`${i}`], 1, 1, [chain]);
  expect(labelTree(treeOf({}, [chain]), null).nodes).toHaveLength(10_002);
});

function smallTree(): TreeJson {
  const right = state(['b', 'c'], 0, 0);
  const wrong = state(['d'], 0, 0);
  right.mc_value = 1;
  wrong.mc_value = 0;
  const a = state(['a'], 2, 4, [right]);
  a.counts.ungraded = 1;
  return treeOf({ mc_value: 0.25 }, [a, wrong]);
}
