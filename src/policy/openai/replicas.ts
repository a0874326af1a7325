import { contentHash } from '../../../search/rng.js';
import type { Dialect } from './dialect.js';
import type { HttpFailure, JsonEndpoint } from './http.js';

export interface Replica {
  readonly endpoint: JsonEndpoint;
  readonly dialect: Dialect;
  /** Attempts sent, and of these the failed ones. */
  requests: number;
  failures: number;
}

/** Decides which replica serves a problem: always the same one while it is well, because its
 *  prefix cache knows the problem; the next in the problem's order while it is not. */
export interface ReplicaSet {
  readonly all: readonly Replica[];
  /** The best replica for the problem now.
   *  @param avoid the replica that just failed this call; taken only if there is no other */
  pick(problemId: string, avoid?: Replica): Replica;
  /** What `pick` would say, without taking a returning replica's one trial. */
  peek(problemId: string, avoid?: Replica): Replica;
  succeeded(replica: Replica): void;
  failed(replica: Replica, failure: HttpFailure): void;
  /** A call ended without telling anything about its replica (it was aborted). */
  released(replica: Replica): void;
  isDown(replica: Replica): boolean;
}

const FIRST_COOLDOWN_MS = 500;
const MAX_COOLDOWN_MS = 30_000;
// Single errors are a request's bad luck; this many in a row are the replica's state.
const ERRORS_IN_A_ROW = 3;
const OVERLOADED = new Set([429, 502, 503, 504]);

interface Health {
  failuresInARow: number;
  /** 0 while well. */
  downUntilMs: number;
  /** The one call that tries whether it is back is under way. */
  onTrial: boolean;
}

/** @param now milliseconds from any fixed point */
export function createReplicaSet(all: readonly Replica[], now: () => number): ReplicaSet {
  const health = new Map<Replica, Health>(
    all.map((replica) => [replica, { failuresInARow: 0, downUntilMs: 0, onTrial: false }]),
  );
  const healthOf = (replica: Replica): Health => {
    const found = health.get(replica);
    if (found === undefined) throw new TypeError('a replica of another set');
    return found;
  };
  const available = (replica: Replica) => {
    const { downUntilMs, onTrial } = healthOf(replica);
    return downUntilMs === 0 || (downUntilMs <= now() && !onTrial);
  };
  const peek = (problemId: string, avoid?: Replica): Replica => {
    const order = rankReplicas(all, problemId);
    const well = order.filter(available);
    const chosen =
      well.find((replica) => replica !== avoid) ??
      order.find((replica) => replica !== avoid && well.length === 0) ??
      well[0] ??
      order[0];
    if (chosen === undefined) throw new TypeError('a replica set needs a replica');
    return chosen;
  };
  return {
    all,
    peek,
    pick(problemId, avoid) {
      const replica = peek(problemId, avoid);
      const state = healthOf(replica);
      if (state.downUntilMs !== 0) state.onTrial = true;
      return replica;
    },
    succeeded(replica) {
      health.set(replica, { failuresInARow: 0, downUntilMs: 0, onTrial: false });
    },
    failed(replica, failure) {
      const state = healthOf(replica);
      state.onTrial = false;
      state.failuresInARow++;
      replica.failures++;
      if (!meansDown(failure) && state.failuresInARow < ERRORS_IN_A_ROW) return;
      const growing = FIRST_COOLDOWN_MS * 2 ** Math.min(state.failuresInARow - 1, 10);
      const asked = failure.facts.retryAfterMs ?? 0;
      state.downUntilMs = now() + Math.min(MAX_COOLDOWN_MS, Math.max(growing, asked));
    },
    released(replica) {
      healthOf(replica).onTrial = false;
    },
    isDown: (replica) => healthOf(replica).downUntilMs > now(),
  };
}

/** All replicas in the problem's own order. Rendezvous hashing: each replica's rank depends on
 *  (problem, URL) alone, so adding or losing one moves only that one's share of the problems. */
export function rankReplicas(all: readonly Replica[], problemId: string): Replica[] {
  if (all.length < 2) return [...all];
  return all
    .map((replica) => ({ replica, rank: contentHash([problemId, replica.endpoint.url]) }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
    .map(({ replica }) => replica);
}

function meansDown(failure: HttpFailure): boolean {
  return (
    failure.kind === 'connection' ||
    failure.kind === 'timeout' ||
    OVERLOADED.has(failure.facts.status ?? 0)
  );
}
