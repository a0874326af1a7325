import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { compareTrees, countLabels } from '../../bench/peers/tree-comparison.js';

const folders: string[] = [];
afterEach(async () => {
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true })));
});

type Node = readonly [step: string, value: number, ...children: readonly unknown[]];

function node([step, mc_value, ...children]: Node): Record<string, unknown> {
  const below = (children as Node[]).map(node);
  return { partial_solution: [step], mc_value, visit_count: 0, children: below };
}

async function folderOf(trees: Readonly<Record<string, readonly Node[]>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'steptree-trees-'));
  folders.push(folder);
  await mkdir(folder, { recursive: true });
  for (const [id, children] of Object.entries(trees)) {
    const tree = { id, mc_value: 0.5, visit_count: 1, children: children.map(node) };
    // Their files are named by a hash: only the id inside counts.
    await writeFile(join(folder, `${Math.random()}.json`), JSON.stringify(tree));
  }
  return folder;
}

describe('the comparison of two folders of trees', () => {
  it('counts states as labels and finds trees that are the same, by their ids', async () => {
    const tree: Node[] = [
      ['a', 0.5, ['b', 0]],
      ['c', 1],
    ];
    const one = await folderOf({ p: tree, q: [['x', 1]], onlyHere: [['y', 1]] });
    const other = await folderOf({ q: [['x', 0]], p: tree });
    expect(await compareTrees(one, other)).toEqual({
      trees: 2,
      equalTrees: 1,
      differing: ['q'],
      labels: [4, 4],
      // All three of p; x has another value in q.
      sharedLabels: 3,
    });
    expect(await countLabels(one)).toBe(5);
  });

  it('shares a label only as often as both have it', async () => {
    const one = await folderOf({
      p: [
        ['a', 1],
        ['a', 1],
        ['b', 0],
      ],
    });
    const other = await folderOf({
      p: [
        ['a', 1],
        ['b', 0],
        ['b', 0],
      ],
    });
    expect(await compareTrees(one, other)).toMatchObject({ equalTrees: 0, sharedLabels: 2 });
  });
});
