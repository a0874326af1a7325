import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { credibleInterval } from '../../search/interval.js';
import type { StateJson, TreeJson } from '../../search/labels/tree-json.js';
import { createRandom } from '../../search/rng.js';
import { treeFileName } from '../../src/data/file-names.js';

/** A tree of so many states, seeded: some chains, some bushes, values that fall with the depth. */
export function syntheticTree(
  id: string,
  states: number,
  overrides: Partial<TreeJson> = {},
): TreeJson {
  const random = createRandom(`${id} ${states}`);
  const root = state([], 10, 16);
  const open: { node: StateJson; depth: number }[] = [{ node: root, depth: 0 }];
  for (let made = 1; made < states; made++) {
    // Mostly recent parents, so that the tree gets deep as well as wide.
    const back = Math.floor(random() ** 3 * Math.min(open.length, 600));
    const parent = open[open.length - 1 - back] as (typeof open)[number];
    const right = Math.round(random() * 16);
    const child = state([`Step ${made}: $x_{${made}} = ${right} \\times 2$`], right, 16);
    parent.node.children.push(child);
    if (parent.depth < 24) open.push({ node: child, depth: parent.depth + 1 });
  }
  const { partial_solution: _, ...rest } = root;
  return {
    id,
    question: `What is $x_{${states}}$?`,
    answer: '7',
    image_path: null,
    ...rest,
    images: [],
    method: 'step-rollouts',
    total_rollouts: 16 * states,
    search_count: 0,
    stopped: 'done',
    selections: [],
    warnings: [],
    ...overrides,
  };
}

function state(steps: readonly string[], correct: number, graded: number): StateJson {
  return {
    partial_solution: steps,
    mc_value: correct / graded,
    visit_count: 0,
    correct_rollouts: [],
    incorrect_rollouts: [],
    children: [],
    counts: { correct, graded, ungraded: 0 },
    interval: credibleInterval(correct, graded),
  };
}

/** A folder as `steptree label` leaves it. */
export function writeRun(
  dir: string,
  trees: readonly TreeJson[],
  run: Readonly<Record<string, unknown>> = {},
  failed: readonly object[] = [],
): void {
  mkdirSync(join(dir, 'trees'), { recursive: true });
  for (const tree of trees) {
    writeFileSync(join(dir, 'trees', treeFileName(tree.id)), JSON.stringify(tree));
  }
  writeFileSync(
    join(dir, 'failed.jsonl'),
    failed.map((one) => `${JSON.stringify(one)}\n`).join(''),
  );
  const problems = {
    done: trees.length,
    failed: failed.length,
    total: trees.length + failed.length,
  };
  const facts = { config: { method: 'step-rollouts', seed: 0 }, status: 'done', problems, ...run };
  // As runs do: readers see the old file or the whole new one.
  writeFileSync(join(dir, 'run.json.tmp'), JSON.stringify(facts));
  renameSync(join(dir, 'run.json.tmp'), join(dir, 'run.json'));
}
