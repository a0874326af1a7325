/** Everything that the files hold of one state. */
import { useState } from 'preact/hooks';
import { qValue } from '../../../search/labels/candidate-pool.js';
import { changeOf } from '../model/colour.js';
import { pathTo, type ViewNode, type ViewTree } from '../model/view-tree.js';
import { MathsText } from './maths.js';
import { plural, share, signed } from './numbers.js';
import { Swatch, ValueBar } from './value-bar.js';

export function StatePanel(props: {
  readonly tree: ViewTree;
  readonly selected: number;
  readonly onSelect: (node: number) => void;
}) {
  const { tree, selected, onSelect } = props;
  const node = tree.nodes[selected] as ViewNode;
  return (
    <div class="state-panel" aria-live="polite">
      <h2>
        {node.parent < 0 ? 'Question' : `State ${node.index}`}
        <small>
          depth {node.depth}
          {END_NAMES[node.ends ?? ''] ?? ''}
        </small>
      </h2>
      <Facts tree={tree} node={node} />
      {node.critique && <CritiqueBox node={node} />}
      <Way tree={tree} selected={selected} onSelect={onSelect} />
      <Candidates tree={tree} node={node} />
      <Rollouts key={selected} tree={tree} node={node} />
    </div>
  );
}

const END_NAMES: Readonly<Record<string, string>> = {
  equal: ' · ends right',
  different: ' · ends wrong',
  ungraded: ' · ends, ungraded',
  unknown: ' · ends',
};

/** Value, interval, counts, score, Q, U, visits: what there is. */
export function Facts({ tree, node }: { readonly tree: ViewTree; readonly node: ViewNode }) {
  const { value, interval, score, graded, correct, ungraded, visits, q, u, prior } = node;
  const change = changeOf(node, tree.nodes[node.parent]);
  return (
    <dl class="facts">
      {value !== null && (
        <>
          <dt>{tree.candidates.length > 0 ? 'Share right' : 'Soft label'}</dt>
          <dd>
            <ValueBar value={value} interval={interval} />
          </dd>
        </>
      )}
      {interval && (
        <>
          <dt>95 % interval</dt>
          <dd>
            {share(interval[0])} – {share(interval[1])}
          </dd>
        </>
      )}
      {score !== null && (
        <>
          <dt>Step score</dt>
          <dd>
            <ValueBar value={score} />
          </dd>
        </>
      )}
      {change !== null && (
        <>
          <dt>Against parent</dt>
          <dd>{signed(change)}</dd>
        </>
      )}
      {graded + ungraded > 0 && (
        <>
          <dt>{tree.candidates.length > 0 ? 'Candidates' : 'Rollouts'}</dt>
          <dd>
            {correct} of {graded} right{ungraded > 0 ? `, ${ungraded} ungraded` : ''}
          </dd>
        </>
      )}
      {(visits > 0 || q !== null) && (
        <>
          <dt>{tree.visitsMean === 'solutions' ? 'Solutions' : 'Visits'}</dt>
          <dd>{visits}</dd>
        </>
      )}
      {q !== null && u !== null && (
        <>
          <dt>Q + U</dt>
          <dd
            title={
              tree.puct === null
                ? 'as the search ended'
                : 'of its best wrong rollout, as the search ended'
            }
          >
            {q.toFixed(3)} + {u.toFixed(3)} = {(q + u).toFixed(3)}
          </dd>
        </>
      )}
      {prior !== null && (
        <>
          <dt>Prior</dt>
          <dd title="softmax of the siblings' scores">{prior.toFixed(3)}</dd>
        </>
      )}
    </dl>
  );
}

/** The steps from the question to here, each with its value. */
function Way(props: {
  readonly tree: ViewTree;
  readonly selected: number;
  readonly onSelect: (node: number) => void;
}) {
  const { tree, selected, onSelect } = props;
  const way = pathTo(tree, selected).slice(1);
  if (way.length === 0) return null;
  return (
    <section>
      <h3>Steps</h3>
      <ol class="way">
        {way.map((at) => {
          const { steps, value, score } = tree.nodes[at] as ViewNode;
          return (
            <li key={at} class={at === selected ? 'current' : ''}>
              <button type="button" onClick={() => onSelect(at)} title={`State ${at}`}>
                <Swatch value={value ?? score} />
                <span class="way-value">{share(value ?? score)}</span>
              </button>
              <div class="way-steps">
                {steps.map((step, i) => (
                  <p key={i}>
                    <MathsText text={step} />
                  </p>
                ))}
              </div>
            </li>
          );
        })}
      </ol>
    </section>
  );
}

function CritiqueBox({ node }: { readonly node: ViewNode }) {
  const { firstError, correction, analyses = [], findings = [] } = node.critique ?? {};
  return (
    <section class="critique">
      <h3>Judge</h3>
      <p>
        {firstError === null || firstError === undefined
          ? 'finds no wrong step'
          : `first wrong step: ${firstError + 1}`}
      </p>
      {correction && (
        <p>
          Correction: <MathsText text={correction} />
        </p>
      )}
      {analyses.map((text, i) => (
        <p key={i}>
          {i + 1}. <MathsText text={text} />
        </p>
      ))}
      {findings.map(({ probability, soundness }, i) => (
        <p key={i}>
          {i + 1}. P(correct) {share(probability)} {soundness && <MathsText text={soundness} />}
        </p>
      ))}
    </section>
  );
}

function Candidates({ tree, node }: { readonly tree: ViewTree; readonly node: ViewNode }) {
  if (node.candidates.length === 0) return null;
  return (
    <section>
      <h3>{plural(node.candidates.length, 'candidate')} through here</h3>
      <table class="mini">
        <thead>
          <tr>
            <th>#</th>
            <th>Answer</th>
            <th class="num">Score</th>
            <th>From</th>
          </tr>
        </thead>
        <tbody>
          {node.candidates.slice(0, SHOWN_AT_FIRST).map((i) => {
            const candidate = tree.candidates[i];
            if (!candidate) return null;
            const { answer, score, verdict, origin, parent } = candidate;
            return (
              <tr key={i}>
                <td>{i + 1}</td>
                <td>
                  <Mark verdict={verdict} /> {answer ?? '–'}
                </td>
                <td class="num">{score === null ? '' : score.toFixed(3)}</td>
                <td>
                  {origin}
                  {parent === undefined ? '' : ` of ${parent + 1}`}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}

export function Mark({ verdict }: { readonly verdict: string | null }) {
  if (verdict === 'equal')
    return (
      <span class="mark right" title="right">
        ✓
      </span>
    );
  if (verdict === 'different')
    return (
      <span class="mark wrong" title="wrong">
        ✗
      </span>
    );
  if (verdict === 'ungraded')
    return (
      <span class="mark" title="ungraded">
        ?
      </span>
    );
  return null;
}

const SHOWN_AT_FIRST = 40;

function Rollouts({ tree, node }: { readonly tree: ViewTree; readonly node: ViewNode }) {
  const { correctRollouts: right, incorrectRollouts: wrong } = node;
  const [tab, setTab] = useState<'right' | 'wrong'>(wrong.length > 0 ? 'wrong' : 'right');
  const [isAll, setAll] = useState(false);
  if (right.length + wrong.length === 0) return null;
  const shown = tab === 'right' ? right : wrong;
  const { puct } = tree;
  const qOf = (rollout: readonly string[]) =>
    tab === 'wrong' && puct && node.value ? qValue(node.value, rollout, puct) : null;
  return (
    <section class="rollouts">
      <h3>Rollouts from here</h3>
      <div class="tabs" role="tablist">
        {(['wrong', 'right'] as const).map((name) => (
          <button
            key={name}
            type="button"
            role="tab"
            aria-selected={tab === name}
            onClick={() => setTab(name)}
          >
            {name} {name === 'right' ? right.length : wrong.length}
          </button>
        ))}
      </div>
      {shown.length === 0 && <p class="quiet">none</p>}
      {(isAll ? shown : shown.slice(0, SHOWN_AT_FIRST)).map((rollout, i) => {
        const q = qOf(rollout);
        return (
          <details key={`${node.index} ${tab} ${i}`} class="rollout">
            <summary>
              <span class="rollout-text">{rollout.at(-1) ?? '(empty)'}</span>
              <small>
                {plural(rollout.length, 'step')}
                {q === null ? '' : ` · Q ${q.toFixed(3)}`}
              </small>
            </summary>
            {rollout.map((step, at) => (
              <p key={at}>
                <MathsText text={step} />
              </p>
            ))}
          </details>
        );
      })}
      {!isAll && shown.length > SHOWN_AT_FIRST && (
        <button type="button" onClick={() => setAll(true)}>
          all {shown.length}
        </button>
      )}
    </section>
  );
}
