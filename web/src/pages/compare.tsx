import { useMemo, useRef, useState } from 'preact/hooks';
import type { ViewProblem } from '../../../src/server/view-types.js';
import { compareRows, type TwinIndex, twinIndex, twinOf } from '../model/compare.js';
import { plainLine } from '../model/maths.js';
import { problemTree } from '../model/problem-tree.js';
import { MathsText } from '../parts/maths.js';
import { Failed, Waiting } from '../parts/message.js';
import { count, share, signed } from '../parts/numbers.js';
import { Pictures } from '../parts/picture.js';
import { RowWindow } from '../parts/row-window.js';
import { StatePanel } from '../parts/state-panel.js';
import { TreePane } from '../parts/tree-pane.js';
import { ValueBar } from '../parts/value-bar.js';
import { link } from '../route.js';
import { type TreeState, useTreeKeys, useTreeState } from '../tree/use-tree-state.js';
import { useLoad, useRun, useSource } from '../use-data.js';

export function ComparePage(props: {
  readonly a: string;
  readonly b: string;
  readonly problem: string | null;
}) {
  const { a, b, problem } = props;
  return problem === null ? <RunsCompared a={a} b={b} /> : <TreesLoaded a={a} b={b} id={problem} />;
}

/** Two runs over all problems. */
function RunsCompared({ a, b }: { readonly a: string; readonly b: string }) {
  const left = useRun(a);
  const right = useRun(b);
  const [isSame, setSame] = useState(false);
  const error = left.error ?? right.error;
  const rows = useMemo(
    () => (left.value && right.value ? compareRows(left.value.problems, right.value.problems) : []),
    [left.value, right.value],
  );
  if (!left.value || !right.value) return error ? <Failed error={error} /> : <Waiting />;
  const shown = isSame ? rows.filter(({ difference }) => difference !== 0) : rows;
  const differences = rows.flatMap(({ difference }) => (difference === null ? [] : [difference]));
  const mean = differences.reduce((sum, one) => sum + one, 0) / Math.max(1, differences.length);
  return (
    <main class="wide-page filled">
      <div class="page-head">
        <h1>
          <a href={link('run', { run: a })}>{a}</a> <span class="quiet">and</span>{' '}
          <a href={link('run', { run: b })}>{b}</a>
        </h1>
      </div>
      <ul class="totals">
        <li>
          <b>{count(differences.length)}</b> problems with a value in both
        </li>
        <li>
          <b>{signed(mean)}</b> mean difference, second minus first
        </li>
        <li>
          <label class="check">
            <input
              type="checkbox"
              checked={isSame}
              onChange={(event) => setSame(event.currentTarget.checked)}
            />
            only where they differ
          </label>
        </li>
      </ul>
      <RowWindow
        count={shown.length}
        columns={5}
        head={
          <tr>
            <th>Problem</th>
            <th class="wide-only">Question</th>
            <th>{a}</th>
            <th>{b}</th>
            <th class="num">Difference</th>
          </tr>
        }
        row={(i) => {
          const row = shown[i];
          if (!row) return null;
          const hasBoth = row.a?.status === 'done' && row.b?.status === 'done';
          return (
            <tr key={row.id}>
              <td class="id">
                {hasBoth ? (
                  <a href={link('compare', { a, b, problem: row.id })}>{row.id}</a>
                ) : (
                  row.id
                )}
              </td>
              <td class="wide-only clip">{plainLine(row.question)}</td>
              <td>{row.a ? <ValueBar value={row.a.value} interval={row.a.interval} /> : '–'}</td>
              <td>{row.b ? <ValueBar value={row.b.value} interval={row.b.interval} /> : '–'}</td>
              <td class="num">{row.difference === null ? '' : signed(row.difference)}</td>
            </tr>
          );
        }}
      />
    </main>
  );
}

function TreesLoaded({
  a,
  b,
  id,
}: {
  readonly a: string;
  readonly b: string;
  readonly id: string;
}) {
  const source = useSource();
  const { value, error } = useLoad(
    () => Promise.all([source.problem(a, id), source.problem(b, id)]),
    [source, a, b, id],
  );
  if (!value) return error ? <Failed error={error} /> : <Waiting />;
  return <TreesCompared problems={value} />;
}

/** Two trees of one problem. A state selected in one is selected in the other where it has it. */
function TreesCompared({ problems }: { readonly problems: readonly [ViewProblem, ViewProblem] }) {
  const [first, second] = problems;
  const left = useMemo(() => withTwins(first), [first]);
  const right = useMemo(() => withTwins(second), [second]);
  const active = useRef<'left' | 'right'>('left');
  const states: { left?: TreeState; right?: TreeState } = {};
  const isFollowing = useRef(false);
  const follow = (from: 'left' | 'right', node: number) => {
    if (isFollowing.current) return;
    active.current = from;
    const [own, other] = from === 'left' ? [left, right] : [right, left];
    const twin = twinOf(own.tree, node, other.twins);
    if (twin === null) return;
    isFollowing.current = true;
    states[from === 'left' ? 'right' : 'left']?.select(twin);
    isFollowing.current = false;
  };
  states.left = useTreeState(left.tree, left.growth, { onSelect: (node) => follow('left', node) });
  states.right = useTreeState(right.tree, right.growth, {
    onSelect: (node) => follow('right', node),
  });
  useTreeKeys((event) => states[active.current]?.onKey(event) ?? false);
  const shared = useMemo(() => sharedStates(left, right), [left, right]);
  return (
    <main class="problem-page">
      <div class="crumbs">
        <a href={link('compare', { a: first.run, b: second.run })}>
          {first.run} and {second.run}
        </a>
        <span class="quiet">/</span>
        <b>{first.id}</b>
        <span class="spring" />
        <span class="quiet">{count(shared)} states in both</span>
      </div>
      <div class="compare-question">
        <Pictures
          run={first.images > 0 ? first.run : second.run}
          problem={first.id}
          images={Math.max(first.images, second.images)}
        />
        <p class="question">
          <MathsText text={first.question || second.question} />
        </p>
        {first.gold !== null && (
          <p class="quiet">
            gold answer <b>{first.gold}</b>
          </p>
        )}
      </div>
      <div class="desk pair">
        <Half problem={first} state={states.left} />
        <Half problem={second} state={states.right} />
      </div>
    </main>
  );
}

function Half({ problem, state }: { readonly problem: ViewProblem; readonly state: TreeState }) {
  const root = state.tree.nodes[0];
  return (
    <div class="half">
      <div class="half-head">
        <a href={link('tree', { run: problem.run, problem: problem.id })}>{problem.run}</a>
        <span class="quiet">
          {problem.kind === 'label' ? problem.tree.method : ''}
          {problem.kind === 'solve' ? problem.report.strategy : ''} ·{' '}
          {count(state.tree.nodes.length)} states · value {share(root?.value ?? null)}
        </span>
      </div>
      <TreePane state={state} title={problem.run} />
      <details class="half-state" open>
        <summary>State {state.selected}</summary>
        <StatePanel tree={state.tree} selected={state.selected} onSelect={state.select} />
      </details>
    </div>
  );
}

function withTwins(problem: ViewProblem) {
  const { tree, growth } = problemTree(problem);
  return { tree, growth, twins: twinIndex(tree) };
}

function sharedStates(left: { twins: TwinIndex }, right: { twins: TwinIndex }): number {
  let shared = 0;
  for (const key of left.twins.keys()) if (right.twins.has(key)) shared++;
  // The question itself is always shared.
  return shared - 1;
}
