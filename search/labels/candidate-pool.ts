import { Heap } from '../heap.js';
import type { StateIndex, StateTree } from '../tree.js';
import type { Step } from '../types.js';
import type { OmegaPrmOptions } from './options.js';

/** A wrong rollout of a state whose first error is worth looking for. */
export interface Candidate {
  readonly state: StateIndex;
  readonly rollout: readonly Step[];
  /** Q + U at the moment of selection. */
  readonly priority: number;
}

type PoolOptions = Pick<OmegaPrmOptions, 'alpha' | 'beta' | 'lengthScale' | 'cPuct'>;

/** OmegaPRM's pool of candidates, selected by the greatest Q + U (arXiv 2406.06592, §3.3):
 *
 *      Q(s, r) = alpha^(1 - MC(s)) * beta^(words(r) / L)
 *      U(s)    = c_puct * sqrt(sum of all visits) / (1 + N(s))
 *
 *  U carries one factor common to all states, so all priorities change after every search;
 *  yet states of equal visit count keep their order by Q for ever. So there is one heap of
 *  states per visit count, ordered by the Q of the state's best remaining rollout, and a
 *  selection looks at the tops of these few heaps: O(log n) per update, never a full refresh.
 *
 *  Ties: of one state's rollouts with equal Q the smaller tuple of steps goes first, compared
 *  step by step in code points. Between states with equal Q + U the less visited goes first,
 *  then the one that was created first. */
export class CandidatePool {
  private readonly tree: StateTree;
  private readonly options: PoolOptions;
  /** heaps[v] holds the waiting states with visit count v. */
  private readonly heaps: Heap<HeapEntry>[] = [];
  /** Waiting rollouts of a state, best last, so that taking one is a pop. */
  private readonly queues = new Map<StateIndex, QueuedRollout[]>();
  private totalVisits = 0;

  constructor(tree: StateTree, options: PoolOptions) {
    this.tree = tree;
    this.options = options;
  }

  /** Adds all distinct wrong rollouts of a freshly estimated state whose value is above 0. */
  add(state: StateIndex): void {
    const value = this.tree.value(state);
    const queue = (this.tree.incorrectRollouts[state] ?? []).map((rollout) => ({
      rollout,
      q: qValue(value, rollout, this.options),
    }));
    if (queue.length === 0) return;
    queue.sort((a, b) => a.q - b.q || compareSteps(b.rollout, a.rollout));
    this.queues.set(state, queue);
    this.enqueue(state, 0);
  }

  /** Takes the best candidate out, or null if none waits. Its state waits outside the pool
   *  until `countVisit` brings it back, as nothing is selected in between. */
  take(): Candidate | null {
    let best: { heap: Heap<HeapEntry>; entry: HeapEntry; priority: number } | null = null;
    this.heaps.forEach((heap, visits) => {
      const entry = heap.peek();
      if (!entry) return;
      const priority = entry.q + this.uValue(visits);
      if (!best || priority > best.priority) best = { heap, entry, priority };
    });
    if (!best) return null;
    const { heap, entry, priority } = best as {
      heap: Heap<HeapEntry>;
      entry: HeapEntry;
      priority: number;
    };
    heap.pop();
    const taken = this.queues.get(entry.state)?.pop();
    return taken ? { state: entry.state, rollout: taken.rollout, priority } : null;
  }

  /** Counts a finished search on the selected state and lets its other rollouts wait again. */
  countVisit(state: StateIndex): void {
    const visits = (this.tree.visits[state] ?? 0) + 1;
    this.tree.visits[state] = visits;
    this.totalVisits++;
    this.enqueue(state, visits);
  }

  private enqueue(state: StateIndex, visits: number): void {
    const best = this.queues.get(state)?.at(-1);
    if (!best) {
      this.queues.delete(state);
      return;
    }
    while (this.heaps.length <= visits) this.heaps.push(new Heap<HeapEntry>(goesBefore));
    this.heaps[visits]?.push({ state, q: best.q });
  }

  private uValue(visits: number): number {
    return (this.options.cPuct * Math.sqrt(this.totalVisits)) / (1 + visits);
  }
}

interface QueuedRollout {
  readonly rollout: readonly Step[];
  readonly q: number;
}

interface HeapEntry {
  readonly state: StateIndex;
  readonly q: number;
}

/** Q of a wrong rollout: near-right states and short rollouts first. */
export function qValue(mcValue: number, rollout: readonly Step[], options: PoolOptions): number {
  const lengthPenalty = wordCount(rollout) / options.lengthScale;
  return options.alpha ** (1 - mcValue) * options.beta ** lengthPenalty;
}

/** Words of a rollout as Python's str.split() counts them, so that priorities agree with the
 *  reference runs: its white space is not JavaScript's \s. */
export function wordCount(rollout: readonly Step[]): number {
  let words = 0;
  for (const step of rollout) {
    let between = true;
    for (let i = 0; i < step.length; i++) {
      const isSpace = isPythonSpace(step.charCodeAt(i));
      if (between && !isSpace) words++;
      between = isSpace;
    }
  }
  return words;
}

function isPythonSpace(code: number): boolean {
  if (code < 0x85) return (code >= 0x1c && code <= 0x20) || (code >= 0x09 && code <= 0x0d);
  if (code < 0x2000) return code === 0x85 || code === 0xa0 || code === 0x1680;
  return (
    code <= 0x200a ||
    (code >= 0x2028 && code <= 0x202f && (code < 0x202a || code > 0x202e)) ||
    code === 0x205f ||
    code === 0x3000
  );
}

/** Order of tuples of strings, each compared by code points; a prefix is smaller. */
export function compareSteps(a: readonly Step[], b: readonly Step[]): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const order = compareCodePoints(a[i] ?? '', b[i] ?? '');
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

/** UTF-16 order puts surrogates below U+E000; code point order, Python's, does not. */
function compareCodePoints(a: string, b: string): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    if (a.charCodeAt(i) !== b.charCodeAt(i)) {
      return (a.codePointAt(i) ?? 0) - (b.codePointAt(i) ?? 0);
    }
  }
  return a.length - b.length;
}

/** Greatest q first, then the state that was created first. */
function goesBefore(a: HeapEntry, b: HeapEntry): boolean {
  return a.q > b.q || (a.q === b.q && a.state < b.state);
}
