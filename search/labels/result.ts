import type { StateIndex, StateTree } from '../tree.js';
import type { Critique, Step } from '../types.js';

/** What a labeller makes of one problem. */
export interface LabelResult {
  readonly tree: StateTree;
  /** OmegaPRM: which wrong rollout of which state was searched, in order; else empty. */
  readonly selections: readonly Selection[];
  /** Why the search ended: a budget or option by name, or `noCandidates` / `done`. */
  readonly stopped: string;
  /** A judge's findings on the whole solution that ends in a state. */
  readonly critiques: ReadonlyMap<StateIndex, Critique>;
}

export interface Selection {
  readonly prefix: readonly Step[];
  readonly rollout: readonly Step[];
}
