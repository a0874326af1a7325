import type { FinishReason, PathScores, Step } from '../../search/index.js';
import type { WatchedReply } from './watched-models.js';

/** A step of the tree that a solve grows: the same steps after the same prefix are one node. */
export interface LiveNode {
  /** Index in the list of nodes; parents come first. */
  readonly id: number;
  /** -1 for a first step. */
  readonly parent: number;
  readonly text: string;
  /** Samples that go through it. */
  samples: number;
  /** Tokens of the call that it came with, all steps of a rollout counting at its last one. */
  tokens: number;
  /** Step score in [0, 1]; null while there is none. */
  score: number | null;
  /** Score of the whole solution that ends here, from reward models of whole solutions. */
  outcome: number | null;
  /** How a rollout ended here; null where none did. */
  finish: FinishReason | null;
  /** Whether it was sampled as one step, or in a whole solution. */
  readonly until: 'step' | 'end';
}

export type TreeEvent =
  | { readonly type: 'nodes'; readonly nodes: readonly LiveNode[] }
  | {
      readonly type: 'scores';
      /** id, step score, outcome. */
      readonly scores: readonly (readonly [number, number | null, number | null])[];
    };

/** The tree as far as the calls to the models show it, whatever the strategy. */
export class LiveTree {
  readonly nodes: LiveNode[] = [];
  /** Nodes that the limit left out. */
  dropped = 0;
  private readonly ids = new Map<string, number>();

  constructor(private readonly maxNodes: number) {}

  /** @returns what is new, or changed */
  addSamples({ prefix, until, reply }: WatchedReply): TreeEvent | null {
    const touched = new Set<LiveNode>();
    for (const { steps, finish, policyTokens } of reply.rollouts) {
      let at = this.walk(prefix, until, touched);
      for (const step of steps) {
        const node = this.child(at, step, until);
        if (node === null) break;
        node.samples++;
        touched.add(node);
        at = node.id;
      }
      const last = at < 0 || steps.length === 0 ? undefined : this.nodes[at];
      if (last === undefined) continue;
      last.tokens += policyTokens;
      last.finish = finish;
    }
    return touched.size === 0 ? null : { type: 'nodes', nodes: [...touched] };
  }

  addScores(paths: readonly (readonly Step[])[], scores: readonly PathScores[]): TreeEvent | null {
    const touched = new Map<number, readonly [number, number | null, number | null]>();
    paths.forEach((path, index) => {
      let at = -1;
      const found = scores[index];
      path.forEach((step, place) => {
        const node = this.known(at, step);
        at = node?.id ?? -2;
        if (!node) return;
        node.score = found?.steps[place] ?? node.score;
        if (place === path.length - 1) node.outcome = found?.outcome ?? node.outcome;
        touched.set(node.id, [node.id, node.score, node.outcome]);
      });
    });
    return touched.size === 0 ? null : { type: 'scores', scores: [...touched.values()] };
  }

  /** Steps that a critic wrote are on no rollout. */
  private walk(prefix: readonly Step[], until: 'step' | 'end', touched: Set<LiveNode>): number {
    let at = -1;
    for (const step of prefix) {
      const known = this.known(at, step);
      const node = known ?? this.child(at, step, until);
      if (node === null) return -2;
      if (!known) touched.add(node);
      at = node.id;
    }
    return at;
  }

  private known(parent: number, text: Step): LiveNode | undefined {
    const id = this.ids.get(`${parent}\u0000${text}`);
    return id === undefined ? undefined : this.nodes[id];
  }

  private child(parent: number, text: Step, until: 'step' | 'end'): LiveNode | null {
    const known = this.known(parent, text);
    if (known) return known;
    if (parent === -2 || this.nodes.length >= this.maxNodes) {
      this.dropped++;
      return null;
    }
    const node: LiveNode = {
      id: this.nodes.length,
      parent,
      text,
      samples: 0,
      tokens: 0,
      score: null,
      outcome: null,
      finish: null,
      until,
    };
    this.nodes.push(node);
    this.ids.set(`${parent}\u0000${text}`, node.id);
    return node;
  }
}
