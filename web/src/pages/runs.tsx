import { useState } from 'preact/hooks';
import type { ViewRun } from '../../../src/server/view-types.js';
import { Failed, Waiting } from '../parts/message.js';
import { count, duration, when } from '../parts/numbers.js';
import { go, link } from '../route.js';
import { useRuns } from '../use-data.js';

/** All runs of the folder. Two ticked ones can be compared. */
export function RunsPage() {
  const { value: runs, error } = useRuns();
  const [ticked, setTicked] = useState<readonly string[]>([]);
  if (!runs) return error ? <Failed error={error} /> : <Waiting />;
  if (runs.length === 0) {
    return (
      <p class="message">
        No runs in this folder. <code>steptree label problems.jsonl --out run</code> makes one.
      </p>
    );
  }
  const tick = (id: string) =>
    setTicked((old) =>
      old.includes(id) ? old.filter((one) => one !== id) : [...old, id].slice(-2),
    );
  const [a = '', b = ''] = ticked;
  return (
    <main class="wide-page">
      <div class="page-head">
        <h1>Runs</h1>
        <span class="spring" />
        <button type="button" disabled={ticked.length < 2} onClick={() => go('compare', { a, b })}>
          Compare {ticked.length < 2 ? 'two' : 'these two'}
        </button>
      </div>
      <div class="table-box">
        <table class="rows">
          <thead>
            <tr>
              <th />
              <th>Run</th>
              <th>Method</th>
              <th class="wide-only">Policy</th>
              <th class="num wide-only">Seed</th>
              <th>Status</th>
              <th class="num">Problems</th>
              <th class="num wide-only">Rollouts</th>
              <th class="num wide-only">Tokens</th>
              <th class="num wide-only">Time</th>
              <th class="num wide-only">Changed</th>
            </tr>
          </thead>
          <tbody>
            {runs.map((run) => (
              <RunRow key={run.id} run={run} ticked={ticked.includes(run.id)} tick={tick} />
            ))}
          </tbody>
        </table>
      </div>
    </main>
  );
}

function RunRow(props: {
  readonly run: ViewRun;
  readonly ticked: boolean;
  readonly tick: (id: string) => void;
}) {
  const { run, ticked, tick } = props;
  return (
    <tr>
      <td>
        <input
          type="checkbox"
          checked={ticked}
          aria-label={`Compare ${run.id}`}
          onChange={() => tick(run.id)}
        />
      </td>
      <td>
        <a href={link('run', { run: run.id })}>{run.id === '.' ? 'this folder' : run.id}</a>
      </td>
      <td class="clip">{run.method}</td>
      <td class="wide-only">{run.policy}</td>
      <td class="num wide-only">{run.seed ?? ''}</td>
      <td>
        <StatusBadge run={run} />
      </td>
      <td class="num">
        {count(run.problems.done)}
        {run.problems.failed > 0 && <span class="wrong"> +{run.problems.failed} failed</span>}
      </td>
      <td class="num wide-only">{count(run.rollouts)}</td>
      <td class="num wide-only">{count(run.policyTokens)}</td>
      <td class="num wide-only">{duration(run.seconds)}</td>
      <td class="num wide-only">{when(run.changedMs)}</td>
    </tr>
  );
}

export function StatusBadge({ run }: { readonly run: ViewRun }) {
  const { done, failed, total } = run.problems;
  const settled = done + failed;
  const isRunning = run.status === 'running';
  const name = run.status === 'lost' ? 'killed' : run.status;
  return (
    <span class={`badge ${run.status}`}>
      {name}
      {total !== null && settled < total ? ` ${Math.floor((100 * settled) / total)} %` : ''}
      {isRunning && total !== null && (
        <progress value={settled} max={total} aria-label="Problems done" />
      )}
    </span>
  );
}
