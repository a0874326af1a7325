import {
  type Budget,
  NO_BUDGET,
  type PolicyModel,
  type Problem,
  type ReplyStore,
  type Rollout,
  SearchContext,
  type Step,
  type Verifier,
} from '../../search/index.js';

export const PROBLEM: Problem = { id: 'p', question: 'q', images: [], answer: '42' };

export function memoryStore(): ReplyStore & { entries: Map<string, unknown> } {
  const entries = new Map<string, unknown>();
  return {
    entries,
    get: (key) => entries.get(key),
    put: async (key, value) => {
      entries.set(key, structuredClone(value));
    },
  };
}

/** A policy of a few lines: what it answers is a function of prefix, seed and place in the call. */
export function fakePolicy(
  answer: (prefix: readonly Step[], index: number, seed: number) => readonly Step[] | Rollout,
): PolicyModel & { calls: { prefix: readonly Step[]; n: number }[] } {
  const calls: { prefix: readonly Step[]; n: number }[] = [];
  return {
    name: 'fake',
    calls,
    async sample({ prefix, seeds }) {
      calls.push({ prefix, n: seeds.length });
      const rollouts = seeds.map((seed, index): Rollout => {
        const made = answer(prefix, index, seed);
        if ('finish' in made) return made;
        return { steps: made, finish: 'end', policyTokens: made.length };
      });
      return { rollouts, promptTokens: 10, cachedTokens: 0 };
    },
  };
}

/** Right if the last step is `Answer: <gold>`. */
export const lastStepVerifier: Verifier = {
  verify: async (problem, solutions) =>
    solutions.map((steps) => ({
      verdict: steps.at(-1) === `Answer: ${problem.answer}` ? 'equal' : 'different',
    })),
};

export function fakeContext(
  policy: PolicyModel,
  options: {
    problem?: Problem;
    seed?: number;
    store?: ReplyStore;
    budget?: Partial<Budget>;
    verifier?: Verifier;
    now?: () => number;
  } = {},
): SearchContext {
  return new SearchContext({
    problem: options.problem ?? PROBLEM,
    seed: options.seed ?? 1,
    policy,
    sampling: {
      temperature: 1,
      topK: 0,
      topP: 1,
      minP: 0,
      repetitionPenalty: 1,
      maxTokens: 100,
    },
    verifier: options.verifier ?? lastStepVerifier,
    store: options.store ?? memoryStore(),
    budget: { ...NO_BUDGET, ...options.budget },
    now: options.now ?? (() => 0),
  });
}
