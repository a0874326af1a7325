import type { Step } from './types.js';

/** Index of a state in its tree. The root is 0. */
export type StateIndex = number;

export const NO_STATE = -1;
export const ROOT = 0;

/** The tree of states in typed arrays, `capacity` rows each, grown by doubling.
 *  A state is a path prefix; it holds the *segment* of steps that leads to it from its parent. */
export class StateTree {
  size = 0;
  /** int32[capacity]: the parent's index, NO_STATE at the root. */
  parent = new Int32Array(INITIAL_CAPACITY);
  firstChild = new Int32Array(INITIAL_CAPACITY);
  lastChild = new Int32Array(INITIAL_CAPACITY);
  nextSibling = new Int32Array(INITIAL_CAPACITY);
  /** uint32[capacity]: how often the state was selected (MM-PRM counts no ancestors). */
  visits = new Uint32Array(INITIAL_CAPACITY);
  /** uint32[capacity]: rollouts of this state that reached the gold answer, duplicates included. */
  correct = new Uint32Array(INITIAL_CAPACITY);
  /** uint32[capacity]: rollouts of this state that could be graded, duplicates included. */
  graded = new Uint32Array(INITIAL_CAPACITY);
  /** uint32[capacity]: rollouts that could not be graded: truncated, empty, or the checker gave up. */
  ungraded = new Uint32Array(INITIAL_CAPACITY);
  /** float64[capacity]: Monte Carlo value in [0, 1]; NaN where it was never estimated. */
  mcValue = new Float64Array(INITIAL_CAPACITY);
  /** Steps between the parent's prefix and this state's. */
  readonly segments: (readonly Step[])[] = [];
  /** Distinct correct rollouts (steps after this state's prefix), in order of arrival. */
  readonly correctRollouts: (readonly Step[])[][] = [];
  /** Distinct incorrect rollouts, in order of arrival. */
  readonly incorrectRollouts: (readonly Step[])[][] = [];

  constructor() {
    this.addState(NO_STATE, []);
  }

  /** Appends a state as the last child of `parent` and returns its index. */
  addState(parent: StateIndex, segment: readonly Step[]): StateIndex {
    const index = this.size;
    if (index === this.parent.length) this.grow();
    this.size++;
    this.parent[index] = parent;
    this.firstChild[index] = NO_STATE;
    this.lastChild[index] = NO_STATE;
    this.nextSibling[index] = NO_STATE;
    this.mcValue[index] = Number.NaN;
    this.segments.push(segment);
    this.correctRollouts.push([]);
    this.incorrectRollouts.push([]);
    if (parent !== NO_STATE) this.linkChild(parent, index);
    return index;
  }

  /** Children in order of arrival. */
  children(state: StateIndex): StateIndex[] {
    const found: StateIndex[] = [];
    let child = this.firstChild[state] ?? NO_STATE;
    while (child !== NO_STATE) {
      found.push(child);
      child = this.nextSibling[child] ?? NO_STATE;
    }
    return found;
  }

  segment(state: StateIndex): readonly Step[] {
    return this.segments[state] ?? [];
  }

  /** All steps from the root to this state. */
  prefix(state: StateIndex): Step[] {
    const segments: (readonly Step[])[] = [];
    for (let at = state; at !== NO_STATE; at = this.parent[at] ?? NO_STATE) {
      segments.push(this.segment(at));
    }
    return segments.reverse().flat();
  }

  value(state: StateIndex): number {
    return this.mcValue[state] ?? Number.NaN;
  }

  private linkChild(parent: StateIndex, child: StateIndex): void {
    const last = this.lastChild[parent] ?? NO_STATE;
    if (last === NO_STATE) this.firstChild[parent] = child;
    else this.nextSibling[last] = child;
    this.lastChild[parent] = child;
  }

  private grow(): void {
    const capacity = this.parent.length * 2;
    this.parent = copyInto(new Int32Array(capacity), this.parent);
    this.firstChild = copyInto(new Int32Array(capacity), this.firstChild);
    this.lastChild = copyInto(new Int32Array(capacity), this.lastChild);
    this.nextSibling = copyInto(new Int32Array(capacity), this.nextSibling);
    this.visits = copyInto(new Uint32Array(capacity), this.visits);
    this.correct = copyInto(new Uint32Array(capacity), this.correct);
    this.graded = copyInto(new Uint32Array(capacity), this.graded);
    this.ungraded = copyInto(new Uint32Array(capacity), this.ungraded);
    this.mcValue = copyInto(new Float64Array(capacity), this.mcValue);
  }
}

const INITIAL_CAPACITY = 16;

function copyInto<T extends Int32Array | Uint32Array | Float64Array>(to: T, from: T): T {
  to.set(from);
  return to;
}
