import type { GradedRollouts } from '../context.js';
import type { Step } from '../types.js';

/** Which rollouts passed through which prefixes.
 *
 *  A policy continues a prefix without knowing where the text came from. So a rollout of a state, or a
 *  whole solution, that goes through a later prefix is from there on a rollout of that prefix like
 *  any other, and costs nothing. That holds too for the solution that a prefix was cut from: the
 *  prefix depends on its beginning, its end is drawn independently of that.
 *  The way back does not hold: rollouts of a later state are no fair sample of an earlier one, which
 *  would not always have come there. */
export class SharedRollouts {
  private readonly root: PrefixNode = newNode();

  /** @param prefixes those whose passing rollouts are wanted */
  constructor(prefixes: Iterable<readonly Step[]>) {
    for (const prefix of prefixes) {
      let node = this.root;
      for (const step of prefix) {
        const next = node.next.get(step) ?? newNode();
        node.next.set(step, next);
        node = next;
      }
    }
  }

  /** Counts rollouts of `start` for every prefix beyond it that they pass through. One that ends at a
   *  prefix does not pass through it. */
  add(start: readonly Step[], { rollouts, verdicts }: GradedRollouts): void {
    const from = this.find(start);
    if (!from) return;
    rollouts.forEach(({ steps }, i) => {
      const verdict = verdicts[i]?.verdict;
      if (verdict !== 'equal' && verdict !== 'different') return;
      let node: PrefixNode | undefined = from;
      for (const step of steps.slice(0, -1)) {
        node = node.next.get(step);
        if (!node) return;
        node.graded++;
        if (verdict === 'equal') node.correct++;
      }
    });
  }

  /** Counts of the rollouts that passed through the prefix, started before it. */
  of(prefix: readonly Step[]): { readonly correct: number; readonly graded: number } {
    const { correct, graded } = this.find(prefix) ?? newNode();
    return { correct, graded };
  }

  private find(prefix: readonly Step[]): PrefixNode | undefined {
    let node: PrefixNode | undefined = this.root;
    for (const step of prefix) node = node?.next.get(step);
    return node;
  }
}

interface PrefixNode {
  correct: number;
  graded: number;
  readonly next: Map<Step, PrefixNode>;
}

function newNode(): PrefixNode {
  return { correct: 0, graded: 0, next: new Map() };
}
