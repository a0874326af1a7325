import { describe, expect, it } from 'vitest';
import { STRATEGIES, type Step } from '../../../search/index.js';
import { mctsOptions } from '../../../search/strategies/mcts.js';
import { PuctTree } from '../../../search/strategies/puct-tree.js';
import { fakeContext, fakeScorer, PROBLEM, treePolicy } from '../../support/fakes.js';

const rules = (options: object = {}) => mctsOptions.parse(options);

const child = (step: Step, score: number, finish: 'step' | 'end' = 'step') => {
  return { steps: [step], finish, policyTokens: 1, score };
};

/** A root with two children of value 0.8 and 0.4. */
function twoChildren(options: object = {}) {
  const tree = new PuctTree(rules({ width: 2, maxChildren: 2, ...options }));
  tree.begin(0);
  tree.settle(0, [child('a', 0.8), child('b', 0.4)]);
  const [a = 0, b = 0] = tree.children(0);
  return { tree, a, b };
}

describe('PuctTree', () => {
  it('gives siblings priors by the softmax of their values', () => {
    const { tree, a, b } = twoChildren({ priorTemperature: 0.5 });
    // e^0.8 against 1: 0.690 and 0.310
    expect(tree.priorOf(a)).toBeCloseTo(0.68997, 5);
    expect(tree.priorOf(b)).toBeCloseTo(0.31003, 5);
  });

  it('backs up the best new value and selects by Q + U', () => {
    const { tree, a, b } = twoChildren({ cPuct: 1 });
    expect([0, a, b].map((node) => tree.visitCount(node))).toEqual([1, 1, 0]);
    expect(tree.qValue(0)).toBeCloseTo(0.8, 12);
    // N = 1, ln((1 + 19653) / 19652) is 0.0001. a: 0.8 + 0.690 / 2 = 1.145; b: 0.4 + 0.310 = 0.710.
    expect(tree.selectLeaf()).toBe(a);
    for (let i = 0; i < 3; i++) tree.backup(a, 0);
    // N = 4. a: 0.8 / 4 + 2 * 0.690 / 5 = 0.476; b: 0.4 + 2 * 0.310 = 1.020.
    expect(tree.selectLeaf()).toBe(b);
  });

  it('lets the exploration factor grow with the visits of the parent', () => {
    // With cBase 1: cPuct + ln(N + 2), so 1.099 in place of 0 at N = 1.
    const still = twoChildren({ cPuct: 0, cBase: 1e9 });
    const growing = twoChildren({ cPuct: 0, cBase: 1 });
    for (const { tree, a } of [still, growing]) for (let i = 0; i < 8; i++) tree.backup(a, 0.8);
    expect(still.tree.selectLeaf()).toBe(still.a);
    // a: 0.8 + 3 * ln 11 * 0.690 / 10 = 1.296; b: 0.4 + 3 * 2.398 * 0.310 = 2.630.
    expect(growing.tree.selectLeaf()).toBe(growing.b);
  });

  it('keeps the simulations of a batch apart, and forgets the virtual loss afterwards', () => {
    const { tree, a, b } = twoChildren({ cPuct: 0 });
    tree.begin(a);
    // One visit of 0.8 and one in flight: 0.4, as much as b; then b is ahead of a's 0.8 / 2.
    expect(tree.qValue(a)).toBeCloseTo(0.4, 12);
    tree.begin(b);
    expect(tree.inFlightCount(0)).toBe(2);
    expect(tree.selectLeaf()).toBeNull();
    tree.settle(
      a,
      [child('a1', 0.5)].map((made) => ({ ...made, steps: ['a', 'a1'] })),
    );
    tree.settle(
      b,
      [child('b1', 0.1)].map((made) => ({ ...made, steps: ['b', 'b1'] })),
    );
    expect([0, a, b].map((node) => tree.inFlightCount(node))).toEqual([0, 0, 0]);
    expect(tree.qValue(a)).toBeCloseTo((0.8 + 0.5) / 2, 12);
  });

  it('tells its states with what selection adds up', () => {
    const { tree, a } = twoChildren({ cPuct: 1, cBase: 1e9 });
    for (let i = 0; i < 3; i++) tree.backup(a, 0);
    const [root, first, second] = tree.states();
    expect(root).toMatchObject({ parent: -1, steps: [], score: null, visits: 4, u: null });
    // N = 4. a: 0.8 / 4, U = 2 * 0.690 / 5 = 0.276; b: 0.4 unvisited, U = 2 * 0.310 = 0.620.
    expect(first).toMatchObject({ parent: 0, steps: ['a'], score: 0.8, visits: 4, isEnd: false });
    expect(first?.q).toBeCloseTo(0.2, 12);
    expect(first?.u).toBeCloseTo(0.27599, 5);
    expect([second?.q, second?.prior, second?.u]).toEqual([
      0.4,
      expect.closeTo(0.31003, 5),
      expect.closeTo(0.62005, 5),
    ]);
  });

  it('backs up the mean or the maximum', () => {
    for (const [backup, value] of [
      ['mean', 0.4],
      ['max', 0.8],
    ] as const) {
      const { tree, a } = twoChildren({ backup });
      tree.backup(a, 0);
      expect(tree.qValue(a)).toBeCloseTo(value, 12);
    }
  });

  it('widens a state with its visits, up to its most children', () => {
    const tree = new PuctTree(
      rules({ width: 1, maxChildren: 3, wideningScale: 1, wideningExponent: 0.5 }),
    );
    tree.begin(0);
    tree.settle(0, [child('a', 0.5, 'end')]);
    const widenedAt: number[] = [];
    for (let visits = 1; visits < 20; visits++) {
      const leaf = tree.selectLeaf();
      if (leaf === 0) {
        expect(tree.wantedChildren(0)).toBe(1);
        widenedAt.push(tree.visitCount(0));
        tree.begin(0);
        tree.settle(0, [child(`w${visits}`, 0.5, 'end')]);
      } else tree.backup(leaf ?? 0, 0.5);
    }
    // A second child from 2^2 visits on, a third from 3^2, no fourth at 4^2.
    expect(widenedAt).toEqual([4, 9]);
  });

  it('buries what leads nowhere, up to the root', () => {
    const { tree, a, b } = twoChildren();
    for (const node of [a, b]) {
      tree.begin(node);
      tree.settle(node, []);
    }
    expect(tree.selectLeaf()).toBeNull();
  });

  it('puts a path together again after its arrays have grown', () => {
    const tree = new PuctTree(rules({ maxChildren: 1 }));
    const steps: Step[] = [];
    let at = 0;
    for (let i = 0; i < 300; i++) {
      steps.push(`s${i}`);
      tree.begin(at);
      tree.settle(at, [{ steps: [...steps], finish: 'step', policyTokens: i, score: 0.5 }]);
      at = tree.children(at)[0] ?? 0;
    }
    expect(tree.path(at)).toEqual({ steps, finish: 'step', policyTokens: 299 });
    expect(tree.visitCount(0)).toBe(300);
  });
});

/** Three levels of three ways; only `x0 x1 x2` is good, and each good step shows it. */
const ways = (prefix: readonly Step[]) =>
  prefix.length < 3
    ? ['o', 'x', 'p'].map((way) => `${way}${prefix.length}`)
    : [`Answer: ${prefix.join('')}`];
const hints = () =>
  fakeScorer((step, before) => {
    if (step.startsWith('Answer')) return step === 'Answer: x0x1x2' ? 1 : 0.1;
    return 0.2 + 0.2 * [...before, step].filter((s) => s.startsWith('x')).length;
  });

async function search(options: Record<string, unknown>, scorer = hints()) {
  const policy = treePolicy(ways);
  const context = fakeContext(policy, { scorer });
  const result = await STRATEGIES.mcts.solve(PROBLEM, context, { width: 3, ...options });
  return { result, policy, scorer };
}

describe('mcts', () => {
  it('follows the reward model straight to the best solution', async () => {
    const { result, policy } = await search({ n: 1 });
    expect(policy.calls.map(({ prefix }) => prefix.join(' '))).toEqual([
      '',
      'x0',
      'x0 x1',
      'x0 x1 x2',
    ]);
    expect(result).toMatchObject({ answer: 'x0x1x2', details: { simulations: 1 } });
    // Three samples at each of the four states.
    expect(result.usage.rollouts).toBe(12);
    const stepwise = await search({ n: 1, simulation: 'step' });
    expect(stepwise.result).toMatchObject({ answer: 'x0x1x2', details: { simulations: 4 } });
  });

  it('has a solution after each simulation, or only by and by', async () => {
    // The hint is wrong here: every first step looks good, every later one bad.
    const fickle = () => fakeScorer((_, before) => (before.length === 0 ? 0.9 : 0.1));
    const few = { n: 100, simulations: 4 };
    const solutions = await search(few, fickle());
    expect(solutions.result.candidates.length).toBeGreaterThanOrEqual(4);
    const steps = await search({ ...few, simulation: 'step' }, fickle());
    expect(steps.result.candidates.filter(({ answer }) => answer !== null)).toEqual([]);
  });

  it("backs a solution's own score up its whole path", () => {
    const tree = new PuctTree(rules({ width: 1 }));
    tree.begin(0);
    const a = tree.settle(0, [child('a', 0.9)], true) ?? 0;
    expect(tree.visitCount(0)).toBe(0);
    tree.begin(a);
    expect(tree.inFlightCount(0)).toBe(1);
    const end = { ...child('Answer: 1', 0.3, 'end'), steps: ['a', 'Answer: 1'] };
    expect(tree.settle(a, [end], true)).toBeNull();
    expect([tree.visitCount(0), tree.inFlightCount(0)]).toEqual([1, 0]);
    expect([tree.qValue(0), tree.qValue(a)]).toEqual([0.3, 0.3]);
  });

  it('explores beside it the more, the greater cPuct is', async () => {
    const shy = await search({ n: 4, simulations: 60, cPuct: 0 });
    const bold = await search({ n: 4, simulations: 60, cPuct: 5 });
    expect(bold.result.usage.rollouts).toBeGreaterThan(shy.result.usage.rollouts);
  });

  it('expands the leaves of a batch side by side', async () => {
    const { scorer: one } = await search({ n: 5, leafBatch: 1 });
    const { scorer: three } = await search({ n: 5, leafBatch: 3 });
    const most = (asked: (readonly Step[])[][]) => Math.max(...asked.map((call) => call.length));
    expect(most(one.asked)).toBe(3);
    expect(most(three.asked)).toBe(9);
  });

  it('stops at n solutions, at its simulations, or when nothing better turns up', async () => {
    expect((await search({ n: 1 })).result.stopped).toBe('done');
    const short = await search({ n: 100, simulations: 5 });
    expect(short.result).toMatchObject({ stopped: 'simulations', details: { simulations: 5 } });
    const patient = await search({ n: 100, simulations: 5000, patience: 20 });
    expect(patient.result.stopped).toBe('converged');
    expect(patient.result.answer).toBe('x0x1x2');
    const endless = await search({ n: 100, simulations: 500, patience: 0 });
    expect(endless.result.stopped).toBe('simulations');
  });

  it('never holds more than n solutions, though siblings end together', async () => {
    const policy = treePolicy(() => ['Answer: 1', 'Answer: 2', 'Answer: 3', 'Answer: 4']);
    const context = fakeContext(policy, { scorer: fakeScorer(() => 0.5) });
    const result = await STRATEGIES.mcts.solve(PROBLEM, context, { n: 2, width: 4 });
    expect(result.candidates.map(({ answer }) => answer)).toEqual(['1', '2']);
    expect(result.usage.rollouts).toBe(4);
  });

  it('asks nothing more of a finite tree that it knows, however many simulations', async () => {
    const { result, policy } = await search({
      n: 1000,
      simulations: 20_000,
      patience: 0,
      maxChildren: 3,
    });
    // 13 states with three ways; the 27 before the answers have one, and are asked for a second
    // and third once more before they are given up.
    const asked = policy.calls.reduce((sum, { n }) => sum + n, 0);
    expect(asked).toBeLessThanOrEqual(13 * 3 + 27 * (3 + 2));
    expect(result.details).toEqual({ simulations: 20_000, states: 1 + 3 + 9 + 27 + 27 });
    expect(result.candidates).toHaveLength(27);
  });
});
