import { expect, it } from 'vitest';
import { syntheticTree } from '../../bench/speed/synthetic-run.js';
import { countBelow, toggleFold, unfoldAbove } from '../../web/src/model/fold.js';
import { COLUMN, layOut, lowerBound, nodeAt, ROW } from '../../web/src/model/layout.js';
import { labelTree } from '../../web/src/model/view-tree.js';
import { nextMatch, walk } from '../../web/src/model/walk.js';
import { acrossOf, fitAll, reveal, zoomAt } from '../../web/src/tree/camera.js';
import { state, treeOf } from './trees.js';

const REACH = { left: 10, right: 100, down: 10 };

it('puts depth to the right and siblings below one another, parents in the middle', () => {
  const { nodes } = labelTree(treeOf({}, [state(['a'], 1, 1), state(['b'], 1, 1)]), null);
  const { x, y, width, height } = layOut(nodes);
  expect([...x]).toEqual([0, COLUMN, COLUMN]);
  expect([...y]).toEqual([ROW / 2, 0, ROW]);
  expect([width, height]).toEqual([COLUMN, ROW]);
});

it('keeps columns and the places of their parents rising, which culling rests on', () => {
  const { nodes } = labelTree(syntheticTree('columns', 3000), null);
  const { y, columns } = layOut(nodes);
  let seen = 0;
  for (const column of columns) {
    for (let i = 1; i < column.length; i++) {
      const [above, below] = [nodes[column[i - 1] ?? 0], nodes[column[i] ?? 0]];
      const at = (index: number | undefined) => y[index ?? -1] ?? 0;
      expect(at(below?.index)).toBeGreaterThanOrEqual(at(above?.index) + ROW - 0.01);
      expect(at(below?.parent)).toBeGreaterThanOrEqual(at(above?.parent));
    }
    seen += column.length;
  }
  expect(seen).toBe(3000);
});

it('finds the node under a point, and none where there is none', () => {
  const { nodes } = labelTree(syntheticTree('points', 500), null);
  const layout = layOut(nodes);
  for (const { index } of nodes) {
    const [x, y] = [layout.x[index] ?? 0, layout.y[index] ?? 0];
    expect(nodeAt(layout, x + 60, y + 4, REACH)).toBe(index);
  }
  expect(nodeAt(layout, -50, 0, REACH)).toBeNull();
});

it('leaves hidden nodes and all below them out', () => {
  const tree = treeOf({}, [state(['a'], 1, 1, [state(['b'], 1, 1)]), state(['c'], 1, 1)]);
  const { nodes } = labelTree(tree, null);
  const { x, shown } = layOut(nodes, ({ steps }) => steps[0] !== 'a');
  expect(shown).toBe(2);
  expect([...x].map(Number.isNaN)).toEqual([false, true, true, false]);
});

it('keeps a folded node and leaves what is below it out', () => {
  const tree = treeOf({}, [state(['a'], 1, 1, [state(['b'], 1, 1)]), state(['c'], 1, 1)]);
  const view = labelTree(tree, null);
  const folded = toggleFold(new Set(), view, 1);
  const { x, shown } = layOut(view.nodes, () => true, folded);
  expect(shown).toBe(3);
  expect([...x].map(Number.isNaN)).toEqual([false, false, true, false]);
  expect([...countBelow(view)]).toEqual([3, 1, 0, 0]);
  // Leaves have nothing to fold; a state that is looked for is unfolded; twice is not at all.
  expect(toggleFold(folded, view, 2)).toBe(folded);
  expect([...unfoldAbove(folded, view, 2)]).toEqual([]);
  expect([...toggleFold(folded, view, 1)]).toEqual([]);
});

it('searches rising sequences for the first value that is large enough', () => {
  const values = [1, 3, 3, 7];
  const at = (i: number) => values[i] ?? 0;
  expect([0, 1, 2, 3, 4, 8].map((bound) => lowerBound(4, bound, at))).toEqual([0, 0, 1, 1, 3, 4]);
});

it('walks to parents, children, and over cousins', () => {
  const tree = labelTree(
    treeOf({}, [
      state(['a'], 1, 1, [state(['b'], 1, 1)]),
      state(['c'], 0, 1, [state(['d'], 0, 1)]),
    ]),
    null,
  );
  // 0 question, 1 a, 2 b, 3 c, 4 d
  const layout = layOut(tree.nodes);
  const go = (key: string, at: number, last = new Map<number, number>()) =>
    walk(key, at, tree, layout, last);
  expect(go('ArrowRight', 0)).toBe(1);
  expect(go('ArrowRight', 0, new Map([[0, 3]]))).toBe(3);
  expect(go('ArrowDown', 2)).toBe(4);
  expect(go('ArrowUp', 4)).toBe(2);
  expect(go('ArrowLeft', 4)).toBe(3);
  expect(go('Home', 4)).toBe(0);
  expect(go('End', 0)).toBe(2);
  expect([go('ArrowLeft', 0), go('ArrowUp', 1), go('ArrowRight', 2), go('x', 0)]).toEqual([
    null,
    null,
    null,
    null,
  ]);
});

it('goes round the matches in both directions', () => {
  const matches = Uint8Array.of(0, 1, 0, 1);
  const all = () => true;
  expect(nextMatch(matches, 1, 1, all)).toBe(3);
  expect(nextMatch(matches, 3, 1, all)).toBe(1);
  expect(nextMatch(matches, 1, -1, all)).toBe(3);
  expect(nextMatch(matches, 0, 1, (node) => node !== 1)).toBe(3);
  expect(nextMatch(null, 0, 1, all)).toBeNull();
});

it('zooms around the pointer', () => {
  const before = { x: 10, y: 20, zoom: 0.3, power: 0.5 };
  const after = zoomAt(before, 1.7, 200, 100);
  expect(after.zoom).toBeCloseTo(0.51, 9);
  expect(after.x + 200 / acrossOf(after)).toBeCloseTo(10 + 200 / acrossOf(before), 9);
  expect(after.y + 100 / after.zoom).toBeCloseTo(20 + 100 / before.zoom, 9);
});

it('fits trees of any shape into the canvas', () => {
  const canvas = { width: 800, height: 600 };
  for (const tree of [
    { width: 0, height: 0 },
    { width: 5_000, height: 30 },
    { width: 5_000, height: 250_000 },
    { width: 236, height: 250_000 },
  ]) {
    const camera = fitAll(tree, canvas);
    const right = (tree.width - camera.x) * acrossOf(camera);
    const bottom = (tree.height - camera.y) * camera.zoom;
    expect(right).toBeLessThanOrEqual(canvas.width);
    expect(bottom).toBeLessThanOrEqual(canvas.height);
    expect(-camera.x * acrossOf(camera)).toBeGreaterThan(0);
    expect(-camera.y * camera.zoom).toBeGreaterThan(0);
  }
});

it('moves only as far as a node needs to be seen', () => {
  const canvas = { width: 800, height: 600 };
  const camera = { x: 0, y: 0, zoom: 1, power: 0.5 };
  expect(reveal(camera, 300, 300, canvas)).toBe(camera);
  const moved = reveal(camera, 300, 5_000, canvas);
  expect(moved.x).toBe(0);
  // 90 pixels of room at the lower edge.
  expect(moved.y).toBe(5_000 - (600 - 90));
});
