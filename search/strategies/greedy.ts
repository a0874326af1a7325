import { z } from 'zod';
import { sampledDraft } from './pool.js';
import { conclude, type Strategy } from './result.js';

export const greedyOptions = z.strictObject({});

/** One solution at temperature 0: the policy alone, what every other strategy has to beat. */
export const greedy: Strategy<z.infer<typeof greedyOptions>> = async (_problem, context) => {
  const wish = { n: 1, until: 'end', purpose: 'greedy', temperature: 0 } as const;
  const rollouts = await context.sample([], wish);
  return conclude(context, {
    strategy: 'greedy',
    drafts: rollouts.map(sampledDraft),
    selection: 'vanilla',
    scoring: null,
    stopped: 'done',
  });
};
