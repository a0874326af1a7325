import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type SimulatedServer,
  startSimulatedServer,
} from '../../../bench/servers/simulated-server.js';
import { systemTiming } from '../../../src/policy/openai/retry.js';
import { policyContract } from '../contract.js';
import { cats, manyProblems, request, simulatedRequests } from '../samples.js';
import { Closer, connectTo } from './harness.js';

let server: SimulatedServer;
let hanging: SimulatedServer;

beforeAll(async () => {
  server = await startSimulatedServer({ problems: [cats] });
  hanging = await startSimulatedServer({ problems: [cats], faults: { hang: 1 } });
});
afterAll(() => Promise.all([server.close(), hanging.close()]));

for (const continuation of ['prefill', 'restate', 'completions'] as const) {
  policyContract(`the openai policy with ${continuation}`, {
    open: () => connectTo(server.url, { continuation }),
    openSlow: () => connectTo(hanging.url, { continuation }),
    requests: simulatedRequests,
    deterministic: true,
  });
}

describe('the openai policy on a failing server', () => {
  it('gives the rollouts of a fault-free server when one request in five fails', async () => {
    const closer = new Closer();
    try {
      const problems = manyProblems(60);
      const well = closer.add(await startSimulatedServer({ problems }));
      const share = 0.2 / 5;
      const ill = closer.add(
        await startSimulatedServer({
          problems,
          retryAfterSeconds: 0,
          faultSeed: 3,
          faults: { error500: share, busy429: share, reset: share, cutJson: share, hang: share },
        }),
      );
      const patient = { maxRetries: 10, retryBaseMs: 2, requestTimeoutMs: 30_000 };
      // Only the hanging requests should run into the deadline.
      const hasty = { ...patient, requestTimeoutMs: 1500 };
      const policies = await Promise.all(
        [
          { url: well.url, options: patient },
          { url: ill.url, options: hasty },
        ].map(async ({ url, options }) =>
          closer.add(await connectTo(url, options, { timing: systemTiming })),
        ),
      );
      const replies = await Promise.all(
        policies.map((policy) =>
          Promise.all(
            problems.flatMap((problem) =>
              ['end' as const, 'step' as const].map(async (until) => {
                const asked = request({ problem, until });
                return (await policy.sample(asked)).rollouts.map((rollout) => rollout.steps);
              }),
            ),
          ),
        ),
      );
      expect(replies[1]).toEqual(replies[0]);
      // 120 calls at a failure rate of 0.2: each kind is missing with odds of 0.96^120, under 1 %,
      // and the server's faults are seeded, so this is the same in every run.
      expect(Object.keys(ill.stats().faults).sort()).toEqual([
        'busy429',
        'cutJson',
        'error500',
        'hang',
        'reset',
      ]);
      expect(policies[1]?.stats().retries).toBeGreaterThan(10);
      expect(policies[0]?.stats().retries).toBe(0);
    } finally {
      await closer.closeAll();
    }
  });
});
