import { describe, expect, it } from 'vitest';
import {
  type After,
  batchingOptions,
  createPathScorer,
  type PathHost,
  type PathJob,
  type PathScorerOptions,
  type ScoredPath,
} from '../../prm/index.js';
import type { PathScores, Problem } from '../../search/types.js';
import { PROBLEM } from './stub-server.js';

/** Timers that fire when the test says so. */
function handTimers(): { after: After; readonly waits: number[]; fire(ms: number): void } {
  const timers = new Set<{ ms: number; fire: () => void }>();
  const waits: number[] = [];
  return {
    waits,
    after: (ms, fire) => {
      const timer = { ms, fire };
      waits.push(ms);
      timers.add(timer);
      return () => timers.delete(timer);
    },
    fire(ms) {
      for (const timer of [...timers].filter((one) => one.ms === ms)) {
        timers.delete(timer);
        timer.fire();
      }
    },
  };
}

/** A host whose jobs are answered by hand. */
function handHost(batchSize: number) {
  const batches: PathJob[][] = [];
  const open = new Map<
    string,
    { resolve: (scored: ScoredPath) => void; reject: (error: unknown) => void }
  >();
  let closed = 0;
  const host: PathHost = {
    name: 'hand',
    scores: 'steps',
    batchSize,
    scorePaths(jobs) {
      batches.push([...jobs]);
      return jobs.map(
        (job) =>
          new Promise<ScoredPath>((resolve, reject) => {
            open.set(job.steps.join(), { resolve, reject });
          }),
      );
    },
    close: async () => {
      closed++;
    },
  };
  return {
    host,
    batches,
    texts: () => batches.map((batch) => batch.map((job) => job.steps.join())),
    closed: () => closed,
    answer: (path: string, score = 0.5) =>
      open.get(path)?.resolve({ scores: { steps: [score] }, prmTokens: 1 }),
    answerWith: (path: string, scores: PathScores) =>
      open.get(path)?.resolve({ scores, prmTokens: 1 }),
    fail: (path: string, error: unknown) => open.get(path)?.reject(error),
  };
}

const other: Problem = { ...PROBLEM, id: 'q', question: 'How long?' };
const WAIT_MS = 3;
const DEADLINE_MS = 1000;

function build(batchSize: number, given: Partial<PathScorerOptions> = {}) {
  const timers = handTimers();
  const hand = handHost(batchSize);
  const options = batchingOptions.parse({
    maxWaitMs: WAIT_MS,
    deadlineMs: DEADLINE_MS,
    ...given,
  });
  const scorer = createPathScorer(hand.host, options, timers.after);
  const ask = (problem: Problem, ...paths: string[]) =>
    scorer.score({ problem, paths: paths.map((path) => [path]) });
  return { ...hand, timers, scorer, ask };
}

describe('batching', () => {
  it('gathers the paths of several trees, up to a size', async () => {
    const made = build(4);
    const one = made.ask(PROBLEM, 'a', 'b', 'c');
    expect(made.texts()).toEqual([]);
    // The wait is the first path's; those that come later don't start it again.
    expect(made.timers.waits.filter((ms) => ms === WAIT_MS)).toHaveLength(1);
    const two = made.ask(other, 'd', 'e');
    expect(made.texts()).toEqual([['a', 'b', 'c', 'd']]);
    for (const path of 'abcd') made.answer(path);
    expect((await one).paths).toHaveLength(3);
    made.timers.fire(WAIT_MS);
    expect(made.texts()[1]).toEqual(['e']);
    made.answer('e', 0.25);
    expect((await two).paths).toEqual([{ steps: [0.5] }, { steps: [0.25] }]);
  });

  it('lets no path wait longer than it should', async () => {
    const made = build(4);
    const one = made.ask(PROBLEM, 'a');
    expect(made.timers.waits).toContain(WAIT_MS);
    made.timers.fire(WAIT_MS);
    expect(made.texts()).toEqual([['a']]);
    made.answer('a');
    expect(await one).toEqual({ paths: [{ steps: [0.5] }], prmTokens: 1 });
  });

  it('does not wait at all where a call holds one path', () => {
    const made = build(1);
    void made.ask(PROBLEM, 'a', 'b').catch(() => {});
    expect(made.texts()).toEqual([['a'], ['b']]);
    expect(made.timers.waits).toEqual([DEADLINE_MS]);
  });

  it('keeps to maxBatch and maxInFlight, and goes on when there is room', async () => {
    const small = build(8, { maxBatch: 2, maxInFlight: 4 });
    const asked = small.ask(PROBLEM, 'a', 'b', 'c', 'd', 'e', 'f');
    expect(small.texts()).toEqual([
      ['a', 'b'],
      ['c', 'd'],
    ]);
    small.answer('a');
    await Promise.resolve();
    // One place is free, but the next batch wants two.
    expect(small.batches).toHaveLength(2);
    small.answer('c');
    await Promise.resolve();
    expect(small.texts()[2]).toEqual(['e', 'f']);
    for (const path of 'bdef') small.answer(path);
    expect((await asked).paths).toHaveLength(6);
    expect(small.scorer.stats()).toMatchObject({ batches: 3, largestBatch: 2, inFlight: 0 });
  });

  it('asks about equal paths once, and about known ones never', async () => {
    const made = build(1);
    const asked = made.ask(PROBLEM, 'a', 'a');
    expect(made.batches).toHaveLength(1);
    made.answer('a', 0.75);
    expect(await asked).toEqual({ paths: [{ steps: [0.75] }, { steps: [0.75] }], prmTokens: 1 });
    // The same content under another id is known too; another question is not.
    const again = await made.ask({ ...PROBLEM, id: 'copy' }, 'a');
    expect(again).toEqual({ paths: [{ steps: [0.75] }], prmTokens: 0 });
    void made.ask(other, 'a').catch(() => {});
    expect(made.batches).toHaveLength(2);
    expect(made.scorer.stats()).toMatchObject({ cached: 1 });
  });

  it('remembers nothing if told so', async () => {
    const made = build(1, { cachedPaths: 0 });
    for (let round = 1; round <= 2; round++) {
      const asked = made.ask(PROBLEM, 'a');
      made.answer('a');
      await asked;
      expect(made.batches).toHaveLength(round);
    }
  });

  it('fails only the request whose path failed, and stops its other paths', async () => {
    const made = build(4);
    const bad = made.ask(PROBLEM, 'a', 'b');
    const good = made.ask(other, 'c', 'd');
    const [[first, second] = []] = made.batches;
    made.fail('a', new Error('no such token'));
    await expect(bad).rejects.toMatchObject({
      code: 'SCORE_HOST_FAILED',
      message: expect.stringContaining('no such token'),
    });
    expect(first?.signal.aborted).toBe(true);
    expect(second?.signal.aborted).toBe(true);
    made.answer('c');
    made.answer('d');
    expect((await good).paths).toHaveLength(2);
  });

  it('takes an aborted request out of the queue, and tells the host of what is under way', async () => {
    const made = build(2);
    const abort = new AbortController();
    const reason = new Error('tree pruned');
    const asked = made.scorer.score(
      { problem: PROBLEM, paths: [['a'], ['b'], ['c']] },
      abort.signal,
    );
    expect(made.texts()).toEqual([['a', 'b']]);
    abort.abort(reason);
    await expect(asked).rejects.toBe(reason);
    expect(made.batches[0]?.map((job) => job.signal.reason)).toEqual([reason, reason]);
    made.timers.fire(WAIT_MS);
    expect(made.batches).toHaveLength(1);
    // What comes after all is nobody's any more, and the places are free again.
    made.answer('a');
    expect(made.scorer.stats()).toMatchObject({ waiting: 0, inFlight: 0 });
  });

  it('leaves the other requests of a batch alone when one is aborted', async () => {
    const made = build(2);
    const abort = new AbortController();
    const gone = made.scorer.score({ problem: PROBLEM, paths: [['a']] }, abort.signal);
    const stays = made.ask(other, 'b');
    abort.abort(new Error('gone'));
    await expect(gone).rejects.toThrow('gone');
    expect(made.batches[0]?.[1]?.signal.aborted).toBe(false);
    made.answer('b');
    expect((await stays).paths).toEqual([{ steps: [0.5] }]);
  });

  it('fails a request that its host never answers', async () => {
    const made = build(1);
    const asked = made.ask(PROBLEM, 'a');
    made.timers.fire(DEADLINE_MS);
    await expect(asked).rejects.toMatchObject({
      code: 'SCORE_DEADLINE',
      facts: { deadlineMs: DEADLINE_MS },
    });
    expect(made.batches[0]?.[0]?.signal.aborted).toBe(true);
  });

  it.each([
    [
      'throws',
      () => {
        throw new Error('thread ended with code 134');
      },
    ],
    ['forgets a path', () => []],
  ])('fails with the reason when the host %s', async (_, scorePaths) => {
    const host: PathHost = { ...handHost(1).host, scorePaths };
    const scorer = createPathScorer(host, batchingOptions.parse({}));
    await expect(scorer.score({ problem: PROBLEM, paths: [['a']] })).rejects.toMatchObject({
      code: 'SCORE_HOST_FAILED',
      message: expect.stringMatching(/134|0 of 1 paths/),
    });
    await scorer.close();
  });

  it('fails what waits and what is under way when it is closed', async () => {
    const made = build(2);
    const asked = made.ask(PROBLEM, 'a', 'b', 'c');
    const failing = expect(asked).rejects.toMatchObject({ code: 'SCORE_HOST_CLOSED' });
    await made.scorer.close();
    await failing;
    await expect(made.ask(PROBLEM, 'd')).rejects.toMatchObject({ code: 'SCORE_HOST_CLOSED' });
    await made.scorer.close();
    expect(made.closed()).toBe(1);
  });

  it.each<[string, PathScores, string]>([
    ['NaN', { steps: [Number.NaN] }, 'SCORE_RANGE'],
    ['a score above 1', { steps: [1.01] }, 'SCORE_RANGE'],
    ['a score below 0', { steps: [-0.2] }, 'SCORE_RANGE'],
    ['no number', { steps: ['0.5' as unknown as number] }, 'SCORE_RANGE'],
    ['no scores', { steps: [] }, 'SCORE_COUNT'],
    ['too many scores', { steps: [0.1, 0.2] }, 'SCORE_COUNT'],
    ['an outcome of NaN', { steps: [], outcome: Number.NaN }, 'SCORE_RANGE'],
  ])('takes %s for an error, and does not remember it', async (_, scores, code) => {
    const made = build(1);
    const bad = made.ask(PROBLEM, 'a');
    made.answerWith('a', scores);
    await expect(bad).rejects.toMatchObject({ code });
    const good = made.ask(PROBLEM, 'a');
    made.answer('a', 1 + 1e-9);
    // Single precision may overshoot by this much.
    expect((await good).paths).toEqual([{ steps: [1] }]);
  });
});
