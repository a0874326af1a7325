import type { PolicyModel, Problem, Rollout, SamplingOptions, Step } from '../../search/types.js';

/** The shape of MM-PRM's data pipeline (arXiv 2505.13427): one problem after the other, one call
 *  of 16 rollouts at a time, each midpoint of the binary search waiting for the one before. It
 *  stands for what a server sees of that loop; labels are not its business. */
export interface ReferenceOptions {
  readonly numRollouts: number;
  readonly maxSearchCount: number;
  readonly rolloutBudget: number;
  readonly sampling: SamplingOptions;
}

export interface ReferenceResult {
  readonly problems: number;
  readonly rollouts: number;
  readonly policyTokens: number;
}

export const REFERENCE_OPTIONS: ReferenceOptions = {
  numRollouts: 16,
  maxSearchCount: 20,
  rolloutBudget: 200,
  sampling: {
    temperature: 0.7,
    topK: 30,
    topP: 0.9,
    minP: 0,
    repetitionPenalty: 1.05,
    maxTokens: 2048,
  },
};

/** Labels the problems one by one.
 *  @param policy the seeds it gets count upwards over the whole run */
export async function referenceLoop(
  problems: readonly Problem[],
  policy: PolicyModel,
  options: ReferenceOptions = REFERENCE_OPTIONS,
): Promise<ReferenceResult> {
  let rollouts = 0;
  let policyTokens = 0;
  for (const problem of problems) {
    const search = new ReferenceSearch(problem, policy, options);
    await search.run();
    rollouts += search.rollouts;
    policyTokens += search.policyTokens;
  }
  return { problems: problems.length, rollouts, policyTokens };
}

interface State {
  readonly prefix: readonly Step[];
  readonly value: number;
  visits: number;
  /** Wrong rollouts that still wait to be searched. */
  readonly wrong: (readonly Step[])[];
}

const ALPHA = 0.5;
const BETA = 0.9;
const LENGTH_SCALE = 500;
const C_PUCT = 0.125;

class ReferenceSearch {
  rollouts = 0;
  policyTokens = 0;
  private readonly states: State[] = [];

  constructor(
    private readonly problem: Problem,
    private readonly policy: PolicyModel,
    private readonly options: ReferenceOptions,
  ) {}

  async run(): Promise<void> {
    await this.estimate([]);
    for (let searches = 0; searches < this.options.maxSearchCount; searches++) {
      if (this.rollouts >= this.options.rolloutBudget) return;
      const picked = this.pick();
      if (picked === null) return;
      await this.findFirstError(picked.state, picked.rollout);
      picked.state.visits++;
    }
  }

  /** 16 rollouts; a state with a right one joins the pool. */
  private async estimate(prefix: readonly Step[]): Promise<State> {
    const { numRollouts, sampling } = this.options;
    const seeds = Array.from({ length: numRollouts }, (_, i) => this.rollouts + i);
    const request = { problem: this.problem, prefix, until: 'end' as const, seeds, sampling };
    const reply = await this.policy.sample(request);
    this.rollouts += numRollouts;
    for (const rollout of reply.rollouts) this.policyTokens += rollout.policyTokens;
    const wrong = reply.rollouts.filter((rollout) => !this.isRight(rollout));
    const state: State = {
      prefix,
      value: 1 - wrong.length / numRollouts,
      visits: 0,
      wrong: wrong.map((rollout) => rollout.steps),
    };
    if (state.value > 0) this.states.push(state);
    return state;
  }

  private async findFirstError(from: State, rollout: readonly Step[]): Promise<void> {
    let prefix = from.prefix;
    let left = 0;
    let right = rollout.length - 1;
    while (left <= right) {
      const middle = (left + right) >> 1;
      // The last step of a wrong rollout needs no rollouts to be known as wrong.
      if (left === rollout.length - 1) return;
      const next = [...prefix, ...rollout.slice(left, middle + 1)];
      const state = await this.estimate(next);
      if (state.value === 0) {
        right = middle - 1;
      } else {
        prefix = next;
        left = middle + 1;
      }
    }
  }

  /** The rollout with the greatest Q + U, every priority computed afresh. */
  private pick(): { state: State; rollout: readonly Step[] } | null {
    const visits = this.states.reduce((sum, state) => sum + state.visits, 0);
    let best: { state: State; index: number; priority: number } | null = null;
    for (const state of this.states) {
      const u = (C_PUCT * Math.sqrt(visits)) / (1 + state.visits);
      state.wrong.forEach((rollout, index) => {
        const words = rollout.join('\n').split(/\s+/).length;
        const q = ALPHA ** (1 - state.value) * BETA ** (words / LENGTH_SCALE);
        if (best === null || q + u > best.priority) best = { state, index, priority: q + u };
      });
    }
    return best === null ? null : takeOut(best);
  }

  private isRight(rollout: Rollout): boolean {
    return rollout.steps.at(-1) === `Answer: ${this.problem.answer}`;
  }
}

function takeOut(best: { state: State; index: number }): {
  state: State;
  rollout: readonly Step[];
} {
  const [rollout = []] = best.state.wrong.splice(best.index, 1);
  return { state: best.state, rollout };
}
