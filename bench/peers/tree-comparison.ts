import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** How two folders of trees in MM-PRM's shape agree, on the problems that both have. */
export interface TreeComparison {
  readonly trees: number;
  /** Trees with the same states, values and visits in the same order. */
  readonly equalTrees: number;
  /** Ids of the others. */
  readonly differing: readonly string[];
  /** States but for the roots: each is one label. */
  readonly labels: readonly [number, number];
  /** Labels that stand at the same prefix with the same value in both. */
  readonly sharedLabels: number;
}

interface TreeNode {
  readonly partial_solution?: readonly string[];
  readonly mc_value: number;
  readonly visit_count: number;
  readonly children: readonly TreeNode[];
}

type Tree = TreeNode & { readonly id: string };

export async function compareTrees(a: string, b: string): Promise<TreeComparison> {
  const [first, second] = await Promise.all([readTrees(a), readTrees(b)]);
  const both = [...first.keys()].filter((id) => second.has(id));
  const differing: string[] = [];
  let sharedLabels = 0;
  const labels: [number, number] = [0, 0];
  for (const id of both) {
    const one = first.get(id) as Tree;
    const other = second.get(id) as Tree;
    if (JSON.stringify(shape(one)) !== JSON.stringify(shape(other))) differing.push(id);
    const ours = labelsOf(one);
    const theirs = labelsOf(other);
    labels[0] += ours.length;
    labels[1] += theirs.length;
    sharedLabels += overlap(ours, theirs);
  }
  const equalTrees = both.length - differing.length;
  return { trees: both.length, equalTrees, differing, labels, sharedLabels };
}

/** States but for the roots in all trees of a folder. */
export async function countLabels(folder: string): Promise<number> {
  let count = 0;
  for (const tree of (await readTrees(folder)).values()) count += labelsOf(tree).length;
  return count;
}

async function readTrees(folder: string): Promise<Map<string, Tree>> {
  const trees = new Map<string, Tree>();
  for (const name of await readdir(folder)) {
    const tree: Tree = JSON.parse(await readFile(join(folder, name), 'utf8'));
    trees.set(tree.id, tree);
  }
  return trees;
}

function shape({ partial_solution, mc_value, visit_count, children }: TreeNode): unknown {
  return [partial_solution ?? null, mc_value, visit_count, children.map(shape)];
}

function labelsOf(node: TreeNode, before: readonly string[] = []): string[] {
  return node.children.flatMap((child) => {
    const prefix = [...before, ...(child.partial_solution ?? [])];
    return [JSON.stringify([prefix, child.mc_value]), ...labelsOf(child, prefix)];
  });
}

function overlap(a: readonly string[], b: readonly string[]): number {
  const left = new Map<string, number>();
  for (const key of a) left.set(key, (left.get(key) ?? 0) + 1);
  let shared = 0;
  for (const key of b) {
    const count = left.get(key) ?? 0;
    if (count === 0) continue;
    left.set(key, count - 1);
    shared++;
  }
  return shared;
}
