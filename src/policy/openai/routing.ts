import { contentHash } from '../../../search/rng.js';

export const ROUTINGS = ['affinity', 'least-loaded', 'round-robin'] as const;

/** In which order replicas are asked to take a call. */
export type Routing = (typeof ROUTINGS)[number];

/** The replicas in the order in which a call with this key tries them.
 *  @param loads rollouts in flight, per replica */
export type ReplicaOrder = (key: string, loads: () => readonly number[]) => readonly number[];

// A run's active problems many times over; beyond it the orders are simply found again.
const REMEMBERED_KEYS = 10_000;

/** `affinity`: the key's own order, see `rankUrls`. The others know nothing of keys and are for
 *  servers without a prefix cache, and for comparison. */
export function createReplicaOrder(routing: Routing, urls: readonly string[]): ReplicaOrder {
  const all = urls.map((_, index) => index);
  if (routing === 'round-robin') {
    let next = 0;
    return () => {
      const from = next++ % all.length;
      return [...all.slice(from), ...all.slice(0, from)];
    };
  }
  if (routing === 'least-loaded') {
    return (_key, loads) => {
      const load = loads();
      return [...all].sort((a, b) => (load[a] ?? 0) - (load[b] ?? 0));
    };
  }
  const orders = new Map<string, readonly number[]>();
  return (key) => {
    const known = orders.get(key);
    if (known !== undefined) return known;
    if (orders.size >= REMEMBERED_KEYS) orders.clear();
    const order = rankUrls(urls, key);
    orders.set(key, order);
    return order;
  };
}

/** Indices of all URLs in the key's own order. Rendezvous hashing: each one's rank depends on (key,
 *  URL) alone, so adding or losing one moves only that one's share of the keys: the promise of
 *  consistent hashing, without a ring and exactly even. */
export function rankUrls(urls: readonly string[], key: string): number[] {
  if (urls.length < 2) return urls.map((_, index) => index);
  return urls
    .map((url, index) => ({ index, rank: contentHash([key, url]) }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
    .map(({ index }) => index);
}

/** What a replica may have in flight before it takes another call: `factor` times the mean, the
 *  call included, and never less than `floor`. One of them is always below.
 *  Consistent hashing with bounded loads, arXiv 1608.01350, section 2; for calls of one rollout its
 *  bound ⌈factor · mean⌉ holds as it stands, a call of k rollouts may go beyond it by k - 1.
 *  @param total rollouts in flight, those of the call included
 *  @param floor what a replica serves without queueing: below it moving a call away gains nothing
 *  and costs its prefix */
export function loadBound(total: number, replicas: number, factor: number, floor: number): number {
  return Math.max(floor, (factor * total) / Math.max(1, replicas));
}
