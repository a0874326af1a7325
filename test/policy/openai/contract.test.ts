import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type SimulatedServer,
  startSimulatedServer,
} from '../../../bench/servers/simulated-server.js';
import { policyContract } from '../contract.js';
import { cats, manyProblems, request, simulatedRequests } from '../samples.js';
import { Closer, connectTo, fakeTiming } from './harness.js';

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
      // Calls go one by one, so a hanging request can let its deadline pass without a wait.
      const timing = fakeTiming();
      const ill = closer.add(
        await startSimulatedServer({
          problems,
          faultSeed: 3,
          faults: { error500: share, busy429: share, reset: share, cutJson: share, hang: share },
          onHang: () => timing.passDeadlines(),
        }),
      );
      const fine = closer.add(await connectTo(well.url));
      const retrying = closer.add(await connectTo(ill.url, { maxRetries: 20 }, { timing }));
      for (const problem of problems) {
        for (const until of ['end', 'step'] as const) {
          const asked = request({ problem, until });
          expect(await retrying.sample(asked)).toMatchObject({
            rollouts: (await fine.sample(asked)).rollouts,
          });
        }
      }
      // 120 calls at a failure rate of 0.2: each kind is missing with odds of 0.96^120, under 1 %,
      // and the server's faults are seeded, so this is the same in every run.
      expect(Object.keys(ill.stats().faults).sort()).toEqual([
        'busy429',
        'cutJson',
        'error500',
        'hang',
        'reset',
      ]);
      expect(retrying.stats().retries).toBeGreaterThan(10);
      expect(fine.stats().retries).toBe(0);
    } finally {
      await closer.closeAll();
    }
  });
});
