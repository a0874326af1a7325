import { describe, expect, it } from 'vitest';
import { type BatchOptions, BatchSimulation } from '../../bench/servers/batch-simulation.js';
import { occupancyStats } from '../../bench/servers/occupancy-stats.js';

// Steps of 10 ms alone, 12 ms for two, 14 ms for three.
const shape = { slots: 2, stepBaseMs: 8, stepPerSequenceMs: 2 };

function simulate(slots = shape.slots, more: Partial<BatchOptions> = {}) {
  const done: string[] = [];
  const batch = new BatchSimulation({ ...shape, slots, ...more });
  const submit = (name: string, tokens: number, atMs: number) =>
    batch.submit(tokens, atMs, () => done.push(name));
  return { batch, done, submit };
}

describe('the batch simulation', () => {
  it('gives every running sequence one token a step, slower the more there are', () => {
    const { batch, done, submit } = simulate();
    submit('a', 2, 0);
    submit('b', 3, 0);
    // Two steps of 12 ms for both, then one of 10 ms for b alone: a at 24 ms, b at 34 ms.
    expect(batch.nextEventMs()).toBe(24);
    batch.advance(23.9);
    expect(done).toEqual([]);
    batch.advance(24);
    expect(done).toEqual(['a']);
    expect(batch.nextEventMs()).toBe(34);
    batch.advance(34);
    expect(done).toEqual(['a', 'b']);
    expect(batch.nextEventMs()).toBeNull();
    expect(batch.stats()).toMatchObject({ running: 0, waiting: 0, finished: 2, tokens: 5 });
  });

  it('keeps what finds no slot waiting, first come first served', () => {
    const { batch, done, submit } = simulate();
    submit('a', 1, 0);
    submit('b', 2, 0);
    submit('c', 1, 0);
    expect(batch.stats()).toMatchObject({ running: 2, waiting: 1 });
    batch.advance(12);
    expect(done).toEqual(['a']);
    // c takes a's place: b and c run together for 12 ms more.
    expect(batch.nextEventMs()).toBe(24);
    batch.advance(24);
    expect(done).toEqual(['a', 'b', 'c']);
  });

  it('lets a sequence join only when the step under way is over', () => {
    const { batch, done, submit } = simulate();
    submit('a', 3, 0);
    batch.advance(5);
    submit('b', 1, 5);
    // a alone until 10 ms, both until 22, a alone until 32.
    expect(batch.nextEventMs()).toBe(10);
    batch.advance(21.9);
    expect(done).toEqual([]);
    batch.advance(22);
    expect(done).toEqual(['b']);
    batch.advance(32);
    expect(done).toEqual(['b', 'a']);
  });

  it('waits idle for the next arrival', () => {
    const { batch, done, submit } = simulate();
    submit('a', 1, 100);
    expect(batch.nextEventMs()).toBe(110);
    batch.advance(110);
    expect(done).toEqual(['a']);
  });

  it('frees the slot of a cancelled sequence without telling it', () => {
    const { batch, done, submit } = simulate(1);
    const a = submit('a', 5, 0);
    submit('b', 1, 0);
    batch.advance(10);
    batch.cancel(a);
    // a's slot goes to b, which needs one step of 10 ms.
    batch.advance(20);
    expect(done).toEqual(['b']);
    batch.cancel(a);
    expect(batch.stats()).toMatchObject({ running: 0, waiting: 0 });
  });

  it('lengthens the steps in which it reads, by the tokens and not by who waits', () => {
    const { batch, done, submit } = simulate(2, { readMsPerToken: 0.5, readChunk: 20 });
    submit('a', 3, 0);
    batch.read(30, 0, () => done.push('text'));
    // Two steps of 10 ms, one reading 20 tokens, one the other 10: 20 ms, then 15; then a alone.
    expect(batch.nextEventMs()).toBe(20);
    batch.advance(34.9);
    expect(done).toEqual([]);
    batch.advance(35);
    expect(done).toEqual(['text']);
    batch.advance(45);
    expect(done).toEqual(['text', 'a']);
    expect(batch.stats()).toMatchObject({ readTokens: 30, tokens: 3, running: 0 });
  });

  it('reads without steps where nothing is decoded', () => {
    const { batch, done } = simulate(2, { readMsPerToken: 0.5 });
    batch.read(30, 10, () => done.push('text'));
    expect(batch.nextEventMs()).toBe(25);
    batch.advance(25);
    expect(done).toEqual(['text']);
    expect(batch.nextEventMs()).toBeNull();
  });

  it('lets a text that arrives during a step wait for its end', () => {
    const { batch, done, submit } = simulate(2, { readMsPerToken: 0.5 });
    submit('a', 2, 0);
    batch.read(4, 5, () => done.push('text'));
    // a alone until 10 ms, then a step of 10 ms that also reads for 2.
    expect(batch.nextEventMs()).toBe(10);
    batch.advance(10);
    expect(batch.nextEventMs()).toBe(22);
    batch.advance(22);
    expect(done).toEqual(['text', 'a']);
  });

  it('comes to the same end in one stride as in many', () => {
    const run = (strideMs: number) => {
      const { batch, done, submit } = simulate(4);
      for (let i = 0; i < 40; i++) submit(`s${i}`, 1 + ((i * 7) % 11), 0);
      for (let at = 0; at <= 2000; at += strideMs) batch.advance(at);
      const { segments, tokens, finished } = batch.stats();
      return { done, tokens, finished, stats: occupancyStats(segments, 4) };
    };
    const many = run(0.5);
    const one = run(2000);
    expect(one.done).toEqual(many.done);
    expect(one.finished).toBe(40);
    expect(one.tokens).toBe(many.tokens);
    expect(one.stats.busyShare).toBeCloseTo(many.stats.busyShare, 9);
  });
});

describe('the occupancy of a server', () => {
  it('is the share of slot time in use, over all and until the last full moment', () => {
    // 10 ms full (4 of 4), 10 ms with 2, then 20 ms with 1: 40 + 20 + 20 of 160 slot-ms.
    const stats = occupancyStats(
      [
        { fromMs: 0, toMs: 5, running: 0 },
        { fromMs: 5, toMs: 15, running: 4 },
        { fromMs: 15, toMs: 25, running: 2 },
        { fromMs: 25, toMs: 45, running: 1 },
        { fromMs: 45, toMs: 90, running: 0 },
      ],
      4,
    );
    expect(stats.busyShare).toBeCloseTo(80 / 160, 12);
    expect(stats.busyShareUntilDrain).toBe(1);
    expect(stats.drainStartsAt).toBe(0.25);
    expect(stats.virtualSeconds).toBe(0.04);
    // Twentieths of 40 ms: five full ones, five half full, ten at a quarter.
    expect(stats.series[4]).toBeCloseTo(1, 12);
    expect(stats.series[5]).toBeCloseTo(0.5, 12);
    expect(stats.series[19]).toBeCloseTo(0.25, 12);
  });

  it('counts idle time between two pieces of work', () => {
    const stats = occupancyStats(
      [
        { fromMs: 0, toMs: 10, running: 2 },
        { fromMs: 10, toMs: 20, running: 0 },
        { fromMs: 20, toMs: 30, running: 2 },
      ],
      2,
    );
    expect(stats.busyShare).toBeCloseTo(2 / 3, 12);
    expect(stats.busyShareUntilDrain).toBeCloseTo(2 / 3, 12);
  });

  it('of a server that never worked is nothing', () => {
    expect(occupancyStats([], 4)).toMatchObject({ busyShare: 0, drainStartsAt: 0 });
  });
});
