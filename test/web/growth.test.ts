import { expect, it } from 'vitest';
import {
  estimateOptions,
  omegaPrm,
  omegaPrmOptions,
  type StateTree,
  treeToJson,
} from '../../search/index.js';
import { createRandom } from '../../search/rng.js';
import { omegaPrmGrowth } from '../../web/src/model/growth.js';
import { labelTree } from '../../web/src/model/view-tree.js';
import { fakeContext, fakePolicy, PROBLEM } from '../support/fakes.js';

const OPTIONS = { ...omegaPrmOptions.parse({}), ...estimateOptions.parse({ numRollouts: 6 }) };

/** Solutions of a few short steps, so that many share prefixes and whole segments. */
function bushyPolicy(run: number) {
  return fakePolicy((prefix, index, seed) => {
    const random = createRandom(`${run} ${seed} ${index} ${prefix.length}`);
    const steps = Array.from(
      { length: 1 + Math.floor(random() * 5) },
      () => `s${Math.floor(random() * 3)}`,
    );
    return [...steps, random() < 0.5 ? 'Answer: 42' : `Answer: ${Math.floor(random() * 3)}`];
  });
}

it("finds the order in which OmegaPRM made a tree's states, from its file alone", async () => {
  let compared = 0;
  for (let run = 0; run < 40; run++) {
    const result = await omegaPrm(PROBLEM, fakeContext(bushyPolicy(run)), OPTIONS);
    const json = treeToJson(PROBLEM, result, {
      method: 'omegaprm',
      totalRollouts: 0,
      warnings: [],
    });
    const tree = labelTree(structuredClone(json), null);
    const growth = omegaPrmGrowth(tree, json.selections);
    expect(growth.kind).toBe('created');
    const made = creationOf(result.tree);
    const searched = tree.nodes.filter(({ index, ends }) => index > 0 && ends !== 'equal');
    const byTime = [...searched].sort((a, b) => time(growth, a.index) - time(growth, b.index));
    const byCreation = [...searched].sort((a, b) => (made[a.index] ?? 0) - (made[b.index] ?? 0));
    expect(byTime.map(({ index }) => index)).toEqual(byCreation.map(({ index }) => index));
    compared += searched.length;
  }
  expect(compared).toBeGreaterThan(500);
});

it('lets right rollouts come with the state that they were sampled from', async () => {
  const result = await omegaPrm(PROBLEM, fakeContext(bushyPolicy(1)), OPTIONS);
  const json = treeToJson(PROBLEM, result, { method: 'omegaprm', totalRollouts: 0, warnings: [] });
  const tree = labelTree(json, null);
  const growth = omegaPrmGrowth(tree, json.selections);
  const ends = tree.nodes.filter(({ ends }) => ends === 'equal');
  expect(ends.length).toBeGreaterThan(0);
  for (const { index, parent } of ends) expect(time(growth, index)).toBe(time(growth, parent));
});

it('falls back to the order of the file where searches and tree do not fit', async () => {
  const result = await omegaPrm(PROBLEM, fakeContext(bushyPolicy(2)), OPTIONS);
  const json = treeToJson(PROBLEM, result, { method: 'omegaprm', totalRollouts: 0, warnings: [] });
  const tree = labelTree(json, null);
  const growth = omegaPrmGrowth(tree, json.selections.slice(1));
  expect(growth.kind).toBe('file');
  expect([...growth.times]).toEqual(tree.nodes.map(({ index }) => index));
});

function time({ times }: { times: Int32Array }, index: number): number {
  return times[index] ?? -1;
}

/** Creation index of each state, by its place depth first: a `StateTree` numbers states as made. */
function creationOf(tree: StateTree): number[] {
  const order: number[] = [];
  const open = [0];
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    order.push(state);
    open.push(...[...tree.children(state)].reverse());
  }
  return order;
}
