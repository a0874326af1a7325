import { expect, it } from 'vitest';
import { Fleet } from '../../src/queue/fleet.js';
import type { HandedOut } from '../../src/queue/hand-out.js';
import type { WorkerFacts } from '../../src/queue/registry.js';

const facts = (name: string, more: Partial<WorkerFacts> = {}): WorkerFacts => ({
  ...{ id: `${name}#1`, name, version: '1.2.3', concurrency: 4, active: 2 },
  ...{ inFlight: 16, maxInFlight: 32, waiting: 3, rolloutsPerSecond: 9, live: {} },
  ...more,
});

const entries = (...jobs: [string, HandedOut['state']][]) =>
  new Map(jobs.map(([jobId, state]) => [jobId, { jobId, state } as HandedOut]));

it('tells of workers that come, stop and get lost, once each', () => {
  const log: string[] = [];
  const fleet = new Fleet('1.2.3', (line) => log.push(line));
  fleet.update([facts('left'), facts('right', { concurrency: 1 })]);
  fleet.update([facts('left'), facts('right', { concurrency: 0 })]);
  // One look without it is nothing.
  fleet.update([facts('left')]);
  expect(fleet.workers()).toHaveLength(2);
  fleet.update([]);
  fleet.update([]);
  expect(log).toEqual([
    'worker left is here: 4 problems at once',
    'worker right is here: 1 problem at once',
    'worker right has left',
    'worker left is gone, others take over its 2 problems',
  ]);
  fleet.update([facts('old', { version: '0.0.1' })]);
  expect(log.at(-1)).toBe(`worker old is Steptree 0.0.1, this run 1.2.3: it can't help`);
});

it('counts what is spent on a problem once, whoever tells of it and until its result is here', () => {
  const fleet = new Fleet('1.2.3', () => {});
  const spent = (rollouts: number) => ({ rollouts, tokens: 10 * rollouts });
  fleet.update([
    // b has changed hands: the second worker began with the 8 rollouts of the first.
    facts('first', { live: { a: spent(5), b: spent(8), other: spent(100) } }),
    facts('second', { live: { b: spent(12), c: spent(7) } }),
  ]);
  const snapshot = fleet.snapshot(entries(['a', 'handed'], ['b', 'handed'], ['c', 'collected']));
  // 5 + 12; c is counted by its result, the other run's by that run.
  expect(snapshot).toMatchObject({ unseenRollouts: 17, unseenTokens: 170 });
  expect(snapshot).toMatchObject({ active: 3, inFlight: 32, maxInFlight: 64, waiting: 6 });
  expect(fleet.places()).toBe(8);
});

it('time without any worker is idle', () => {
  let nowMs = 0;
  const fleet = new Fleet(
    '1.2.3',
    () => {},
    () => nowMs,
  );
  nowMs = 5_000;
  fleet.update([]);
  nowMs = 7_000;
  fleet.update([facts('a')]);
  nowMs = 60_000;
  fleet.update([facts('a')]);
  expect(fleet.snapshot(new Map()).idleSeconds).toBe(7);
});
