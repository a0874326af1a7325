import { expect, it } from 'vitest';
import { ROOT, StateTree } from '../../../search/index.js';
import {
  CandidatePool,
  compareSteps,
  qValue,
  wordCount,
} from '../../../search/labels/candidate-pool.js';

const OPTIONS = { alpha: 0.5, beta: 0.9, lengthScale: 500, cPuct: 0.125 };

it('computes Q by hand: alpha^(1 - MC) * beta^(words / L)', () => {
  // MC 0.25, 3 words: 0.5^0.75 * 0.9^(3/500) = 0.594603558 * 0.999368034 = 0.594227...
  expect(qValue(0.25, ['one two', 'three'], OPTIONS)).toBeCloseTo(0.5942278, 6);
});

it('counts words as Python does', () => {
  expect(wordCount(['a b', 'c'])).toBe(3);
  expect(wordCount(['a\u001cb\u00a0c'])).toBe(3); // U+001C is white space to Python only
  expect(wordCount(['a\ufeffb'])).toBe(1); // U+FEFF is white space to JavaScript only
  expect(wordCount([])).toBe(0);
});

it('orders tuples step by step in code points, the shorter first', () => {
  expect(compareSteps(['a'], ['a', 'b'])).toBeLessThan(0);
  expect(compareSteps(['b'], ['a', 'z'])).toBeGreaterThan(0);
  // U+1F600 is above U+FF5E in code points, below it in UTF-16 units.
  expect(compareSteps(['\u{1F600}'], ['\uff5e'])).toBeGreaterThan(0);
});

it('takes a visited state down by U: the sibling goes next, until its own visits pull it down', () => {
  const tree = new StateTree();
  const near = tree.addState(ROOT, ['near']);
  const far = tree.addState(ROOT, ['far']);
  tree.mcValue[near] = 0.5;
  tree.mcValue[far] = 0.45;
  tree.incorrectRollouts[near]?.push(['n1'], ['n2'], ['n3']);
  tree.incorrectRollouts[far]?.push(['f1'], ['f2']);
  const pool = new CandidatePool(tree, OPTIONS);
  pool.add(near);
  pool.add(far);
  const order: string[] = [];
  for (let taken = pool.take(); taken; taken = pool.take()) {
    order.push(taken.rollout[0] ?? '');
    pool.countVisit(taken.state);
  }
  // Q: near 0.5^0.5 = 0.7071 (times 0.9^(1/500) for both), far 0.5^0.55 = 0.6830, apart 0.0241.
  // 1st: U is 0 for both: near. Then N = 1: near 0.125/2, far 0.125: far leads by 0.0384.
  // Then N = 2: both visited once: near. Then N = 3: near 0.125*1.73/3 = 0.0722, far 0.1083,
  // apart 0.0361 > 0.0241: far. Then only near is left.
  expect(order).toEqual(['n1', 'f1', 'n2', 'f2', 'n3']);
});

it('breaks a tie of two states by fewer visits, then by age', () => {
  const tree = new StateTree();
  const states = [tree.addState(ROOT, ['a']), tree.addState(ROOT, ['b'])];
  for (const state of states) {
    tree.mcValue[state] = 0.5;
    tree.incorrectRollouts[state]?.push(['same']);
  }
  const pool = new CandidatePool(tree, OPTIONS);
  for (const state of [...states].reverse()) pool.add(state);
  expect(pool.take()?.state).toBe(states[0]);
});

it('selects as a full refresh of all priorities would, on random trees', () => {
  let random = 7;
  const next = () => {
    random = (Math.imul(random, 1103515245) + 12345) & 0x7fffffff;
    return random / 0x7fffffff;
  };
  const tree = new StateTree();
  const pool = new CandidatePool(tree, { ...OPTIONS, cPuct: 0.4 });
  const waiting = new Map<number, string[][]>();
  for (let i = 0; i < 40; i++) {
    const state = tree.addState(ROOT, [`s${i}`]);
    tree.mcValue[state] = next();
    const rollouts = Array.from({ length: 1 + Math.floor(next() * 5) }, (_, r) => [
      Array.from({ length: 1 + Math.floor(next() * 400) }, () => `w${r}`).join(' '),
    ]);
    tree.incorrectRollouts[state]?.push(...rollouts);
    waiting.set(state, rollouts);
    pool.add(state);
  }
  let total = 0;
  for (let taken = pool.take(); taken; taken = pool.take()) {
    let best = Number.NEGATIVE_INFINITY;
    for (const [state, rollouts] of waiting) {
      const u = (0.4 * Math.sqrt(total)) / (1 + (tree.visits[state] ?? 0));
      for (const rollout of rollouts) {
        best = Math.max(best, qValue(tree.value(state), rollout, OPTIONS) + u);
      }
    }
    expect(taken.priority).toBe(best);
    const { state, rollout } = taken;
    waiting.set(
      state,
      (waiting.get(state) ?? []).filter((one) => one !== rollout),
    );
    pool.countVisit(state);
    total++;
  }
  expect([...waiting.values()].flat()).toEqual([]);
});
