import type { Dialect } from './dialect.js';
import type { HttpFailure, JsonEndpoint } from './http.js';
import type { ReplicaState } from './replica-health.js';
import type { Timing } from './retry.js';
import type { Routing } from './routing.js';

export interface Replica {
  readonly endpoint: JsonEndpoint;
  readonly dialect: Dialect;
  /** Attempts sent, and of these the failed ones. */
  requests: number;
  failures: number;
}

export interface ReplicaSetOptions {
  readonly routing: Routing;
  /** See `loadBound`; at least 1. */
  readonly loadFactor: number;
  readonly loadFloor: number;
  /** Rollouts that one replica may have in flight before it takes another call, whatever the mean. */
  readonly loadCap: number;
  readonly ejectAfter: number;
  /** How often a replica that owes replies and gives none is probed, ms; 0 never. */
  readonly probeIntervalMs: number;
  /** How long calls wait while no replica is left, ms. */
  readonly outagePatienceMs: number;
}

export interface CallPlace {
  /** Calls with the same key go to the same replica while it is well and below its bound. */
  readonly key: string;
  /** Rollouts of the call. */
  readonly rollouts: number;
  /** The replica that just failed this call; taken only if no other takes it. */
  readonly avoid?: Replica | undefined;
}

/** A call's place at a replica, to be ended by exactly one of the three. */
export interface Lease {
  readonly replica: Replica;
  /** Aborts, with an HttpFailure, once the replica is given up under the call. */
  readonly lost: AbortSignal;
  /** Tells one listener of the same, without making a signal. */
  whenLost(call: (failure: HttpFailure) => void): void;
  succeeded(): void;
  failed(failure: HttpFailure): void;
  /** It ended without telling anything about the replica. */
  released(): void;
}

export interface ReplicaStats {
  readonly url: string;
  readonly requests: number;
  readonly failures: number;
  readonly down: boolean;
  readonly state: ReplicaState;
  /** Rollouts there now. */
  readonly inFlight: number;
  /** Calls that it took, and of these the ones that belonged elsewhere: to one that was full or out. */
  readonly calls: number;
  readonly strayCalls: number;
  /** Probes that have ended, answered or not. */
  readonly probes: number;
  readonly ejections: number;
  readonly returns: number;
}

/** Decides which replica serves a call, watches who is well, and lets calls wait for it. */
export interface ReplicaSet {
  readonly all: readonly Replica[];
  /** @throws SteptreeError POLICY_REPLICAS_DOWN; the signal's reason */
  acquire(place: CallPlace, signal?: AbortSignal): Promise<Lease>;
  /** Where a call would go now; undefined if it had to wait. */
  peek(place: CallPlace): Replica | undefined;
  /** It can't be reached, as the caller knows and tells: nothing but probes until it answers one. */
  eject(replica: Replica, reason: string): void;
  stats(): ReplicaStats[];
  /** Ends probes and waiting calls. */
  close(): void;
}

export type ReplicaTiming = Pick<Timing, 'now' | 'random' | 'after'>;
