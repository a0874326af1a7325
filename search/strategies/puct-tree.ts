import type { PartialPath } from '../expand.js';
import { ListHash } from '../hash.js';
import type { Step } from '../types.js';
import type { SearchState } from './result.js';

export interface PuctRules {
  /** Weight of exploration. */
  readonly cPuct: number;
  /** Visits at which exploration's logarithmic growth sets in. */
  readonly cBase: number;
  readonly priorTemperature: number;
  /** Children asked for at first. */
  readonly width: number;
  /** A state with v visits may have wideningScale * v^wideningExponent children … */
  readonly wideningScale: number;
  readonly wideningExponent: number;
  /** … but never more than this. */
  readonly maxChildren: number;
  readonly backup: 'mean' | 'max';
}

export type NodeIndex = number;

const NONE = -1;
const NEVER = 0x7fffffff;

/** A search tree over steps. A simulation costs O(depth * children): nothing here looks at more than
 *  one path and its siblings.
 *
 *  What a walk reads of a state stands in one row of 64 bytes, a line of the processor's cache, and
 *  children that are found together stand in adjacent rows: with an array per field a child cost
 *  seven lines, and a tree beyond the cache took twice as long per level. */
export class PuctTree {
  size = 0;
  /** int32[capacity][16], the first half of each row; fields below. */
  private ints = new Int32Array(CAPACITY * INTS);
  /** float64[capacity][8] over the same bytes; the second half of each row. */
  private floats = new Float64Array(this.ints.buffer);
  private policyTokens = new Float64Array(CAPACITY);
  /** uint32[capacity]: steps from the root. */
  private depth = new Uint32Array(CAPACITY);
  /** All states' steps, one after the other: those between the parent's prefix and a state's end at
   *  `segmentEnd`. A state has none if the policy only ended there. */
  private readonly texts: Step[] = [];
  private segmentEnd = new Uint32Array(CAPACITY);
  /** Hash of each state's prefix, where its paths came with one. */
  private readonly hashes: (ListHash | undefined)[] = [];

  constructor(private readonly rules: PuctRules) {
    this.append(NONE, ROOT, 0, OPEN);
  }

  /** Walks down from the root by the greatest Q + U.
   *  @returns a complete state, one that wants children, or null if the walk came to a state
   *  without children whose first ones are under way, or the root is dead */
  selectLeaf(): NodeIndex | null {
    const { ints } = this;
    let at = 0;
    for (;;) {
      const row = at * INTS;
      const status = ints[row + STATUS];
      if (status === COMPLETE) return at;
      if (status === DEAD) return null;
      if (status === OPEN && ints[row + VISITS]! >= ints[row + WIDENS_AT]!) return at;
      const child = this.bestChild(at);
      if (child === NONE) return null;
      at = child;
    }
  }

  /** PUCT (AlphaZero, arXiv 1712.01815; MuZero, arXiv 1911.08265, App. B):
   *
   *      Q + P * sqrt(N) / (1 + n) * (cPuct + ln((N + cBase + 1) / cBase))
   *
   *  The older of equal children wins. Q of a child without visits is its own value. */
  private bestChild(at: NodeIndex): NodeIndex {
    const { ints, floats } = this;
    const row = at * INTS;
    const weight = this.explorationOf(at);
    let best = NONE;
    let bestScore = Number.NEGATIVE_INFINITY;
    let child = ints[row + FIRST_CHILD]!;
    while (child !== NONE) {
      const own = child * INTS;
      if (ints[own + STATUS] !== DEAD) {
        const tried = ints[own + VISITS]! + ints[own + IN_FLIGHT]!;
        const score = this.qValue(child) + (weight * floats[child * FLOATS + PRIOR]!) / (1 + tried);
        // Siblings are linked from the newest to the oldest, which wins a tie.
        if (score >= bestScore) {
          best = child;
          bestScore = score;
        }
      }
      child = ints[own + NEXT_SIBLING]!;
    }
    return best;
  }

  /** What a child's U = weight * P / (1 + n) has in common with its siblings'. */
  private explorationOf(at: NodeIndex): number {
    const { cPuct, cBase } = this.rules;
    const visits = this.ints[at * INTS + VISITS]! + this.ints[at * INTS + IN_FLIGHT]!;
    return Math.sqrt(visits) * (cPuct + Math.log((visits + cBase + 1) / cBase));
  }

  /** Q in [0, 1], lowered by simulations in flight. */
  qValue(at: NodeIndex): number {
    const visits = this.ints[at * INTS + VISITS]!;
    const tried = visits + this.ints[at * INTS + IN_FLIGHT]!;
    if (visits === 0) return this.floats[at * FLOATS + OWN_VALUE]! / (1 + tried);
    if (this.rules.backup === 'mean') return this.floats[at * FLOATS + VALUE_SUM]! / tried;
    return (this.floats[at * FLOATS + VALUE_MAX]! * visits) / tried;
  }

  /** Counts a finished simulation on the state and everything above it. */
  backup(from: NodeIndex, value: number): void {
    const { ints, floats } = this;
    for (let at = from; at !== NONE; at = ints[at * INTS + PARENT]!) {
      ints[at * INTS + VISITS]! += 1;
      floats[at * FLOATS + VALUE_SUM]! += value;
      if (value > floats[at * FLOATS + VALUE_MAX]!) floats[at * FLOATS + VALUE_MAX] = value;
    }
  }

  /** Marks a leaf whose children are being asked for; `settle` takes the mark away. */
  begin(leaf: NodeIndex): void {
    this.ints[leaf * INTS + STATUS] = PENDING;
    this.addInFlight(leaf, 1);
  }

  /** Adds the children that were found and backs up the best new one's value, unless the simulation
   *  goes on from there. A state to which an expansion brought nothing new takes no further ones; if it
   *  has no living child, it is dead.
   *  @param children new distinct paths, open or complete, with scores in [0, 1]
   *  @param goesOn whether the simulation is to go on to a solution
   *  @returns the open child from which it goes on, or null if it ended here */
  settle(
    leaf: NodeIndex,
    children: readonly (PartialPath & { readonly score: number })[],
    goesOn = false,
  ): NodeIndex | null {
    this.addInFlight(leaf, -1);
    let best = NONE;
    for (const child of children) {
      const kind = child.finish === 'end' ? COMPLETE : OPEN;
      const index = this.append(leaf, child, child.score, kind);
      if (best === NONE || child.score > this.value(best)) best = index;
    }
    this.ints[leaf * INTS + STATUS] = OPEN;
    if (children.length > 0) this.setPriors(leaf);
    this.ints[leaf * INTS + WIDENS_AT] = children.length > 0 ? this.nextWidening(leaf) : NEVER;
    if (best !== NONE && goesOn && !this.isComplete(best)) return best;
    if (best !== NONE) this.backup(best, this.value(best));
    else if (this.bestChild(leaf) === NONE) this.bury(leaf);
    else this.backup(leaf, this.value(leaf));
    return null;
  }

  /** Children that a leaf is to be given now. */
  wantedChildren(leaf: NodeIndex): number {
    const has = this.ints[leaf * INTS + CHILD_COUNT]!;
    if (has === 0) return Math.min(this.rules.width, this.rules.maxChildren);
    const { wideningScale, wideningExponent, maxChildren } = this.rules;
    const allowed = Math.floor(wideningScale * this.visitCount(leaf) ** wideningExponent);
    return Math.max(1, Math.min(allowed, maxChildren) - has);
  }

  /** Those of the sampled paths that say what neither a child of the leaf nor an earlier one does.
   *  @param paths extensions of the leaf's */
  newChildren<P extends PartialPath>(leaf: NodeIndex, paths: readonly P[]): P[] {
    const depth = this.depth[leaf]!;
    const fresh: P[] = [];
    for (const path of paths) {
      if (this.hasChild(leaf, path) || fresh.some((other) => isSame(other, path, depth))) continue;
      fresh.push(path);
    }
    return fresh;
  }

  path(at: NodeIndex): PartialPath {
    const steps = new Array<Step>(this.depth[at]!);
    let end = steps.length;
    for (let up = at; up !== NONE; up = this.ints[up * INTS + PARENT]!) {
      const first = this.segmentStart(up);
      for (let text = this.segmentEnd[up]! - 1; text >= first; text--) {
        steps[--end] = this.texts[text]!;
      }
    }
    const finish = this.isComplete(at) ? 'end' : 'step';
    const policyTokens = this.policyTokens[at]!;
    const hash = this.hashes[at];
    return hash ? { steps, finish, policyTokens, hash } : { steps, finish, policyTokens };
  }

  /** From the oldest to the newest. */
  children(at: NodeIndex): NodeIndex[] {
    const found: NodeIndex[] = [];
    let child = this.ints[at * INTS + FIRST_CHILD]!;
    while (child !== NONE) {
      found.push(child);
      child = this.ints[child * INTS + NEXT_SIBLING]!;
    }
    return found.reverse();
  }

  /** All states, parents first: in the order in which they were found. */
  states(): SearchState[] {
    return Array.from({ length: this.size }, (_, at) => {
      const parent = this.ints[at * INTS + PARENT]!;
      const prior = parent === NONE ? null : this.priorOf(at);
      const tried = this.visitCount(at) + this.inFlightCount(at);
      return {
        parent,
        steps: this.texts.slice(this.segmentStart(at), this.segmentEnd[at]),
        score: parent === NONE ? null : this.value(at),
        visits: this.visitCount(at),
        q: this.qValue(at),
        u: prior === null ? null : (this.explorationOf(parent) * prior) / (1 + tried),
        prior,
        isEnd: this.isComplete(at),
      };
    });
  }

  isComplete(at: NodeIndex): boolean {
    return this.ints[at * INTS + STATUS] === COMPLETE;
  }

  value(at: NodeIndex): number {
    return this.floats[at * FLOATS + OWN_VALUE]!;
  }

  visitCount(at: NodeIndex): number {
    return this.ints[at * INTS + VISITS]!;
  }

  inFlightCount(at: NodeIndex): number {
    return this.ints[at * INTS + IN_FLIGHT]!;
  }

  priorOf(at: NodeIndex): number {
    return this.floats[at * FLOATS + PRIOR]!;
  }

  /** Prior of each child: softmax of the siblings' values, as a reward model knows no policy. */
  private setPriors(at: NodeIndex): void {
    const children = this.children(at);
    let best = 0;
    for (const child of children) best = Math.max(best, this.value(child));
    let total = 0;
    for (const child of children) {
      const weight = Math.exp((this.value(child) - best) / this.rules.priorTemperature);
      this.floats[child * FLOATS + PRIOR] = weight;
      total += weight;
    }
    for (const child of children) this.floats[child * FLOATS + PRIOR]! /= total;
  }

  /** Progressive widening (Couetoux et al. 2011): visits at which one more child is allowed. */
  private nextWidening(at: NodeIndex): number {
    const { wideningScale, wideningExponent, maxChildren } = this.rules;
    const next = this.ints[at * INTS + CHILD_COUNT]! + 1;
    if (next > maxChildren || wideningScale === 0 || wideningExponent === 0) return NEVER;
    return Math.min(NEVER, Math.ceil((next / wideningScale) ** (1 / wideningExponent)));
  }

  /** A state from which nothing can be completed, and all above it of which that is now true. */
  private bury(at: NodeIndex): void {
    this.ints[at * INTS + STATUS] = DEAD;
    const up = this.ints[at * INTS + PARENT]!;
    if (up === NONE || this.bestChild(up) !== NONE) return;
    const full = this.ints[up * INTS + CHILD_COUNT]! >= this.rules.maxChildren;
    if (full || this.ints[up * INTS + WIDENS_AT] === NEVER) this.bury(up);
    else this.ints[up * INTS + WIDENS_AT] = 0;
  }

  private addInFlight(from: NodeIndex, change: number): void {
    const { ints } = this;
    for (let at = from; at !== NONE; at = ints[at * INTS + PARENT]!) {
      ints[at * INTS + IN_FLIGHT]! += change;
    }
  }

  private hasChild(at: NodeIndex, { steps, finish }: PartialPath): boolean {
    const depth = this.depth[at]!;
    let child = this.ints[at * INTS + FIRST_CHILD]!;
    for (; child !== NONE; child = this.ints[child * INTS + NEXT_SIBLING]!) {
      if (this.depth[child] !== steps.length) continue;
      if ((finish === 'end') !== this.isComplete(child)) continue;
      if (finish !== 'end' && finish !== 'step') continue;
      const first = this.segmentStart(child) - depth;
      let i = depth;
      while (i < steps.length && this.texts[first + i] === steps[i]) i++;
      if (i === steps.length) return true;
    }
    return false;
  }

  private segmentStart(at: NodeIndex): number {
    return at === 0 ? 0 : this.segmentEnd[at - 1]!;
  }

  private append(parent: NodeIndex, path: PartialPath, value: number, status: number): NodeIndex {
    const index = this.size;
    if (index === this.depth.length) this.grow();
    this.size++;
    const { ints } = this;
    const row = index * INTS;
    ints[row + PARENT] = parent;
    ints[row + FIRST_CHILD] = NONE;
    ints[row + NEXT_SIBLING] = parent === NONE ? NONE : ints[parent * INTS + FIRST_CHILD]!;
    ints[row + STATUS] = status;
    this.floats[index * FLOATS + OWN_VALUE] = value;
    this.policyTokens[index] = path.policyTokens;
    const depth = parent === NONE ? 0 : this.depth[parent]!;
    for (let i = depth; i < path.steps.length; i++) this.texts.push(path.steps[i]!);
    this.segmentEnd[index] = this.texts.length;
    this.depth[index] = path.steps.length;
    this.hashes.push(path.hash);
    if (parent !== NONE) {
      ints[parent * INTS + FIRST_CHILD] = index;
      ints[parent * INTS + CHILD_COUNT]! += 1;
    }
    return index;
  }

  private grow(): void {
    const capacity = this.depth.length * 2;
    this.ints = grown(this.ints, new Int32Array(capacity * INTS));
    this.floats = new Float64Array(this.ints.buffer);
    this.policyTokens = grown(this.policyTokens, new Float64Array(capacity));
    this.depth = grown(this.depth, new Uint32Array(capacity));
    this.segmentEnd = grown(this.segmentEnd, new Uint32Array(capacity));
  }
}

const CAPACITY = 64;

const ROOT = { steps: [], finish: 'step', policyTokens: 0, hash: ListHash.EMPTY } as const;

/** A row is so many int32 or float64. */
const INTS = 16;
const FLOATS = 8;

/** int32 fields of a row. */
const PARENT = 0;
const FIRST_CHILD = 1;
const NEXT_SIBLING = 2;
/** Finished simulations through the state. */
const VISITS = 3;
/** Simulations through the state whose value is not known yet. They count as visits of value 0, so
 *  that those of one batch spread (virtual loss, Chaslot et al. 2008). */
const IN_FLIGHT = 4;
/** OPEN, COMPLETE, PENDING (its children are being asked for) or DEAD. */
const STATUS = 5;
const CHILD_COUNT = 6;
/** Visits from which on the state takes further children; NEVER is closed. */
const WIDENS_AT = 7;

/** float64 fields of a row, behind its int32 fields. */
const VALUE_SUM = 4;
const VALUE_MAX = 5;
/** The reward model's score of the prefix, in [0, 1]. */
const OWN_VALUE = 6;
const PRIOR = 7;

const OPEN = 0;
const COMPLETE = 1;
const PENDING = 2;
const DEAD = 3;

/** Whether two extensions of one state are the same from `depth` on. */
function isSame(a: PartialPath, b: PartialPath, depth: number): boolean {
  if (a.finish !== b.finish || a.steps.length !== b.steps.length) return false;
  let i = depth;
  while (i < a.steps.length && a.steps[i] === b.steps[i]) i++;
  return i === a.steps.length;
}

function grown<T extends Int32Array | Uint32Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
