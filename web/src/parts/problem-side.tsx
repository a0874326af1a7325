/** What a problem is, beside its tree: figure, question, answers. */
import type { ViewProblem, ViewSolveReport } from '../../../src/server/view-types.js';
import type { ViewTree } from '../model/view-tree.js';
import { MathsText } from './maths.js';
import { count, duration, plural } from './numbers.js';
import { Pictures } from './picture.js';
import { Mark } from './state-panel.js';
import { ValueBar } from './value-bar.js';

export function ProblemSide(props: {
  readonly problem: ViewProblem;
  readonly tree: ViewTree;
  readonly onSelect: (node: number) => void;
}) {
  const { problem, tree, onSelect } = props;
  return (
    <div class="problem-side">
      <Pictures run={problem.run} problem={problem.id} images={problem.images} />
      <p class="question">
        <MathsText text={problem.question} />
      </p>
      <dl class="facts">
        {problem.gold !== null && (
          <>
            <dt>Gold answer</dt>
            <dd>
              <b>
                <MathsText text={problem.gold} />
              </b>
            </dd>
          </>
        )}
        {problem.kind === 'label' && <LabelFacts problem={problem} />}
        {problem.kind === 'solve' && <SolveFacts report={problem.report} />}
      </dl>
      {problem.kind === 'label' &&
        problem.tree.warnings?.map((text) => (
          <p key={text} class="note">
            {text}
          </p>
        ))}
      {problem.kind === 'solve' && (
        <CandidateList report={problem.report} tree={tree} onSelect={onSelect} />
      )}
    </div>
  );
}

function LabelFacts({ problem }: { readonly problem: ViewProblem & { readonly kind: 'label' } }) {
  const { tree } = problem;
  return (
    <>
      <dt>Value</dt>
      <dd>
        <ValueBar value={tree.mc_value} interval={tree.interval} />
      </dd>
      <dt>Method</dt>
      <dd>{tree.method}</dd>
      <dt>Rollouts</dt>
      <dd>{count(tree.total_rollouts)}</dd>
      {tree.search_count > 0 && (
        <>
          <dt>Searches</dt>
          <dd>{tree.search_count}</dd>
        </>
      )}
      <dt>Ended by</dt>
      <dd>{tree.stopped}</dd>
    </>
  );
}

export function SolveFacts({ report }: { readonly report: ViewSolveReport }) {
  const { usage } = report;
  const chosen = report.chosen === null ? undefined : report.candidates[report.chosen];
  return (
    <>
      <dt>Answer</dt>
      <dd>
        <b>{report.answer ?? 'none'}</b> <Mark verdict={chosen?.verdict ?? null} />
      </dd>
      <dt>Strategy</dt>
      <dd>{report.strategy}</dd>
      <dt>Spent</dt>
      <dd>
        {plural(usage.rollouts ?? 0, 'rollout')}, {count(usage.policyTokens ?? 0)} policy tokens
        {usage.prmTokens ? `, ${count(usage.prmTokens)} reward-model tokens` : ''}
      </dd>
      <dt>Time</dt>
      <dd>{duration(report.elapsedMs / 1000)}</dd>
      <dt>Ended by</dt>
      <dd>{report.stopped}</dd>
      {report.warnings.map((text) => (
        <dd key={text} class="note wide">
          {text}
        </dd>
      ))}
    </>
  );
}

/** Votes and candidates; a click goes to a candidate's end. */
export function CandidateList(props: {
  readonly report: ViewSolveReport;
  readonly tree: ViewTree;
  readonly onSelect: (node: number) => void;
}) {
  const { report, tree, onSelect } = props;
  const most = Math.max(1, ...report.votes.map(({ votes }) => votes));
  const endOf = (candidate: number) => {
    const through = tree.nodes.filter(({ candidates }) => candidates.includes(candidate));
    return through.at(-1)?.index ?? 0;
  };
  return (
    <>
      <h3>Votes</h3>
      <table class="mini">
        <tbody>
          {[...report.votes]
            .sort((a, b) => b.votes - a.votes)
            .slice(0, 12)
            .map(({ answer, votes, weight }) => (
              <tr key={answer}>
                <td class="answer">{answer}</td>
                <td class="vote-bar">
                  <i style={{ width: `${(100 * votes) / most}%` }} />
                </td>
                <td class="num">{votes}</td>
                <td class="num quiet">{weight > 0 ? weight.toFixed(2) : ''}</td>
              </tr>
            ))}
        </tbody>
      </table>
      <h3>{plural(report.candidates.length, 'candidate')}</h3>
      <table class="mini candidates">
        <tbody>
          {report.candidates.slice(0, 200).map(({ answer, score, verdict, steps }, i) => (
            <tr key={i} class={i === report.chosen ? 'chosen' : ''}>
              <td>
                <button type="button" class="plain" onClick={() => onSelect(endOf(i))}>
                  {i + 1}
                </button>
              </td>
              <td>
                <Mark verdict={verdict} /> {answer ?? '–'}
              </td>
              <td class="num">{steps.length}</td>
              <td class="num">{score === null ? '' : score.toFixed(3)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}
