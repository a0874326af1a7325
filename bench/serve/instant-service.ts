/** A service over a policy that answers at once: what is left is the service itself. Prints its URL;
 *  ends on SIGTERM. */
import { NO_BUDGET, type PolicyModel } from '../../search/index.js';
import { samplingOptions } from '../../src/config/options.js';
import { ScheduledPolicy } from '../../src/runtime/scheduler.js';
import { createService } from '../../src/server/app.js';
import { KeyRing } from '../../src/server/keys.js';
import { serverOptions } from '../../src/server/options.js';
import { createAnswerGrouper } from '../../src/verify/index.js';

const STEPS = ['left=16, right=15.', 'base=11.', '15+16=31.', '31+11=42.', 'Answer: 42'];

export const instantPolicy: PolicyModel = {
  name: 'instant',
  sample: async ({ seeds }) => ({
    rollouts: seeds.map(() => ({ steps: STEPS, finish: 'end' as const, policyTokens: 46 })),
    promptTokens: 90,
    cachedTokens: 0,
  }),
};

export async function startInstantService(server: Record<string, unknown> = {}) {
  const grouper = createAnswerGrouper();
  const running = await createService({
    models: {
      host: {
        name: 'instant',
        takesTurns: true,
        stats: async () => ({}),
        describe: () => ({}),
      },
      policy: new ScheduledPolicy(instantPolicy, 1000),
      grouper,
    },
    settings: {
      server: serverOptions.parse({ port: 0, drainSeconds: 0, ...server }),
      sampling: samplingOptions.parse({}),
      budget: NO_BUDGET,
      seed: 0,
    },
    version: 'bench',
    keys: new KeyRing('', () => {}),
    jobs: null,
  });
  const url = await running.app.listen({ host: '127.0.0.1', port: 0 });
  return {
    url,
    close: async () => {
      await running.drain();
      await grouper.close();
    },
  };
}

if (process.argv[1] === import.meta.filename) {
  const { url, close } = await startInstantService();
  process.stdout.write(`${url}\n`);
  process.once('SIGTERM', () => void close());
}
