import { useMemo } from 'preact/hooks';
import type { ViewBenchProblem, ViewProblem } from '../../../src/server/view-types.js';
import { problemTree } from '../model/problem-tree.js';
import { Failed, Waiting } from '../parts/message.js';
import { count } from '../parts/numbers.js';
import { ProblemSide } from '../parts/problem-side.js';
import { Mark, StatePanel } from '../parts/state-panel.js';
import { TreePane } from '../parts/tree-pane.js';
import { go, link } from '../route.js';
import { useTreeKeys, useTreeState } from '../tree/use-tree-state.js';
import { useLoad, useRun, useSource } from '../use-data.js';

/** One problem of one run: figure, tree, state. */
export function ProblemPage(props: {
  readonly run: string;
  readonly id: string;
  readonly first: number;
}) {
  const { run, id, first } = props;
  const source = useSource();
  const { value: problem, error } = useLoad(() => source.problem(run, id), [source, run, id]);
  if (!problem) return error ? <Failed error={error} /> : <Waiting />;
  return (
    <main class="problem-page">
      <Crumbs problem={problem} />
      {problem.kind === 'bench' ? (
        <BenchTable problem={problem} />
      ) : (
        <TreeDesk problem={problem} first={first} />
      )}
    </main>
  );
}

function TreeDesk({ problem, first }: { readonly problem: ViewProblem; readonly first: number }) {
  const { tree, growth } = useMemo(() => problemTree(problem), [problem]);
  const state = useTreeState(tree, growth, {
    first,
    // So that the address of a state can be sent to somebody.
    onSelect: (node) => {
      const address = link('tree', { run: problem.run, problem: problem.id, state: String(node) });
      history.replaceState(null, '', address);
    },
  });
  useTreeKeys(state.onKey);
  return (
    <div class="desk">
      <aside class="side left">
        <ProblemSide problem={problem} tree={tree} onSelect={state.select} />
      </aside>
      <TreePane state={state} title={problem.id} />
      <aside class="side right">
        <StatePanel tree={tree} selected={state.selected} onSelect={state.select} />
      </aside>
    </div>
  );
}

/** Where one is, the neighbours, and other runs of this problem. */
function Crumbs({ problem }: { readonly problem: ViewProblem }) {
  const { run, id } = problem;
  const source = useSource();
  const { value: detail } = useRun(run);
  const { value: holders } = useLoad(() => source.holders(id), [source, id]);
  const rows = (detail?.problems ?? []).filter(({ status }) => status === 'done');
  const at = rows.findIndex((row) => row.id === id);
  const others = (holders ?? []).filter((holder) => holder !== run);
  const step = (to: number, sign: string, title: string) => {
    const row = rows[to];
    return row ? (
      <a class="step" href={link('tree', { run, problem: row.id })} title={title}>
        {sign}
      </a>
    ) : (
      <span class="step off">{sign}</span>
    );
  };
  return (
    <div class="crumbs">
      <a href={link('run', { run })}>{run === '.' ? 'this folder' : run}</a>
      <span class="quiet">/</span>
      <b>{id}</b>
      {problem.group && <span class="tag">{problem.group}</span>}
      <span class="spring" />
      {others.length > 0 && (
        <select
          aria-label="Compare with another run of this problem"
          value=""
          onChange={(event) => go('compare', { a: run, b: event.currentTarget.value, problem: id })}
        >
          <option value="">Compare with …</option>
          {others.map((other) => (
            <option key={other} value={other}>
              {other}
            </option>
          ))}
        </select>
      )}
      {at >= 0 && (
        <span class="steps">
          {step(at - 1, '‹', 'Problem before')}
          <span class="quiet">
            {at + 1} of {rows.length}
          </span>
          {step(at + 1, '›', 'Next problem')}
        </span>
      )}
    </div>
  );
}

function BenchTable({ problem }: { readonly problem: ViewBenchProblem }) {
  const { tree } = useMemo(() => problemTree(problem), [problem]);
  return (
    <div class="desk two">
      <aside class="side left">
        <ProblemSide problem={problem} tree={tree} onSelect={() => undefined} />
      </aside>
      <div class="table-box">
        <table class="rows">
          <thead>
            <tr>
              <th>Strategy</th>
              <th class="num">N</th>
              <th class="num">Seed</th>
              <th>Answer</th>
              <th>Some candidate right</th>
              <th class="num">Tokens</th>
              <th>Ended by</th>
            </tr>
          </thead>
          <tbody>
            {problem.rows.map((row) => (
              <tr key={`${row.strategy} ${row.n} ${row.seed}`}>
                <td>{row.strategy}</td>
                <td class="num">{row.n}</td>
                <td class="num">{row.seed}</td>
                <td>
                  <Mark verdict={row.verdict} /> {row.answer ?? '–'}
                </td>
                <td>{row.oracle ? 'yes' : 'no'}</td>
                <td class="num">{count(row.policyTokens)}</td>
                <td>{row.stopped}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}
