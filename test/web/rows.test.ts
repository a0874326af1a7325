import { expect, it } from 'vitest';
import type { ViewProblemRow } from '../../src/server/view-types.js';
import { compareRows, twinIndex, twinOf } from '../../web/src/model/compare.js';
import { parseEvents } from '../../web/src/model/events.js';
import { LiveTrace } from '../../web/src/model/live-trace.js';
import { filterRows, groupsOf, sortRows } from '../../web/src/model/rows.js';
import { labelTree } from '../../web/src/model/view-tree.js';
import { state, treeOf } from './trees.js';

const ROWS = [
  row('b', { value: 0.5, group: 'bars', question: 'How many bars?' }),
  row('a', { value: 1, group: 'table', states: 3 }),
  row('c', { value: 0, group: 'bars' }),
  row('d', { status: 'failed', error: { code: 'POLICY_DOWN', message: 'gone' } }),
];

it('filters by value, family and text', () => {
  const ids = (shown: 'all' | 'mixed' | 'right' | 'wrong' | 'failed', group = '', text = '') =>
    filterRows(ROWS, { shown, group, text }).map(({ id }) => id);
  expect(ids('all')).toEqual(['b', 'a', 'c', 'd']);
  expect(ids('mixed')).toEqual(['b']);
  expect(ids('right')).toEqual(['a']);
  expect(ids('wrong')).toEqual(['c']);
  expect(ids('failed')).toEqual(['d']);
  expect(ids('all', 'bars')).toEqual(['b', 'c']);
  expect(ids('all', '', 'MANY bars')).toEqual(['b']);
  expect(ids('all', '', 'policy_down')).toEqual(['d']);
  expect(groupsOf(ROWS)).toEqual(['bars', 'table']);
});

it('sorts, with what has no value last either way', () => {
  const ids = (by: 'id' | 'value' | null, isDown: boolean) =>
    sortRows(ROWS, by, isDown).map(({ id }) => id);
  expect(ids(null, true)).toEqual(['b', 'a', 'c', 'd']);
  expect(ids('value', false)).toEqual(['c', 'b', 'a', 'd']);
  expect(ids('value', true)).toEqual(['a', 'b', 'c', 'd']);
  expect(ids('id', true)).toEqual(['d', 'c', 'b', 'a']);
});

it('compares two runs problem by problem, those of one run alone included', () => {
  const compared = compareRows(ROWS.slice(0, 2), [
    row('a', { value: 0.25 }),
    row('z', { value: 1 }),
  ]);
  expect(compared.map(({ id, difference }) => [id, difference])).toEqual([
    ['b', null],
    ['a', -0.75],
    ['z', null],
  ]);
});

it('finds the same state in another tree, however its steps are cut into segments', () => {
  const one = labelTree(treeOf({}, [state(['x', 'y'], 1, 1)]), null);
  const other = labelTree(treeOf({}, [state(['x'], 1, 1, [state(['y'], 1, 1)])]), null);
  expect(twinOf(one, 1, twinIndex(other))).toBe(2);
  expect(twinOf(other, 1, twinIndex(one))).toBeNull();
});

it('reads server-sent events wherever they are cut', async () => {
  const text =
    ': hello\n\nevent: nodes\r\ndata: {"a":1}\r\n\r\ndata: one\ndata: two é\n\nevent: end\ndata';
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 2, 7, 1000]) {
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size)
          controller.enqueue(bytes.slice(at, at + size));
        controller.close();
      },
    });
    const events: unknown[] = [];
    for await (const event of parseEvents(body)) events.push(event);
    expect(events).toEqual([
      { event: 'nodes', data: '{"a":1}' },
      { event: 'message', data: 'one\ntwo é' },
    ]);
  }
});

it('keeps a live solve level with its events', () => {
  const live = new LiveTrace();
  const node = (id: number, score: number | null) => {
    return { id, parent: -1, text: `${id}`, samples: 1, score, outcome: null, finish: null };
  };
  live.take('snapshot', { status: 'running', usage: null, tree: { nodes: [node(0, null)] } });
  live.take('nodes', { nodes: [node(1, null)] });
  live.take('scores', {
    scores: [
      [1, 0.5, null],
      [7, 1, null],
    ],
  });
  live.take('usage', { usage: { rollouts: 3 } });
  expect(live.take('future', {})).toBe(false);
  live.take('end', { status: 'done' });
  expect(live.list().map(({ id, score }) => [id, score])).toEqual([
    [0, null],
    [1, 0.5],
  ]);
  expect([live.status, live.usage.rollouts]).toEqual(['done', 3]);
});

function row(id: string, facts: Partial<ViewProblemRow>): ViewProblemRow {
  return {
    id,
    question: '',
    group: null,
    gold: null,
    status: 'done',
    value: null,
    interval: null,
    states: 0,
    rollouts: 0,
    stopped: '',
    verdict: null,
    error: null,
    ...facts,
  };
}
