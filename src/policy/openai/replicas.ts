import { SteptreeError } from '../../../search/errors.js';
import { whenAborted } from '../when-aborted.js';
import { HttpFailure } from './http.js';
import { ReplicaHealth } from './replica-health.js';
import { probeReplica } from './replica-probe.js';
import type {
  CallPlace,
  Lease,
  Replica,
  ReplicaSet,
  ReplicaSetOptions,
  ReplicaStats,
  ReplicaTiming,
} from './replica-types.js';
import { createReplicaOrder, loadBound, type ReplicaOrder } from './routing.js';

export type * from './replica-types.js';

/** @param onEvent told of ejections and returns
 *  @param probe whether the server is up */
export function createReplicaSet(
  replicas: readonly Replica[],
  options: ReplicaSetOptions,
  timing: ReplicaTiming,
  onEvent: (message: string) => void = () => {},
  probe = probeReplica,
): ReplicaSet {
  if (replicas.length === 0) throw new TypeError('a replica set needs a replica');
  return new RoutedReplicas(replicas, options, timing, onEvent, probe);
}

interface Member {
  readonly replica: Replica;
  readonly health: ReplicaHealth;
  readonly leases: Set<{ lose(failure: HttpFailure): void }>;
  inFlight: number;
  /** Those of calls since it was last ejected. */
  inFlightOfEpoch: number;
  lastReplyMs: number;
  /** Probes in a row that a well one left unanswered. */
  unanswered: number;
  probing: boolean;
  lastReason: string;
  calls: number;
  strayCalls: number;
  probes: number;
}

interface Waiting {
  readonly place: CallPlace;
  readonly start: (lease: Lease) => void;
  readonly fail: (error: unknown) => void;
}

class RoutedReplicas implements ReplicaSet {
  readonly all: readonly Replica[];
  private readonly members: readonly Member[];
  private readonly order: ReplicaOrder;
  private readonly waiting = new Set<Waiting>();
  private readonly closed = new AbortController();
  private outageSinceMs: number | null = null;
  private stopTimer: (() => void) | null = null;

  constructor(
    replicas: readonly Replica[],
    private readonly options: ReplicaSetOptions,
    private readonly timing: ReplicaTiming,
    private readonly onEvent: (message: string) => void,
    private readonly probe: typeof probeReplica,
  ) {
    this.all = replicas;
    this.members = replicas.map((replica) => ({
      replica,
      health: new ReplicaHealth(options, timing),
      leases: new Set(),
      inFlight: 0,
      inFlightOfEpoch: 0,
      lastReplyMs: timing.now(),
      unanswered: 0,
      probing: false,
      lastReason: '',
      calls: 0,
      strayCalls: 0,
      probes: 0,
    }));
    this.order = createReplicaOrder(
      options.routing,
      replicas.map((replica) => replica.endpoint.url),
    );
  }

  async acquire(place: CallPlace, signal?: AbortSignal): Promise<Lease> {
    signal?.throwIfAborted();
    if (this.closed.signal.aborted) throw closedError();
    const lease = this.waiting.size === 0 ? this.tryPlace(place) : undefined;
    // After the placing: a replica that is out must not miss its probe because others are well.
    this.watch();
    return lease ?? this.wait(place, signal);
  }

  peek(place: CallPlace): Replica | undefined {
    return this.choose(place)?.member.replica;
  }

  eject(replica: Replica, reason: string): void {
    const member = this.members.find((one) => one.replica === replica);
    if (member === undefined) throw new TypeError('a replica of another set');
    if (this.members.length === 1 || member.health.state === 'out') return;
    member.health.eject();
    this.ejected(member, reason);
  }

  stats(): ReplicaStats[] {
    return this.members.map((member) => ({
      url: member.replica.endpoint.url,
      requests: member.replica.requests,
      failures: member.replica.failures,
      down: member.health.state === 'out',
      state: member.health.state,
      inFlight: member.inFlight,
      calls: member.calls,
      strayCalls: member.strayCalls,
      probes: member.probes,
      ejections: member.health.ejections,
      returns: member.health.returns,
    }));
  }

  close(): void {
    this.closed.abort();
    this.stopTimer?.();
    this.stopTimer = null;
    for (const waiting of this.waiting) waiting.fail(closedError());
    this.waiting.clear();
  }

  private tryPlace(place: CallPlace): Lease | undefined {
    const chosen = this.choose(place);
    return chosen && this.lease(chosen.member, place, chosen.stray);
  }

  private choose({ key, rollouts, avoid }: CallPlace) {
    const { members, options } = this;
    const [only] = members;
    if (only !== undefined && members.length === 1) return { member: only, stray: false };
    const bound = this.bound(rollouts);
    const order = this.order(key, () => members.map((member) => member.inFlight));
    const takers = order.flatMap((index) => {
      const member = members[index];
      return member && this.takes(member, bound) ? [member] : [];
    });
    const member = takers.find(({ replica }) => replica !== avoid) ?? takers[0];
    if (member === undefined) return undefined;
    const home = members[order[0] ?? 0];
    return { member, stray: options.routing === 'affinity' && member !== home };
  }

  private takes({ health, inFlight, inFlightOfEpoch }: Member, bound: number): boolean {
    if (health.state === 'out' || inFlight >= Math.min(bound, this.options.loadCap)) return false;
    return inFlightOfEpoch < health.allowance;
  }

  /** The bound for a call of so many rollouts, over the replicas that can share the load. */
  private bound(rollouts: number): number {
    const { routing, loadFactor, loadFloor } = this.options;
    if (routing !== 'affinity') return Infinity;
    const well = this.members.filter(({ health }) => health.state === 'well');
    const sharing =
      well.length > 0 ? well : this.members.filter(({ health }) => health.state === 'returning');
    const total = sharing.reduce((sum, { inFlight }) => sum + inFlight, rollouts);
    return loadBound(total, sharing.length, loadFactor, loadFloor);
  }

  private lease(member: Member, { rollouts }: CallPlace, stray: boolean): Lease {
    const { health } = member;
    const { epoch } = health;
    let lost: AbortController | undefined;
    let onLost: ((failure: HttpFailure) => void) | undefined;
    let failure: HttpFailure | undefined;
    const held = {
      lose: (why: HttpFailure) => {
        failure = why;
        lost?.abort(why);
        onLost?.(why);
      },
    };
    member.leases.add(held);
    if (member.inFlight === 0) member.lastReplyMs = this.timing.now();
    member.inFlight += rollouts;
    member.inFlightOfEpoch += rollouts;
    member.calls++;
    if (stray) member.strayCalls++;
    const end = (tell: () => void) => {
      if (!member.leases.delete(held)) return;
      member.inFlight -= rollouts;
      if (epoch === health.epoch) member.inFlightOfEpoch -= rollouts;
      tell();
      this.admit();
    };
    return {
      replica: member.replica,
      get lost() {
        lost ??= new AbortController();
        if (failure) lost.abort(failure);
        return lost.signal;
      },
      whenLost: (call) => {
        onLost = call;
      },
      succeeded: () => end(() => this.succeeded(member, epoch, rollouts)),
      failed: (failure) => end(() => this.failed(member, epoch, failure)),
      released: () => end(() => {}),
    };
  }

  private succeeded(member: Member, epoch: number, rollouts: number): void {
    member.lastReplyMs = this.timing.now();
    member.unanswered = 0;
    // Not a probe's answer: a server may be up and fail every call.
    this.outageSinceMs = null;
    if (this.members.length === 1) return;
    const { health } = member;
    const { state } = health;
    health.succeeded(epoch, rollouts, Math.min(this.bound(rollouts), this.options.loadCap));
    if (health.state !== state) this.onEvent(`${member.replica.endpoint.url} is back`);
  }

  private failed(member: Member, epoch: number, failure: HttpFailure): void {
    member.replica.failures++;
    if (this.members.length === 1) return;
    if (!member.health.failed(epoch, failure)) return;
    this.announce(member, failure.message);
    this.ejected(member, failure.message);
  }

  private announce({ replica }: Member, reason: string): void {
    this.onEvent(`${replica.endpoint.url} is left out for now: ${reason}`);
  }

  private ejected(member: Member, reason: string): void {
    member.inFlightOfEpoch = 0;
    member.unanswered = 0;
    member.lastReason = reason;
    if (this.allOut()) this.outageSinceMs ??= this.timing.now();
    this.watch();
  }

  private allOut(): boolean {
    return this.members.every(({ health }) => health.state === 'out');
  }

  private wait(place: CallPlace, signal?: AbortSignal): Promise<Lease> {
    return new Promise((resolve, reject) => {
      const settle = (then: () => void) => {
        forget();
        this.waiting.delete(waiting);
        then();
      };
      const waiting: Waiting = {
        place,
        start: (lease) => settle(() => resolve(lease)),
        fail: (error) => settle(() => reject(error)),
      };
      const forget = whenAborted(signal, () => {
        this.waiting.delete(waiting);
        reject(signal?.reason);
      });
      this.waiting.add(waiting);
      this.admit();
      this.watch();
    });
  }

  /** In order of arrival; whom nobody takes holds up the rest, or large calls would never fit. */
  private admit(): void {
    for (const waiting of this.waiting) {
      const lease = this.tryPlace(waiting.place);
      if (lease === undefined) return;
      waiting.start(lease);
    }
  }

  /** Probes whoever is due, gives up an outage that has lasted, and comes back when the next is due.
   *  Only while there are calls: an idle process probes nobody. */
  private watch(): void {
    if (this.members.length === 1 || this.closed.signal.aborted) return;
    const now = this.timing.now();
    let nextMs = Infinity;
    for (const member of this.members) {
      const dueMs = this.probeDue(member);
      if (dueMs <= now) void this.probeMember(member);
      else nextMs = Math.min(nextMs, dueMs);
    }
    if (this.outageSinceMs !== null && this.allOut()) {
      const overMs = this.outageSinceMs + this.options.outagePatienceMs;
      const asking = this.members.some(({ probing }) => probing);
      if (overMs > now) nextMs = Math.min(nextMs, overMs);
      // The first call after a long rest is not refused before somebody was asked.
      else if (!asking) for (const waiting of this.waiting) waiting.fail(this.outageError());
    }
    this.stopTimer?.();
    this.stopTimer = null;
    const idle = this.waiting.size === 0 && this.members.every(({ leases }) => leases.size === 0);
    if (idle || nextMs === Infinity) return;
    this.stopTimer = this.timing.after(nextMs - now, () => {
      this.stopTimer = null;
      this.watch();
    });
  }

  /** Infinity for one that needs no probe. */
  private probeDue({ health, probing, leases, lastReplyMs, unanswered }: Member): number {
    if (probing) return Infinity;
    if (health.state === 'out') return health.probeAtMs;
    const { probeIntervalMs } = this.options;
    if (probeIntervalMs === 0 || leases.size === 0) return Infinity;
    return lastReplyMs + probeIntervalMs * (unanswered + 1);
  }

  private async probeMember(member: Member): Promise<void> {
    const { health } = member;
    member.probing = true;
    const { epoch } = health;
    const answered = await this.probe(member.replica.endpoint, this.timing, this.closed.signal);
    member.probing = false;
    member.probes++;
    if (this.closed.signal.aborted) return;
    if (health.state === 'out') {
      health.probed(answered);
    } else if (epoch === health.epoch) {
      this.stalledProbed(member, answered);
    }
    this.admit();
    this.watch();
  }

  /** A replica that owes replies was asked whether it still lives. */
  private stalledProbed(member: Member, answered: boolean): void {
    if (answered) {
      member.unanswered = 0;
      member.lastReplyMs = this.timing.now();
      return;
    }
    member.unanswered++;
    const others = this.members.some((one) => one !== member && one.health.state === 'well');
    // With nowhere else to go, what it may yet answer is better kept waiting for.
    if (member.unanswered < this.options.ejectAfter || !others) return;
    const reason = `no reply and no answer to ${member.unanswered} probes`;
    const lost = [...member.leases];
    member.health.eject();
    this.announce(member, reason);
    this.ejected(member, reason);
    // Whoever waits there is sent elsewhere now, not when the deadline of the request is over.
    const failure = new HttpFailure('connection', reason, { retryable: true });
    for (const held of lost) held.lose(failure);
  }

  private outageError(): SteptreeError {
    const seconds = Math.round((this.timing.now() - (this.outageSinceMs ?? 0)) / 1000);
    const reasons = this.members.map(
      ({ replica, lastReason }) => `${replica.endpoint.url} (${lastReason})`,
    );
    return new SteptreeError(
      'POLICY_REPLICAS_DOWN',
      `all ${this.members.length} replicas have been down for ${seconds} s: ${reasons.join(', ')}; start one of them, or raise --outage-patience-ms`,
      { urls: this.members.map(({ replica }) => replica.endpoint.url), seconds },
    );
  }
}

function closedError(): SteptreeError {
  return new SteptreeError(
    'POLICY_CLOSED',
    'the replicas were closed; calls must end before close()',
  );
}
