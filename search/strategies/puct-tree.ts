import type { PartialPath } from '../expand.js';
import type { Step } from '../types.js';

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
const NEVER = 0xffffffff;

/** A search tree over steps, in typed arrays of `capacity` rows, grown by doubling. A simulation
 *  costs O(depth * children): nothing here looks at more than one path and its siblings. */
export class PuctTree {
  size = 0;
  private parent = new Int32Array(CAPACITY);
  private firstChild = new Int32Array(CAPACITY);
  private nextSibling = new Int32Array(CAPACITY);
  private childCount = new Uint32Array(CAPACITY);
  /** uint32[capacity]: finished simulations through the state. */
  private visits = new Uint32Array(CAPACITY);
  /** uint32[capacity]: simulations through the state whose value is not known yet. They count as
   *  visits of value 0, so that those of one batch spread (virtual loss, Chaslot et al. 2008). */
  private inFlight = new Uint32Array(CAPACITY);
  /** float64[capacity]: sum and maximum of the values backed up through the state. */
  private valueSum = new Float64Array(CAPACITY);
  private valueMax = new Float64Array(CAPACITY);
  /** float64[capacity]: the reward model's score of the prefix, in [0, 1]. */
  private ownValue = new Float64Array(CAPACITY);
  private prior = new Float64Array(CAPACITY);
  /** uint32[capacity]: visits from which on the state takes further children; NEVER is closed. */
  private widensAt = new Uint32Array(CAPACITY);
  /** uint8[capacity]: OPEN, COMPLETE, PENDING (its children are being asked for) or DEAD. */
  private status = new Uint8Array(CAPACITY);
  private policyTokens = new Float64Array(CAPACITY);
  /** uint32[capacity]: steps from the root. */
  private depth = new Uint32Array(CAPACITY);
  /** Steps between the parent's prefix and this one's; empty if the policy only ended there. */
  private readonly segments: (readonly Step[])[] = [];

  constructor(private readonly rules: PuctRules) {
    this.append(NONE, [], 0, 0, OPEN);
  }

  /** Walks down from the root by the greatest Q + U.
   *  @returns a complete state, one that wants children, or null if the walk came to a state
   *  without children whose first ones are under way, or the root is dead */
  selectLeaf(): NodeIndex | null {
    let at = 0;
    for (;;) {
      const status = this.status[at];
      if (status === COMPLETE) return at;
      if (status === DEAD) return null;
      if (status === OPEN && (this.visits[at] ?? 0) >= (this.widensAt[at] ?? NEVER)) return at;
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
    const { cPuct, cBase } = this.rules;
    const visits = (this.visits[at] ?? 0) + (this.inFlight[at] ?? 0);
    const weight = Math.sqrt(visits) * (cPuct + Math.log((visits + cBase + 1) / cBase));
    let best = NONE;
    let bestScore = Number.NEGATIVE_INFINITY;
    let child = this.firstChild[at] ?? NONE;
    while (child !== NONE) {
      if (this.status[child] !== DEAD) {
        const tried = (this.visits[child] ?? 0) + (this.inFlight[child] ?? 0);
        const score = this.qValue(child) + (weight * (this.prior[child] ?? 0)) / (1 + tried);
        // Siblings are linked from the newest to the oldest, which wins a tie.
        if (score >= bestScore) {
          best = child;
          bestScore = score;
        }
      }
      child = this.nextSibling[child] ?? NONE;
    }
    return best;
  }

  /** Q in [0, 1], lowered by simulations in flight. */
  qValue(at: NodeIndex): number {
    const visits = this.visits[at] ?? 0;
    const flying = this.inFlight[at] ?? 0;
    if (visits === 0) return (this.ownValue[at] ?? 0) / (1 + flying);
    if (this.rules.backup === 'mean') return (this.valueSum[at] ?? 0) / (visits + flying);
    return ((this.valueMax[at] ?? 0) * visits) / (visits + flying);
  }

  /** Counts a finished simulation on the state and everything above it. */
  backup(from: NodeIndex, value: number): void {
    for (let at = from; at !== NONE; at = this.parent[at] ?? NONE) {
      this.visits[at]! += 1;
      this.valueSum[at]! += value;
      if (value > (this.valueMax[at] ?? 0)) this.valueMax[at] = value;
    }
  }

  /** Marks a leaf whose children are being asked for; `settle` takes the mark away. */
  begin(leaf: NodeIndex): void {
    this.status[leaf] = PENDING;
    this.addInFlight(leaf, 1);
  }

  /** Adds the children that were found and backs up the best new one's value. A state to which an
   *  expansion brought nothing new takes no further ones; if it has no living child, it is dead.
   *  @param children new distinct paths, open or complete, with scores in [0, 1] */
  settle(leaf: NodeIndex, children: readonly (PartialPath & { readonly score: number })[]): void {
    this.addInFlight(leaf, -1);
    this.status[leaf] = OPEN;
    const depth = this.depth[leaf] ?? 0;
    let best = NONE;
    for (const { steps, finish, policyTokens, score } of children) {
      const kind = finish === 'end' ? COMPLETE : OPEN;
      const child = this.append(leaf, steps.slice(depth), score, policyTokens, kind);
      if (best === NONE || score > (this.ownValue[best] ?? 0)) best = child;
    }
    if (children.length > 0) this.setPriors(leaf);
    this.widensAt[leaf] = children.length > 0 ? this.nextWidening(leaf) : NEVER;
    if (best === NONE && this.bestChild(leaf) === NONE) this.bury(leaf);
    else if (best === NONE) this.backup(leaf, this.ownValue[leaf] ?? 0);
    else this.backup(best, this.ownValue[best] ?? 0);
  }

  /** Children that a leaf is to be given now. */
  wantedChildren(leaf: NodeIndex): number {
    const has = this.childCount[leaf] ?? 0;
    if (has === 0) return Math.min(this.rules.width, this.rules.maxChildren);
    const { wideningScale, wideningExponent, maxChildren } = this.rules;
    const allowed = Math.floor(wideningScale * (this.visits[leaf] ?? 0) ** wideningExponent);
    return Math.max(1, Math.min(allowed, maxChildren) - has);
  }

  path(at: NodeIndex): PartialPath {
    const steps = new Array<Step>(this.depth[at] ?? 0);
    let end = steps.length;
    for (let up = at; up !== NONE; up = this.parent[up] ?? NONE) {
      const segment = this.segments[up] ?? [];
      end -= segment.length;
      segment.forEach((step, i) => {
        steps[end + i] = step;
      });
    }
    const finish = this.isComplete(at) ? 'end' : 'step';
    return { steps, finish, policyTokens: this.policyTokens[at] ?? 0 };
  }

  children(at: NodeIndex): NodeIndex[] {
    const found: NodeIndex[] = [];
    let child = this.firstChild[at] ?? NONE;
    while (child !== NONE) {
      found.push(child);
      child = this.nextSibling[child] ?? NONE;
    }
    return found.reverse();
  }

  isComplete(at: NodeIndex): boolean {
    return this.status[at] === COMPLETE;
  }

  value(at: NodeIndex): number {
    return this.ownValue[at] ?? 0;
  }

  visitCount(at: NodeIndex): number {
    return this.visits[at] ?? 0;
  }

  inFlightCount(at: NodeIndex): number {
    return this.inFlight[at] ?? 0;
  }

  priorOf(at: NodeIndex): number {
    return this.prior[at] ?? 0;
  }

  /** Prior of each child: softmax of the siblings' values, as a reward model knows no policy. */
  private setPriors(at: NodeIndex): void {
    const children = this.children(at);
    const best = Math.max(...children.map((child) => this.value(child)));
    const weights = children.map((child) =>
      Math.exp((this.value(child) - best) / this.rules.priorTemperature),
    );
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    children.forEach((child, i) => {
      this.prior[child] = (weights[i] ?? 0) / total;
    });
  }

  /** Progressive widening (Couetoux et al. 2011): visits at which one more child is allowed. */
  private nextWidening(at: NodeIndex): number {
    const { wideningScale, wideningExponent, maxChildren } = this.rules;
    const next = (this.childCount[at] ?? 0) + 1;
    if (next > maxChildren || wideningScale === 0 || wideningExponent === 0) return NEVER;
    return Math.min(NEVER, Math.ceil((next / wideningScale) ** (1 / wideningExponent)));
  }

  /** A state from which nothing can be completed, and all above it of which that is now true. */
  private bury(at: NodeIndex): void {
    this.status[at] = DEAD;
    const up = this.parent[at] ?? NONE;
    if (up === NONE || this.bestChild(up) !== NONE) return;
    const full = (this.childCount[up] ?? 0) >= this.rules.maxChildren;
    if (full || this.widensAt[up] === NEVER) this.bury(up);
    else this.widensAt[up] = 0;
  }

  private addInFlight(from: NodeIndex, change: number): void {
    for (let at = from; at !== NONE; at = this.parent[at] ?? NONE) this.inFlight[at]! += change;
  }

  private append(
    parent: NodeIndex,
    segment: readonly Step[],
    value: number,
    policyTokens: number,
    status: number,
  ): NodeIndex {
    const index = this.size;
    if (index === this.parent.length) this.grow();
    this.size++;
    this.parent[index] = parent;
    this.firstChild[index] = NONE;
    this.nextSibling[index] = parent === NONE ? NONE : (this.firstChild[parent] ?? NONE);
    this.ownValue[index] = value;
    this.policyTokens[index] = policyTokens;
    this.status[index] = status;
    this.depth[index] = (this.depth[parent] ?? 0) + segment.length;
    this.segments.push(segment);
    if (parent !== NONE) {
      this.firstChild[parent] = index;
      this.childCount[parent]! += 1;
    }
    return index;
  }

  private grow(): void {
    const capacity = this.parent.length * 2;
    this.parent = grown(this.parent, new Int32Array(capacity));
    this.firstChild = grown(this.firstChild, new Int32Array(capacity));
    this.nextSibling = grown(this.nextSibling, new Int32Array(capacity));
    this.childCount = grown(this.childCount, new Uint32Array(capacity));
    this.visits = grown(this.visits, new Uint32Array(capacity));
    this.inFlight = grown(this.inFlight, new Uint32Array(capacity));
    this.valueSum = grown(this.valueSum, new Float64Array(capacity));
    this.valueMax = grown(this.valueMax, new Float64Array(capacity));
    this.ownValue = grown(this.ownValue, new Float64Array(capacity));
    this.prior = grown(this.prior, new Float64Array(capacity));
    this.widensAt = grown(this.widensAt, new Uint32Array(capacity));
    this.status = grown(this.status, new Uint8Array(capacity));
    this.policyTokens = grown(this.policyTokens, new Float64Array(capacity));
    this.depth = grown(this.depth, new Uint32Array(capacity));
  }
}

const CAPACITY = 64;

const OPEN = 0;
const COMPLETE = 1;
const PENDING = 2;
const DEAD = 3;

function grown<T extends Int32Array | Uint32Array | Float64Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
