import {
  type AnswerGrouper,
  type Budget,
  type Critic,
  type Critique,
  NO_BUDGET,
  type PolicyModel,
  type Problem,
  type ReplyStore,
  type Rollout,
  SearchContext,
  type Step,
  type StepScorer,
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

/** Samples of a tree of steps: the i-th sample of a prefix takes its i-th next step, around and
 *  around; a rollout to the end goes on with choices by its seed. `Answer: …` ends a solution. */
export function treePolicy(
  next: (prefix: readonly Step[]) => readonly Step[],
): PolicyModel & { calls: { prefix: readonly Step[]; n: number; until: string }[] } {
  const calls: { prefix: readonly Step[]; n: number; until: string }[] = [];
  const drawn = new Map<string, number>();
  return {
    name: 'tree',
    calls,
    async sample({ prefix, seeds, until }) {
      calls.push({ prefix, n: seeds.length, until });
      const rollouts = seeds.map((seed): Rollout => {
        const place = [until, ...prefix].join('|');
        const first = drawn.get(place) ?? 0;
        drawn.set(place, first + 1);
        const steps: Step[] = [];
        for (let pick = first; ; pick = (seed >>> steps.length) % 97) {
          const ways = next([...prefix, ...steps]);
          const step = ways[pick % ways.length];
          if (step === undefined) return { steps, finish: 'end', policyTokens: steps.length };
          steps.push(step);
          const ends = step.startsWith('Answer:');
          if (ends || until === 'step') {
            return { steps, finish: ends ? 'end' : 'step', policyTokens: steps.length };
          }
        }
      });
      return { rollouts, promptTokens: 0, cachedTokens: 0 };
    },
  };
}

/** A reward model of one line: the score of a step given the steps before it. */
export function fakeScorer(
  scoreOf: (step: Step, before: readonly Step[]) => number,
): StepScorer & { asked: (readonly Step[])[][] } {
  const asked: (readonly Step[])[][] = [];
  return {
    name: 'fake',
    asked,
    async score({ paths }) {
      asked.push([...paths]);
      return {
        paths: paths.map((steps) => {
          return { steps: steps.map((step, i) => scoreOf(step, steps.slice(0, i))) };
        }),
        prmTokens: 10 * paths.length,
      };
    },
  };
}

export function fakeCritic(
  judge: (steps: readonly Step[]) => Critique,
): Critic & { asked: (readonly Step[])[] } {
  const asked: (readonly Step[])[] = [];
  return {
    name: 'fake',
    asked,
    async critique(_problem, steps) {
      asked.push(steps);
      return judge(steps);
    },
  };
}

/** Groups by what stands behind `Answer: ` in the last step. */
export const lastStepGrouper: AnswerGrouper = {
  async group(_problem, solutions) {
    const answers = solutions.map((steps) => /^Answer: (.*)/.exec(steps.at(-1) ?? '')?.[1] ?? null);
    const names = [...new Set(answers.filter((answer) => answer !== null))];
    return { answers, groups: answers.map((answer) => names.indexOf(answer ?? '')) };
  },
};

export function fakeContext(
  policy: PolicyModel,
  options: {
    problem?: Problem;
    seed?: number;
    /** null for none; a fresh one in memory by default. */
    store?: ReplyStore | null;
    budget?: Partial<Budget>;
    verifier?: Verifier;
    now?: () => number;
    scorer?: StepScorer;
    critic?: Critic;
    grouper?: AnswerGrouper;
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
    grouper: options.grouper ?? lastStepGrouper,
    ...(options.scorer ? { scorer: options.scorer } : {}),
    ...(options.critic ? { critic: options.critic } : {}),
    ...(options.store === null ? {} : { store: options.store ?? memoryStore() }),
    budget: { ...NO_BUDGET, ...options.budget },
    now: options.now ?? (() => 0),
  });
}
