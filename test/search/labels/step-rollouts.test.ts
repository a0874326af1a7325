import { describe, expect, it } from 'vitest';
import {
  consensus,
  consensusOptions,
  estimateOptions,
  pathOptions,
  ROOT,
  type SearchContext,
  type Step,
  stepRollouts,
  stepRolloutsOptions,
  trainingPaths,
} from '../../../search/index.js';
import { mergeSteps } from '../../../search/labels/step-rollouts.js';
import { fakeContext, fakePolicy, PROBLEM } from '../../support/fakes.js';

const RIGHT = ['a', 'b', 'Answer: 42'];
const WRONG = ['a', 'x', 'Answer: 41'];

/** Two solutions, one right and one wrong; from `a` half of the rollouts are right, from `a b`
 *  all, from `a x` none. */
function policy() {
  return fakePolicy((prefix, index) => {
    if (prefix.length === 0) return index % 2 === 0 ? RIGHT : WRONG;
    if (prefix.at(-1) === 'x') return ['Answer: 41'];
    if (prefix.at(-1) === 'b') return ['Answer: 42'];
    return index % 2 === 0 ? RIGHT.slice(1) : WRONG.slice(1);
  });
}

function options(more: Record<string, unknown> = {}) {
  const {
    numRollouts = 4,
    adaptive,
    adaptiveRule,
    adaptiveStep,
    intervalWidth,
    label,
    ...own
  } = more;
  const given = { numRollouts, adaptive, adaptiveRule, adaptiveStep, intervalWidth, label };
  return {
    ...estimateOptions.parse(given),
    ...stepRolloutsOptions.parse({ numSolutions: 4, ...own }),
    ...consensusOptions.parse({}),
  };
}

const PATHS = {
  ...pathOptions.parse({}),
  label: 'soft',
  labelThreshold: 0,
  consensusRule: 'and',
} as const;

async function labelled(more: Record<string, unknown> = {}, used = policy()) {
  const context = fakeContext(used);
  const result = await stepRollouts(PROBLEM, context, options(more));
  return { result, context, used, paths: trainingPaths(result, PATHS, 's') };
}

describe('stepRollouts', () => {
  it('labels every step of every distinct solution by its own rollouts', async () => {
    const { result, paths, used } = await labelled();
    expect(result.tree.value(ROOT)).toBe(0.5);
    expect(paths.map(({ segments, labels }) => [segments.flat(), labels])).toEqual([
      [RIGHT, [0.5, 1, 1]],
      [WRONG, [0.5, 0, 0]],
    ]);
    // The shared prefix `a` is sampled once; a finished solution is not sampled at all.
    expect(used.calls.map((call) => call.prefix)).toEqual([[], ['a'], ['a', 'b'], ['a', 'x']]);
  });

  it('says how sure each label is: rollouts and interval, certain for a finished solution', async () => {
    const { paths } = await labelled();
    expect(paths[0]?.visits).toEqual([4, 4, 1]);
    const [half, all, certain] = paths[0]?.intervals ?? [];
    expect(half?.[0]).toBeLessThan(0.5);
    expect(all?.[1]).toBe(1);
    expect(certain).toEqual([1, 1]);
  });

  it('after a zero gives the later steps zero without sampling, if told to stop early', async () => {
    const long = fakePolicy((prefix) => {
      if (prefix.length === 0) return ['x', 'y', 'z', 'Answer: 41'];
      return ['Answer: 41'];
    });
    const full = await labelled({}, long);
    expect(full.used.calls).toHaveLength(4);
    const stopping = fakePolicy((prefix) =>
      prefix.length === 0 ? ['x', 'y', 'z', 'Answer: 41'] : ['Answer: 41'],
    );
    const early = await labelled({ earlyStop: true }, stopping);
    expect(early.used.calls.map((call) => call.prefix)).toEqual([[], ['x']]);
    expect(early.paths[0]?.labels).toEqual([0, 0, 0, 0]);
    expect(early.paths[0]?.visits).toEqual([4, 0, 0, 1]);
  });

  it('merges runs of steps so that no solution has more than maxSteps', () => {
    const steps = ['1', '2', '3', '4', '5', '6', '7'];
    expect(mergeSteps(steps, 3)).toEqual([['1', '2', '3'], ['4', '5', '6'], ['7']]);
    expect(mergeSteps(steps, 0)).toHaveLength(7);
  });

  it('samples an adaptive state only until its interval is narrow enough', async () => {
    const sure = fakePolicy((prefix) => (prefix.length === 0 ? RIGHT : ['Answer: 42']));
    const { used, paths } = await labelled(
      { numRollouts: 64, adaptive: true, intervalWidth: 0.35 },
      sure,
    );
    // 4 of 4 right gives [0.555, 1], too wide; 8 of 8 gives [0.738, 1], 0.262 wide.
    expect(paths[0]?.visits).toEqual([8, 8, 1]);
    expect(used.calls.filter((call) => call.prefix.length === 1)).toHaveLength(2);
  });

  it('draws as many rollouts a round of an adaptive state as adaptiveStep says', async () => {
    const sure = fakePolicy((prefix) => (prefix.length === 0 ? RIGHT : ['Answer: 42']));
    const { used } = await labelled(
      { numRollouts: 64, adaptive: true, adaptiveStep: 3, intervalWidth: 0.35 },
      sure,
    );
    // 3 of 3 right is 0.463 wide, 6 of 6 is 0.330.
    const rounds = used.calls.filter((call) => call.prefix.length === 1).map((call) => call.n);
    expect(rounds).toEqual([3, 3]);
  });

  it('stops an adaptive state whose hard label can not change any more', async () => {
    // Threshold 0: one right rollout decides it.
    const lucky = fakePolicy((prefix, index) => {
      if (prefix.length === 0) return WRONG;
      return index === 0 ? ['Answer: 42'] : ['Answer: 41'];
    });
    const { paths } = await labelled(
      { numRollouts: 64, adaptive: true, intervalWidth: 0, label: 'hard' },
      lucky,
    );
    expect(paths[0]?.visits).toEqual([4, 4, 1]);
  });

  it('spends rollouts by their gain: sqrt(4p(1-p)) of numRollouts on a state of value p', async () => {
    // Right with chance 1/2 after a, 1/10 after b: in the long run 1 and 0.6 of 200 rollouts.
    const even = fakePolicy((prefix, index) => {
      if (prefix.length === 0) return RIGHT;
      const every = prefix.at(-1) === 'b' ? 10 : 2;
      return index % every === 0 ? ['Answer: 42'] : ['Answer: 41'];
    });
    const { paths } = await labelled(
      { numRollouts: 200, adaptive: true, adaptiveRule: 'gain', adaptiveStep: 10 },
      even,
    );
    const [a = 0, b = 0] = paths[0]?.visits ?? [];
    expect(a).toBe(200);
    expect(b).toBeGreaterThanOrEqual(110);
    expect(b).toBeLessThanOrEqual(130);
  });

  it('counts solutions and earlier rollouts for the later prefixes that they pass through', async () => {
    const { result, paths, used } = await labelled({ shareRollouts: true });
    // a: 4 solutions pass, 2 of them right, and 4 rollouts of its own, 2 right.
    // a b: the 2 right solutions and 2 rollouts of a pass, all right, and 4 of its own; a x likewise.
    expect(paths.map(({ labels, visits }) => [labels, visits])).toEqual([
      [
        [0.5, 1, 1],
        [8, 8, 1],
      ],
      [
        [0.5, 0, 0],
        [8, 8, 1],
      ],
    ]);
    expect(result.tree.value(ROOT)).toBe(0.5);
    expect(used.calls.map(({ n }) => n)).toEqual([4, 4, 4, 4]);
  });

  it('draws nothing for a state of which passing rollouts tell enough', async () => {
    const { used, paths } = await labelled({
      shareRollouts: true,
      adaptive: true,
      intervalWidth: 0.5,
    });
    // [0.555, 1] for 4 of 4 is narrow enough; a has 4 of 8 right, 0.6 wide at 4 and 0.51 at 8.
    expect(used.calls.map(({ prefix }) => prefix)).toEqual([[], ['a']]);
    expect(paths.map(({ visits }) => visits)).toEqual([
      [8, 4, 1],
      [8, 4, 1],
    ]);
  });

  it("pulls a soft label towards its parent's value, and leaves the counts as they are", async () => {
    const { result } = await labelled({ priorStrength: 2 });
    const pulled = trainingPaths(result, { ...PATHS, priorStrength: 2 }, 's');
    // Root 2 of 4: (2 + 0.5) / 5 = 0.5. a 2 of 4: (2 + 1) / 6 = 0.5.
    // a b 4 of 4: (4 + 1) / 6; a x 0 of 4: (0 + 1) / 6. A finished solution keeps its verdict.
    const labels = pulled.map((path) => path.labels.map((label) => Math.round(label * 1e6) / 1e6));
    expect(labels).toEqual([
      [0.5, 0.833333, 1],
      [0.5, 0.166667, 0],
    ]);
    const hard = trainingPaths(result, { ...PATHS, label: 'hard', priorStrength: 2 }, 's');
    expect(hard.map((path) => path.labels)).toEqual([
      [1, 1, 1],
      [1, 0, 0],
    ]);
  });

  it("stops sooner where the parent's value tells what to expect", async () => {
    const failing = () =>
      fakePolicy((prefix) =>
        prefix.length === 0 ? ['x', 'y', 'z', 'Answer: 41'] : ['Answer: 41'],
      );
    const gain = { numRollouts: 24, adaptive: true, adaptiveRule: 'gain', adaptiveStep: 1 };
    const alone = await labelled(gain, failing());
    const informed = await labelled({ ...gain, priorStrength: 1 }, failing());
    const drawn = ({ used }: typeof alone) =>
      used.calls.slice(1).map(({ prefix }) => prefix.length);
    const perState = (lengths: readonly number[]) =>
      [1, 2, 3].map((depth) => lengths.filter((length) => length === depth).length);
    const [first = 0, second = 0, third = 0] = perState(drawn(informed));
    // Mean m = 0.5 / (n + 1) after n failures; m (1 - m) / (n + 2)^2 falls below 0.25 / 26^2 at n = 10.
    expect(perState(drawn(alone))).toEqual([10, 10, 10]);
    expect(first).toBeLessThan(10);
    expect(second).toBeLessThan(first);
    expect(third).toBeLessThanOrEqual(second);
  });

  it('keeps a prefix without a label out of the paths and says so', async () => {
    const mute = fakePolicy((prefix) => (prefix.at(-1) === 'b' ? [] : policyAnswer(prefix)));
    const { paths, context } = await labelled({}, mute);
    expect(paths.map((path) => path.segments.flat())).toContainEqual(['a']);
    expect(context.warnings.join()).toMatch(/2 steps has no label/);
  });

  it('warns in the order of the prefixes, whichever reply comes first', async () => {
    const warningsWith = async (slow: number) => {
      const mute = fakePolicy((prefix) => (prefix.length === 0 ? RIGHT : []));
      const late = {
        ...mute,
        sample: async (request: Parameters<typeof mute.sample>[0]) => {
          const reply = await mute.sample(request);
          for (let i = 0; i < 20 && request.prefix.length === slow; i++) await Promise.resolve();
          return reply;
        },
      };
      return (await labelled({}, late)).context.warnings;
    };
    const warnings = await warningsWith(1);
    expect(warnings.map((text) => /of (\d) steps/.exec(text)?.[1])).toEqual(['1', '2']);
    expect(await warningsWith(2)).toEqual(warnings);
  });

  it('looks at its budget after every depth, and labels no further than it lasts', async () => {
    const steps = ['1', '2', '3', '4', '5', 'Answer: 42'];
    const long = () => fakePolicy((prefix) => steps.slice(prefix.length));
    const solve = async (budget: { maxTotalRollouts?: number }) => {
      const context = fakeContext(long(), { budget });
      const result = await stepRollouts(PROBLEM, context, options({ numSolutions: 1 }));
      return { result, context, labels: trainingPaths(result, PATHS, 's')[0]?.labels };
    };
    // 1 solution and 4 rollouts a depth: 9 after the second one.
    const { result, context, labels } = await solve({ maxTotalRollouts: 8 });
    expect(context.usage.rollouts).toBe(9);
    expect(result.stopped).toBe('maxTotalRollouts');
    expect(labels).toEqual([1, 1]);
    // A budget that is not reached changes nothing.
    const free = await solve({});
    expect((await solve({ maxTotalRollouts: 1000 })).labels).toEqual(free.labels);
  });

  it('fails a problem none of whose solutions can be graded', async () => {
    await expect(
      labelled(
        {},
        fakePolicy(() => []),
      ),
    ).rejects.toMatchObject({
      code: 'LABEL_ALL_UNGRADED',
    });
  });
});

function policyAnswer(prefix: readonly Step[]): readonly Step[] {
  return prefix.length === 0 ? RIGHT : RIGHT.slice(prefix.length);
}

describe('consensus', () => {
  const judged = async (firstError: number | null, rule: 'and' | 'agree' = 'and') => {
    const context: SearchContext = fakeContext(policy());
    context.critique = async (steps) => ({
      firstError: steps.at(-1) === 'Answer: 42' ? firstError : 1,
      kinds: ['perception', 'reasoning', 'reasoning'],
    });
    const result = await consensus(PROBLEM, context, options());
    return trainingPaths(result, { ...PATHS, consensusRule: rule }, 's');
  };

  it('sets a step to 0 from the judged first error on, whatever its rollouts say', async () => {
    const [right] = await judged(1);
    expect(right?.labels).toEqual([0.5, 0, 0]);
    expect(right?.kinds).toEqual(['perception', 'reasoning', 'reasoning']);
  });

  it('drops a solution where judge and rollouts differ about the first error, if asked to', async () => {
    const paths = await judged(0, 'agree');
    expect(paths.map((path) => path.segments.flat())).toEqual([WRONG]);
    expect((await judged(null, 'agree')).map((path) => path.segments.flat())).toEqual([
      RIGHT,
      WRONG,
    ]);
  });
});
