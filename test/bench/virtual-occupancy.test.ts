import { describe, expect, it } from 'vitest';
import { createVirtualServer } from '../../bench/servers/virtual-server.js';
import { engineOccupancy, referenceOccupancy } from '../../bench/speed/virtual-occupancy.js';
import { openaiOptions } from '../../src/policy/openai/index.js';
import { defaultSimulation, request } from '../policy/samples.js';

const latencyMs = 20;

// Virtual time and seeded texts: the shares are the same in every run, on every machine.
describe('a server of 256 slots', { timeout: 120_000 }, () => {
  it('stands almost idle under the one-problem-at-a-time loop', async () => {
    const { busyShare } = await referenceOccupancy(8, latencyMs);
    // About 9 of 256 slots.
    expect(busyShare).toBeGreaterThan(0.025);
    expect(busyShare).toBeLessThan(0.05);
  });

  it('is over 90 % busy under 64 problems at once until the work runs out', async () => {
    const { maxInFlight } = openaiOptions.parse({});
    const stats = await engineOccupancy(64, maxInFlight, latencyMs);
    expect(stats.busyShareUntilDrain).toBeGreaterThan(0.99);
    expect(stats.drainStartsAt).toBeGreaterThan(0.9);
    expect(stats.busyShare).toBeGreaterThan(0.9);
  });
});

describe('the virtual server', () => {
  it('takes no time but that of its steps and of the client', async () => {
    const server = createVirtualServer({
      slots: 4,
      stepBaseMs: 10,
      stepPerSequenceMs: 0,
      policy: defaultSimulation,
      clientLatencyMs: 100,
    });
    const work = async () => {
      const first = await server.sample(request({ seeds: [1] }));
      const second = await server.sample(request({ seeds: [2] }));
      return [...first.rollouts, ...second.rollouts].map((rollout) => rollout.policyTokens);
    };
    const tokens = await server.drive(work());
    const stats = server.stats();
    // 10 ms a token, one sequence at a time, and one client's pause between the two calls.
    const expectedMs = 10 * ((tokens[0] ?? 0) + (tokens[1] ?? 0)) + 100;
    expect(stats.virtualSeconds).toBeCloseTo(expectedMs / 1000, 9);
    expect(stats).toMatchObject({ sequences: 2, tokens: (tokens[0] ?? 0) + (tokens[1] ?? 0) });
  });

  it('says so when the work waits for something that never comes', async () => {
    const server = createVirtualServer({
      slots: 1,
      stepBaseMs: 1,
      stepPerSequenceMs: 0,
      policy: defaultSimulation,
      clientLatencyMs: 0,
    });
    await expect(server.drive(new Promise(() => {}))).rejects.toThrow(/waits for something else/);
  });
});
