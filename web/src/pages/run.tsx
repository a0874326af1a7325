import { useMemo, useState } from 'preact/hooks';
import type {
  ViewCell,
  ViewProblemRow,
  ViewRunDetail,
  ViewWorker,
} from '../../../src/server/view-types.js';
import { plainLine } from '../model/maths.js';
import {
  filterRows,
  groupsOf,
  isShown,
  type RowFilter,
  SHOWN,
  SHOWN_NAMES,
  type Shown,
  type SortBy,
  sortRows,
} from '../model/rows.js';
import { Failed, Waiting } from '../parts/message.js';
import { count, duration } from '../parts/numbers.js';
import { RowWindow } from '../parts/row-window.js';
import { Mark } from '../parts/state-panel.js';
import { ValueBar } from '../parts/value-bar.js';
import { go, link } from '../route.js';
import { useRun, useRuns } from '../use-data.js';
import { StatusBadge } from './runs.js';

export function RunPage({ id, query }: { id: string; query: Readonly<Record<string, string>> }) {
  const { value: detail, error } = useRun(id);
  if (!detail) return error ? <Failed error={error} /> : <Waiting />;
  return (
    <main class="wide-page filled">
      <RunHead detail={detail} />
      {error && <Failed error={error} />}
      {detail.workers && <Workers workers={detail.workers} />}
      {detail.cells.length > 0 && <Cells cells={detail.cells} />}
      <Problems detail={detail} query={query} />
    </main>
  );
}

function RunHead({ detail: { run, config } }: { readonly detail: ViewRunDetail }) {
  const { value: runs } = useRuns();
  const others = (runs ?? []).filter(({ id }) => id !== run.id);
  const facts: [string, string][] = [
    [
      'problems',
      `${count(run.problems.done)}${run.problems.total ? ` of ${count(run.problems.total)}` : ''}`,
    ],
    ['failed', run.problems.failed > 0 ? count(run.problems.failed) : ''],
    ['labels', count(run.labels)],
    ['rollouts', count(run.rollouts)],
    ['policy tokens', count(run.policyTokens)],
    ['time', duration(run.seconds)],
    ['left', timeLeft(run)],
  ];
  return (
    <>
      <div class="page-head">
        <h1>{run.id === '.' ? 'This folder' : run.id}</h1>
        <StatusBadge run={run} />
        <span class="quiet">
          {run.method}
          {run.policy ? ` · ${run.policy}` : ''}
          {run.seed === null ? '' : ` · seed ${run.seed}`}
        </span>
        <span class="spring" />
        {others.length > 0 && (
          <select
            aria-label="Compare with"
            value=""
            onChange={(event) => go('compare', { a: run.id, b: event.currentTarget.value })}
          >
            <option value="">Compare with …</option>
            {others.map((other) => (
              <option key={other.id} value={other.id}>
                {other.id}
              </option>
            ))}
          </select>
        )}
      </div>
      <ul class="totals">
        {facts.map(([name, value]) =>
          value === '' ? null : (
            <li key={name}>
              <b>{value}</b> {name}
            </li>
          ),
        )}
      </ul>
      {Object.keys(config).length > 0 && (
        <details class="config">
          <summary>Configuration</summary>
          <pre>{JSON.stringify(config, null, 2)}</pre>
        </details>
      )}
    </>
  );
}

function timeLeft({ status, problems, seconds }: ViewRunDetail['run']): string {
  const { done, failed, total } = problems;
  if (status !== 'running' || total === null || seconds === null || done + failed === 0) return '';
  return `about ${duration((seconds / (done + failed)) * (total - done - failed))}`;
}

function Workers({ workers }: { readonly workers: readonly ViewWorker[] }) {
  if (workers.length === 0) {
    return (
      <p class="quiet">
        No worker yet: <code>steptree worker --queue …</code> starts one.
      </p>
    );
  }
  return (
    <div class="table-box">
      <table class="rows">
        <thead>
          <tr>
            <th>Worker</th>
            <th class="num">Problems</th>
            <th class="num">Rollouts/s</th>
          </tr>
        </thead>
        <tbody>
          {workers.map(({ name, active, concurrency, rolloutsPerSecond }) => (
            <tr key={name}>
              <td>{name}</td>
              <td class="num">
                {concurrency === 0 ? `${count(active)}, leaving` : `${active} of ${concurrency}`}
              </td>
              <td class="num">{count(rolloutsPerSecond)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Cells({ cells }: { readonly cells: readonly ViewCell[] }) {
  const percent = ({ mean, low, high }: ViewCell['accuracy']) =>
    `${(100 * mean).toFixed(1)} (${(100 * low).toFixed(1)}–${(100 * high).toFixed(1)})`;
  return (
    <div class="table-box">
      <table class="rows">
        <thead>
          <tr>
            <th>Strategy</th>
            <th class="num">Accuracy %</th>
            <th class="num">Oracle %</th>
            <th class="num wide-only">Policy tokens</th>
            <th class="num wide-only">PRM tokens</th>
          </tr>
        </thead>
        <tbody>
          {cells.map(({ cell, accuracy, oracle, policyTokens, prmTokens }) => (
            <tr key={cell}>
              <td>{cell}</td>
              <td class="num">{percent(accuracy)}</td>
              <td class="num">{percent(oracle)}</td>
              <td class="num wide-only">{count(policyTokens)}</td>
              <td class="num wide-only">{count(prmTokens)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Problems(props: {
  readonly detail: ViewRunDetail;
  readonly query: Readonly<Record<string, string>>;
}) {
  const { run, problems } = props.detail;
  const [filter, setFilter] = useState<RowFilter>({
    shown: SHOWN.find((one) => one === props.query.shown) ?? 'all',
    group: props.query.group ?? '',
    text: props.query.text ?? '',
  });
  const [sort, setSort] = useState<{ by: SortBy | null; isDown: boolean }>({
    by: null,
    isDown: false,
  });
  const groups = useMemo(() => groupsOf(problems), [problems]);
  const rows = useMemo(
    () => sortRows(filterRows(problems, filter), sort.by, sort.isDown),
    [problems, filter, sort],
  );
  const change = (part: Partial<RowFilter>) => {
    const next = { ...filter, ...part };
    setFilter(next);
    // In the address, so that Back comes to the same rows.
    const { shown, group, text } = next;
    const query = {
      shown: shown === 'all' ? null : shown,
      group: group || null,
      text: text || null,
    };
    history.replaceState(null, '', link('run', { run: run.id, ...query }));
  };
  const sortBy = (by: SortBy) =>
    setSort((old) =>
      old.by === by ? { by, isDown: !old.isDown } : { by, isDown: by === 'value' },
    );
  const isSolved = problems.some(({ verdict }) => verdict !== null);
  return (
    <>
      <Filters problems={problems} filter={filter} groups={groups} change={change} />
      <RowWindow
        count={rows.length}
        columns={7}
        head={
          <tr>
            <SortHead by="id" name="Problem" sort={sort} sortBy={sortBy} />
            <SortHead
              by="question"
              name="Question"
              sort={sort}
              sortBy={sortBy}
              className="wide-only"
            />
            {groups.length > 0 && (
              <SortHead
                by="group"
                name="Family"
                sort={sort}
                sortBy={sortBy}
                className="wide-only"
              />
            )}
            <SortHead by="gold" name="Gold" sort={sort} sortBy={sortBy} />
            <SortHead by="value" name="Value" sort={sort} sortBy={sortBy} />
            <SortHead
              by="states"
              name="States"
              sort={sort}
              sortBy={sortBy}
              className="num wide-only"
            />
            <SortHead
              by="rollouts"
              name={run.kind === 'bench' ? 'Answers' : 'Rollouts'}
              sort={sort}
              sortBy={sortBy}
              className="num wide-only"
            />
          </tr>
        }
        row={(i) => (
          <ProblemRow
            key={rows[i]?.id ?? i}
            run={run.id}
            row={rows[i] as ViewProblemRow}
            hasGroups={groups.length > 0}
            isSolved={isSolved}
          />
        )}
      />
      {rows.length === 0 && (
        <p class="message quiet">
          {problems.length === 0 ? 'No problem is finished yet.' : 'No problem fits these filters.'}
        </p>
      )}
    </>
  );
}

function Filters(props: {
  readonly problems: readonly ViewProblemRow[];
  readonly filter: RowFilter;
  readonly groups: readonly string[];
  readonly change: (part: Partial<RowFilter>) => void;
}) {
  const { problems, filter, groups, change } = props;
  const counts = useMemo(() => {
    const count = (shown: Shown) => problems.filter((row) => isShown(row, shown)).length;
    return Object.fromEntries(SHOWN.map((shown) => [shown, count(shown)]));
  }, [problems]);
  return (
    <div class="filters">
      <input
        type="search"
        placeholder="Filter by text  /"
        aria-label="Filter by text"
        value={filter.text}
        onInput={(event) => change({ text: event.currentTarget.value })}
      />
      <fieldset class="chips" aria-label="Filter by value">
        {SHOWN.map((shown) => (
          <button
            key={shown}
            type="button"
            aria-pressed={filter.shown === shown}
            onClick={() => change({ shown })}
          >
            {SHOWN_NAMES[shown]} <small>{counts[shown]}</small>
          </button>
        ))}
      </fieldset>
      {groups.length > 0 && (
        <select
          aria-label="Family"
          value={filter.group}
          onChange={(event) => change({ group: event.currentTarget.value })}
        >
          <option value="">All families</option>
          {groups.map((group) => (
            <option key={group} value={group}>
              {group}
            </option>
          ))}
        </select>
      )}
    </div>
  );
}

function SortHead(props: {
  readonly by: SortBy;
  readonly name: string;
  readonly sort: { readonly by: SortBy | null; readonly isDown: boolean };
  readonly sortBy: (by: SortBy) => void;
  readonly className?: string;
}) {
  const { by, name, sort, sortBy, className = '' } = props;
  const order = sort.by !== by ? 'none' : sort.isDown ? 'descending' : 'ascending';
  return (
    <th class={className} aria-sort={order}>
      <button type="button" class="plain" onClick={() => sortBy(by)}>
        {name}
        {order === 'none' ? '' : order === 'descending' ? ' ↓' : ' ↑'}
      </button>
    </th>
  );
}

function ProblemRow(props: {
  readonly run: string;
  readonly row: ViewProblemRow;
  readonly hasGroups: boolean;
  readonly isSolved: boolean;
}) {
  const { run, row, hasGroups } = props;
  const href = link('tree', { run, problem: row.id });
  return (
    <tr class={row.status}>
      <td class="id">
        {row.status === 'failed' ? (
          <span title={row.error?.message}>{row.id || '(no id)'}</span>
        ) : (
          <a href={href}>{row.id}</a>
        )}
      </td>
      <td class="wide-only clip" title={row.error?.message ?? row.question}>
        {row.error ? (
          <span class="wrong">
            {row.error.code}: {row.error.message}
          </span>
        ) : (
          plainLine(row.question)
        )}
      </td>
      {hasGroups && <td class="wide-only">{row.group}</td>}
      <td class="clip short">
        {props.isSolved && <Mark verdict={row.verdict} />} {row.gold}
      </td>
      <td>
        {row.status === 'failed' ? (
          <span class="wrong">failed</span>
        ) : (
          <ValueBar value={row.value} interval={row.interval} />
        )}
      </td>
      <td class="num wide-only">{row.states > 0 ? count(row.states) : ''}</td>
      <td class="num wide-only">{row.rollouts > 0 ? count(row.rollouts) : ''}</td>
    </tr>
  );
}
