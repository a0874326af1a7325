import { describe, expect, it } from 'vitest';
import { createRandom } from '../../../search/rng.js';
import { createReplica } from '../../../src/policy/openai/connect.js';
import { HttpFailure, type JsonEndpoint } from '../../../src/policy/openai/http.js';
import {
  createReplicaSet,
  type Lease,
  type ReplicaSet,
  type ReplicaSetOptions,
} from '../../../src/policy/openai/replicas.js';
import { loadBound, rankUrls } from '../../../src/policy/openai/routing.js';
import { fakeTiming } from './harness.js';

const urlsOf = (count: number) =>
  Array.from({ length: count }, (_, i) => `http://gpu-${i}:8000/v1`);
const keysOf = (count: number) => Array.from({ length: count }, (_, i) => `problem-${i}`);

const OPTIONS: ReplicaSetOptions = {
  routing: 'affinity',
  loadFactor: 1.25,
  loadFloor: 1,
  loadCap: Infinity,
  ejectAfter: 3,
  probeIntervalMs: 0,
  outagePatienceMs: 60_000,
};

const broken = new HttpFailure('status', 'HTTP 500', { retryable: true, status: 500 });
const gone = new HttpFailure('connection', 'ECONNREFUSED', { retryable: true, gone: true });

/** Replicas that nobody calls: what is tested is who would be. */
function fleet(count: number, changes: Partial<ReplicaSetOptions> = {}) {
  const timing = fakeTiming();
  const events: string[] = [];
  /** Replies to probes, by URL; probes of the others stay open. */
  const up = new Map<string, boolean>();
  let probes = 0;
  const replicas = urlsOf(count).map((url) => createReplica({ url } as JsonEndpoint));
  const set = createReplicaSet(
    replicas,
    { ...OPTIONS, ...changes },
    timing,
    (message) => events.push(message),
    async (endpoint) => {
      probes++;
      return up.get(endpoint.url) ?? false;
    },
  );
  return { set, timing, events, up, probes: () => probes };
}

const loadsOf = (set: ReplicaSet) => set.stats().map(({ inFlight }) => inFlight);
const indexOf = (set: ReplicaSet, lease: Lease) => set.all.indexOf(lease.replica);
const turns = async (count = 5) => {
  for (let i = 0; i < count; i++) await null;
};

describe('the order of replicas for a problem', () => {
  it('is even: no replica is first for much more than its share', () => {
    const firsts = new Map<number, number>();
    for (const key of keysOf(8_000)) {
      const first = rankUrls(urlsOf(4), key)[0] ?? -1;
      firsts.set(first, (firsts.get(first) ?? 0) + 1);
    }
    // 2,000 each with a standard deviation of 39; five of them are odds of 1 to 10^6.
    for (const count of firsts.values()) expect(Math.abs(count - 2_000)).toBeLessThan(195);
  });

  it('moves nothing but the share of a replica that is added', () => {
    const keys = keysOf(5_000);
    const before = keys.map((key) => rankUrls(urlsOf(4), key)[0]);
    const after = keys.map((key) => rankUrls(urlsOf(5), key)[0]);
    const moved = keys.filter((_, i) => before[i] !== after[i]);
    for (const i of keys.keys()) if (before[i] !== after[i]) expect(after[i]).toBe(4);
    // A fifth, 1,000 with a standard deviation of 28.
    expect(moved.length).toBeLessThan(1_000 + 5 * 28);
  });

  it('moves nothing but the keys of a replica that is removed, and spreads these evenly', () => {
    const keys = keysOf(5_000);
    const before = keys.map((key) => rankUrls(urlsOf(5), key)[0]);
    const after = keys.map((key) => rankUrls(urlsOf(4), key)[0] ?? -1);
    const heirs = new Map<number, number>();
    for (const i of keys.keys()) {
      if (before[i] !== 4) expect(after[i]).toBe(before[i]);
      else heirs.set(after[i] ?? -1, (heirs.get(after[i] ?? -1) ?? 0) + 1);
    }
    expect([...heirs.keys()].sort()).toEqual([0, 1, 2, 3]);
    // 1,000 orphans, 250 for each heir with a standard deviation of 14.
    for (const count of heirs.values()) expect(Math.abs(count - 250)).toBeLessThan(5 * 14);
  });

  it('does not depend on the order in which the URLs are given', () => {
    const urls = urlsOf(4);
    const turned = [...urls.slice(2), ...urls.slice(0, 2)];
    for (const key of keysOf(100)) {
      const here = rankUrls(urls, key).map((index) => urls[index]);
      expect(rankUrls(turned, key).map((index) => turned[index])).toEqual(here);
    }
  });
});

describe('the load bound', () => {
  it('is the factor times the mean, the new call included, and not below the floor', () => {
    // 1.25 · 96 / 4 = 30.
    expect(loadBound(96, 4, 1.25, 0)).toBe(30);
    expect(loadBound(96, 4, 1.25, 256)).toBe(256);
  });

  it.each([1, 1.1, 1.25, 2])(
    'holds for calls of one rollout with a factor of %f',
    async (factor) => {
      const { set } = fleet(4, { loadFactor: factor });
      const random = createRandom(`loads ${factor}`);
      const open: Lease[] = [];
      for (let i = 0; i < 4_000; i++) {
        if (open.length > 0 && random() < 0.48) {
          open.splice(Math.floor(random() * open.length), 1)[0]?.succeeded();
          continue;
        }
        // Few problems, some far more popular than others.
        const key = `problem-${Math.floor(random() ** 3 * 20)}`;
        const lease = await set.acquire({ key, rollouts: 1 });
        open.push(lease);
        const loads = loadsOf(set);
        const total = loads.reduce((sum, load) => sum + load, 0);
        // arXiv 1608.01350: at most ⌈c · m / n⌉ when it is placed.
        expect(loads[indexOf(set, lease)]).toBeLessThanOrEqual(Math.ceil((factor * total) / 4));
      }
      expect(open.length).toBeGreaterThan(50);
    },
  );

  it('holds for calls of several rollouts but for the last one of them', async () => {
    const { set } = fleet(3);
    const random = createRandom('calls');
    const open: Lease[] = [];
    for (let i = 0; i < 3_000; i++) {
      if (open.length > 0 && random() < 0.48) {
        open.splice(Math.floor(random() * open.length), 1)[0]?.released();
        continue;
      }
      const rollouts = 1 + Math.floor(random() * 16);
      const lease = await set.acquire({ key: `p${Math.floor(random() * 9)}`, rollouts });
      open.push(lease);
      const loads = loadsOf(set);
      const total = loads.reduce((sum, load) => sum + load, 0);
      const bound = Math.ceil((1.25 * total) / 3) + rollouts - 1;
      expect(loads[indexOf(set, lease)]).toBeLessThanOrEqual(bound);
    }
  });

  it('leaves a problem where it is while its replica has fewer in flight than the floor', async () => {
    const { set } = fleet(4, { loadFloor: 64 });
    const leases = await Promise.all(
      [1, 2, 3, 4, 5].map(() => set.acquire({ key: 'one', rollouts: 16 })),
    );
    // 16, 32, 48 and 64 fit below 64; the fifth goes to the problem's second replica.
    const homes = leases.map((lease) => indexOf(set, lease));
    const [first, second] = rankUrls(urlsOf(4), 'one');
    expect(homes).toEqual([first, first, first, first, second]);
    expect(set.stats()[second ?? 0]).toMatchObject({ calls: 1, strayCalls: 1 });
  });

  it('keeps a slow replica from collecting calls: the others get what it can not take', async () => {
    const { set } = fleet(2, { loadFloor: 8 });
    const served = [0, 0];
    const open: Lease[][] = [[], []];
    for (let i = 0; i < 600; i++) {
      const lease = await set.acquire({ key: `p${i % 40}`, rollouts: 1 });
      open[indexOf(set, lease)]?.push(lease);
      // The first answers every tenth time only; 20 are in flight altogether.
      for (const [replica, odds] of [10, 1].entries()) {
        const total = (open[0]?.length ?? 0) + (open[1]?.length ?? 0);
        if (total < 20 || i % odds !== 0) continue;
        open[replica]?.shift()?.succeeded();
        served[replica] = (served[replica] ?? 0) + 1;
      }
      // 1.25 · 21 / 2 = 13.1.
      expect(loadsOf(set)[0]).toBeLessThanOrEqual(14);
    }
    expect(served[1]).toBeGreaterThan(5 * (served[0] ?? 0));
  });

  it('lets calls wait, in order, where a replica has as much as it may ever have', async () => {
    const { set } = fleet(2, { loadCap: 10 });
    const held = await Promise.all(
      ['a', 'b', 'c', 'd'].map((key) => set.acquire({ key, rollouts: 5 })),
    );
    const order: string[] = [];
    const waiting = ['e', 'f'].map(async (key) => {
      const lease = await set.acquire({ key, rollouts: 5 });
      order.push(key);
      return lease;
    });
    await turns();
    expect(order).toEqual([]);
    held[0]?.succeeded();
    await turns();
    expect(order).toEqual(['e']);
    held[1]?.succeeded();
    await Promise.all(waiting);
    expect(order).toEqual(['e', 'f']);
  });

  it('is forgotten by a waiting call that is aborted', async () => {
    const { set } = fleet(2, { loadCap: 1 });
    const held = await Promise.all(['a', 'b'].map((key) => set.acquire({ key, rollouts: 1 })));
    const abort = new AbortController();
    const gaveUp = set.acquire({ key: 'c', rollouts: 1 }, abort.signal).catch((reason) => reason);
    const next = set.acquire({ key: 'd', rollouts: 1 });
    abort.abort('enough');
    expect(await gaveUp).toBe('enough');
    held[0]?.succeeded();
    expect(loadsOf(set)[indexOf(set, await next)]).toBe(1);
  });
});

describe('other routings', () => {
  it('round-robin takes turns and least-loaded the idlest', async () => {
    const turnsTaken = fleet(3, { routing: 'round-robin' }).set;
    const places: number[] = [];
    for (let i = 0; i < 6; i++) {
      places.push(indexOf(turnsTaken, await turnsTaken.acquire({ key: 'x', rollouts: 1 })));
    }
    expect(places).toEqual([0, 1, 2, 0, 1, 2]);

    const { set } = fleet(3, { routing: 'least-loaded' });
    for (const rollouts of [5, 3, 4, 1]) await set.acquire({ key: 'x', rollouts });
    // 5, 3, 4, and then 1 to the replica with 3.
    expect(loadsOf(set)).toEqual([5, 4, 4]);
  });
});

describe('a replica that fails', () => {
  const homeOf = (key: string, count: number) => rankUrls(urlsOf(count), key)[0] ?? 0;

  const fail = async (set: ReplicaSet, times: number, failure: HttpFailure) => {
    for (let i = 0; i < times; i++) {
      const lease = await set.acquire({ key: 'a', rollouts: 1 });
      lease.failed(failure);
    }
  };

  it('is out after so many failures in a row, not before, and at once if nobody listens', async () => {
    const { set } = fleet(2);
    await fail(set, 2, broken);
    (await set.acquire({ key: 'a', rollouts: 1 })).succeeded();
    await fail(set, 2, broken);
    const home = homeOf('a', 2);
    expect(set.stats()[home]?.state).toBe('well');
    await fail(set, 1, broken);
    expect(set.stats()[home]?.state).toBe('out');

    const other = fleet(2, { ejectAfter: 5 }).set;
    await fail(other, 1, gone);
    expect(other.stats()[home]?.state).toBe('out');
  });

  it('gets nothing but probes while it is out, whatever is asked for', async () => {
    const { set, timing, probes } = fleet(3, { ejectAfter: 1 });
    await fail(set, 1, broken);
    const home = homeOf('a', 3);
    const random = createRandom('while out');
    const open: Lease[] = [];
    for (let i = 0; i < 2_000; i++) {
      timing.pass(random() * 100);
      if (open.length > 60) open.splice(Math.floor(random() * 60), 1)[0]?.succeeded();
      const lease = await set.acquire({ key: `p${i % 30}`, rollouts: 1 + (i % 4) });
      expect(indexOf(set, lease)).not.toBe(home);
      open.push(lease);
    }
    // 100 s: pauses of 0.5, 1, 2, 4, 8, 16 and 30 s give about eight of them.
    expect(probes()).toBeGreaterThanOrEqual(7);
    expect(probes()).toBeLessThanOrEqual(10);
    expect(set.stats()[home]).toMatchObject({ calls: 1, ejections: 1, probes: probes() });
  });

  it('is not put out longer by calls that were under way when it went', async () => {
    const { set, timing, up } = fleet(2);
    const home = homeOf('a', 2);
    const many = await Promise.all(
      Array.from({ length: 40 }, () => set.acquire({ key: 'a', rollouts: 1 })),
    );
    const there = many.filter((lease) => indexOf(set, lease) === home);
    expect(there.length).toBeGreaterThan(15);
    for (const lease of there) lease.failed(broken);
    expect(set.stats()[home]).toMatchObject({ ejections: 1, inFlight: 0 });
    up.set(urlsOf(2)[home] ?? '', true);
    // The first pause is 500 ms; had each of them doubled it, it would be 30 s.
    timing.pass(501);
    await turns();
    expect(set.stats()[home]?.state).toBe('returning');
  });

  it('returns step by step: one call, then up to three times as many each time', async () => {
    const { set, timing, up, events } = fleet(2, { ejectAfter: 1, loadFloor: 400 });
    const home = homeOf('a', 2);
    await fail(set, 1, broken);
    up.set(urlsOf(2)[home] ?? '', true);
    timing.pass(600);
    // Somebody has to ask before anybody is probed.
    (await set.acquire({ key: 'a', rollouts: 16 })).succeeded();
    await turns();
    const rounds: number[] = [];
    while (set.stats()[home]?.state === 'returning') {
      const leases = await Promise.all(
        Array.from({ length: 40 }, () => set.acquire({ key: 'a', rollouts: 16 })),
      );
      rounds.push(leases.filter((lease) => indexOf(set, lease) === home).length);
      for (const lease of leases) lease.succeeded();
    }
    // In rollouts: below 1 is room for 16, below 33 for 48, below 129 for 144; below 417 for all that
    // the bound leaves it, 1.25 times the other's load.
    expect(rounds.slice(0, 3)).toEqual([1, 3, 9]);
    expect(rounds.length).toBe(4);
    expect(events.at(-1)).toContain('is back');
    expect(set.stats()[home]).toMatchObject({ state: 'well', returns: 1 });
  });

  it('is out again, for longer, if its trial fails', async () => {
    const { set, timing, up, probes } = fleet(2, { ejectAfter: 1 });
    const home = homeOf('a', 2);
    up.set(urlsOf(2)[home] ?? '', true);
    await fail(set, 1, broken);
    timing.pass(501);
    (await set.acquire({ key: 'b', rollouts: 1 })).released();
    await turns();
    expect(set.stats()[home]?.state).toBe('returning');
    await fail(set, 1, broken);
    expect(set.stats()[home]).toMatchObject({ state: 'out', ejections: 2 });
    const before = probes();
    timing.pass(900);
    (await set.acquire({ key: 'b', rollouts: 1 })).released();
    expect(probes()).toBe(before);
    // The second pause is 1 s.
    timing.pass(101);
    (await set.acquire({ key: 'b', rollouts: 1 })).released();
    expect(probes()).toBe(before + 1);
  });

  it('is not given up while there is no other, however silent', async () => {
    const { set, timing } = fleet(2, { probeIntervalMs: 1_000, ejectAfter: 2 });
    for (const replica of set.all.slice(1)) set.eject(replica, 'gone');
    const lease = await set.acquire({ key: 'a', rollouts: 1 });
    for (let i = 0; i < 20; i++) {
      timing.pass(1_000);
      await turns();
    }
    expect(lease.lost.aborted).toBe(false);
    expect(set.stats()[0]?.state).toBe('well');
  });

  it('is avoided by the call that it failed, as long as another takes it', async () => {
    const { set } = fleet(2);
    const first = await set.acquire({ key: 'a', rollouts: 1 });
    first.failed(broken);
    const second = await set.acquire({ key: 'a', rollouts: 1, avoid: first.replica });
    expect(second.replica).not.toBe(first.replica);
    set.eject(second.replica, 'gone');
    const third = await set.acquire({ key: 'a', rollouts: 1, avoid: first.replica });
    expect(third.replica).toBe(first.replica);
  });
});

describe('while all replicas are out', () => {
  it('calls wait and go on with the first that answers a probe, one by one', async () => {
    const { set, timing, up } = fleet(2);
    for (const replica of set.all) set.eject(replica, 'gone');
    let started = 0;
    const leases: Lease[] = [];
    for (let i = 0; i < 5; i++) {
      void set.acquire({ key: `p${i}`, rollouts: 1 }).then((lease) => {
        started++;
        leases.push(lease);
      });
    }
    timing.pass(10_000);
    await turns(20);
    expect(started).toBe(0);
    up.set(urlsOf(2)[1] ?? '', true);
    timing.pass(20_000);
    await turns(20);
    expect(started).toBe(1);
    leases[0]?.succeeded();
    await turns(20);
    expect(started).toBe(5);
  });

  it('calls fail when patience is over, and later ones at once, until one answers', async () => {
    const { set, timing, up } = fleet(2);
    for (const replica of set.all) set.eject(replica, 'connection refused');
    const first = set.acquire({ key: 'a', rollouts: 1 }).catch((error) => error);
    for (let i = 0; i < 61; i++) {
      timing.pass(1_000);
      await turns();
    }
    expect(await first).toMatchObject({
      code: 'POLICY_REPLICAS_DOWN',
      message: expect.stringContaining('all 2 replicas have been down for 60 s'),
      facts: { seconds: 60, urls: urlsOf(2) },
    });
    const late = await set.acquire({ key: 'a', rollouts: 1 }).catch((error) => error);
    expect(late).toMatchObject({ code: 'POLICY_REPLICAS_DOWN' });
    up.set(urlsOf(2)[0] ?? '', true);
    // Long idle: the next call is not refused before somebody was asked.
    timing.pass(60_000);
    const lease = await set.acquire({ key: 'a', rollouts: 1 });
    expect(indexOf(set, lease)).toBe(0);
  });

  it('a server that answers probes and fails every call does not hold them up for longer', async () => {
    const { set, timing, up } = fleet(2, { ejectAfter: 1 });
    for (const replica of set.all) set.eject(replica, 'gone');
    for (const url of urlsOf(2)) up.set(url, true);
    let trials = 0;
    let error: unknown;
    const waiting = set.acquire({ key: 'z', rollouts: 1 });
    const keepFailing = async (lease: Lease): Promise<void> => {
      trials++;
      lease.failed(broken);
      return set.acquire({ key: `${trials}`, rollouts: 1 }).then(keepFailing);
    };
    void waiting.then(keepFailing).catch((reason) => {
      error = reason;
    });
    for (let i = 0; i < 100 && error === undefined; i++) {
      timing.pass(1_000);
      await turns();
    }
    expect(trials).toBeGreaterThan(3);
    expect(error).toMatchObject({ code: 'POLICY_REPLICAS_DOWN' });
  });

  it('and closing ends the calls that wait', async () => {
    const { set } = fleet(2);
    for (const replica of set.all) set.eject(replica, 'gone');
    const waiting = set.acquire({ key: 'a', rollouts: 1 }).catch((error) => error);
    set.close();
    expect(await waiting).toMatchObject({ code: 'POLICY_CLOSED' });
  });
});
