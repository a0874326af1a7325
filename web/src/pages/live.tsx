/** The playground: a picture and a question, solved while one looks on. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { parseEvents } from '../model/events.js';
import { createdInOrder } from '../model/growth.js';
import { LiveTrace, reportOf, type TraceJson } from '../model/live-trace.js';
import { type TraceNode, traceTree, type ViewTree } from '../model/view-tree.js';
import { MathsText } from '../parts/maths.js';
import { Failed } from '../parts/message.js';
import { count, duration, plural } from '../parts/numbers.js';
import { CandidateList, SolveFacts } from '../parts/problem-side.js';
import { StatePanel } from '../parts/state-panel.js';
import { TreePane } from '../parts/tree-pane.js';
import { go, link } from '../route.js';
import { ServerError, serverEvents, serverFetch } from '../server.js';
import { useTreeKeys, useTreeState } from '../tree/use-tree-state.js';
import { useLoad } from '../use-data.js';

export function LivePage({ trace }: { readonly trace: string | null }) {
  const [ended, setEnded] = useState(0);
  return (
    <main class="problem-page live">
      <div class="desk">
        <aside class="side left">
          <AskForm onEnd={() => setEnded((before) => before + 1)} />
          <LatestSolves current={trace} ended={ended} />
        </aside>
        {trace === null ? (
          <p class="message quiet">Ask something, and watch the tree grow here.</p>
        ) : (
          <TraceDesk key={trace} id={trace} />
        )}
      </div>
    </main>
  );
}

/** Strategies without a width of their own. */
const WITHOUT_N = /greedy$/;

function AskForm({ onEnd }: { readonly onEnd: () => void }) {
  const { value: models, error } = useLoad(loadModels, []);
  const [question, setQuestion] = useState('');
  const [picture, setPicture] = useState<string | null>(null);
  const [model, setModel] = useState('');
  const [n, setN] = useState(8);
  const [seed, setSeed] = useState(0);
  const [running, setRunning] = useState<AbortController | null>(null);
  const [failure, setFailure] = useState<Error | null>(null);
  const [answer, setAnswer] = useState<string | null>(null);
  const chosenModel = model || models?.[0] || '';
  const ask = async () => {
    const abort = new AbortController();
    setRunning(abort);
    setFailure(null);
    setAnswer(null);
    try {
      const body = requestBody({ question, picture, model: chosenModel, n, seed });
      setAnswer(await solve(body, abort.signal));
    } catch (error) {
      if (!abort.signal.aborted) setFailure(error as Error);
    } finally {
      setRunning(null);
      onEnd();
    }
  };
  if (error) return <Failed error={error} />;
  return (
    <form
      class="ask"
      onSubmit={(event) => {
        event.preventDefault();
        void ask();
      }}
    >
      <label>
        Picture
        <input
          type="file"
          accept="image/png,image/jpeg,image/webp,image/gif"
          onChange={async (event) => setPicture(await readPicture(event.currentTarget.files?.[0]))}
        />
      </label>
      {picture && <img class="preview" src={picture} alt="What the question is about" />}
      <label>
        Question
        <textarea
          rows={3}
          required
          value={question}
          onInput={(event) => setQuestion(event.currentTarget.value)}
        />
      </label>
      <label>
        Strategy
        <select value={chosenModel} onChange={(event) => setModel(event.currentTarget.value)}>
          {(models ?? []).map((name) => (
            <option key={name} value={name}>
              {name.replace(/^steptree\//, '')}
            </option>
          ))}
        </select>
      </label>
      <div class="pair-of-fields">
        <label>
          N
          <input
            type="number"
            min={1}
            max={256}
            value={n}
            disabled={WITHOUT_N.test(chosenModel)}
            onInput={(event) => setN(Number(event.currentTarget.value) || 1)}
          />
        </label>
        <label>
          Seed
          <input
            type="number"
            min={0}
            value={seed}
            onInput={(event) => setSeed(Number(event.currentTarget.value) || 0)}
          />
        </label>
      </div>
      {running ? (
        <button type="button" onClick={() => running.abort()}>
          Stop
        </button>
      ) : (
        <button type="submit" class="primary" disabled={question.trim() === ''}>
          Solve
        </button>
      )}
      {failure && <Failed error={failure} />}
      {answer !== null && (
        <p class="answer-text" role="status">
          <MathsText text={answer} />
        </p>
      )}
    </form>
  );
}

async function loadModels(): Promise<string[]> {
  const reply = await serverFetch('v1/models', {});
  const { data } = (await reply.json()) as { data: readonly { id: string }[] };
  return data.map(({ id }) => id).filter((id) => id.startsWith('steptree'));
}

function requestBody(wish: {
  readonly question: string;
  readonly picture: string | null;
  readonly model: string;
  readonly n: number;
  readonly seed: number;
}): object {
  const { question, picture, model, n, seed } = wish;
  const image = picture === null ? [] : [{ type: 'image_url', image_url: { url: picture } }];
  const content = [...image, { type: 'text', text: question }];
  return {
    model,
    messages: [{ role: 'user', content }],
    stream: true,
    seed,
    steptree: { trace: true, ...(WITHOUT_N.test(model) ? {} : { n }) },
  };
}

/** Asks, shows the trace as soon as it has a name, and reads to the end: leaving would end the
 *  search. @returns the answer's text */
async function solve(body: object, signal: AbortSignal): Promise<string> {
  const reply = await serverFetch('v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal,
  });
  const trace = reply.headers.get('x-steptree-trace');
  if (trace) go('live', { trace });
  let text = '';
  if (!reply.body) return text;
  for await (const { data } of parseEvents(reply.body)) {
    if (data === '[DONE]') break;
    const chunk = JSON.parse(data) as {
      choices?: readonly { delta?: { content?: string } }[];
      error?: { code?: string; message?: string };
    };
    if (chunk.error) {
      const { code = '', message = 'the search failed' } = chunk.error;
      throw new ServerError(500, code, message);
    }
    text += chunk.choices?.[0]?.delta?.content ?? '';
  }
  return text;
}

async function readPicture(file: File | undefined): Promise<string | null> {
  if (!file) return null;
  return new Promise((done, fail) => {
    const reader = new FileReader();
    reader.onload = () => done(String(reader.result));
    reader.onerror = () => fail(reader.error);
    reader.readAsDataURL(file);
  });
}

interface TraceSummary {
  readonly id: string;
  readonly status: string;
  readonly strategy: string;
  readonly question: string;
  readonly answer: string | null;
}

/** @param ended how many solves of this page have ended: then they have answers */
function LatestSolves(props: { readonly current: string | null; readonly ended: number }) {
  const { current, ended } = props;
  const { value } = useLoad(async () => {
    const reply = await serverFetch('v1/traces', {});
    return ((await reply.json()) as { traces: readonly TraceSummary[] }).traces;
  }, [current, ended]);
  if (!value || value.length === 0) return null;
  return (
    <section>
      <h3>Latest solves</h3>
      <ul class="latest">
        {value.slice(0, 20).map(({ id, question, strategy, answer, status }) => (
          <li key={id} class={id === current ? 'here' : ''}>
            <a href={link('live', { trace: id })}>{question || '(no text)'}</a>
            <small>
              {strategy} · {answer ?? status}
            </small>
          </li>
        ))}
      </ul>
    </section>
  );
}

interface Drawn {
  readonly nodes: readonly TraceNode[];
  readonly usage: Readonly<Record<string, number>>;
  readonly status: string;
  readonly trace: TraceJson | null;
}

const NOTHING: Drawn = { nodes: [], usage: {}, status: 'waiting', trace: null };

function TraceDesk({ id }: { readonly id: string }) {
  const { drawn, error } = useTrace(id);
  const { nodes, usage, status, trace } = drawn;
  const report = useMemo(() => trace && reportOf(trace), [trace]);
  const tree = useMemo(() => {
    const chosen =
      report?.chosen == null ? null : (report.candidates[report.chosen]?.steps ?? null);
    return traceTree(nodes, chosen, report?.candidates ?? [], report?.states);
  }, [nodes, report]);
  return (
    <TraceTree
      tree={tree}
      isGrowing={status !== 'done' && status !== 'failed'}
      side={(select) => (
        <>
          {error && <Failed error={error} />}
          {trace?.error && <Failed error={new Error(trace.error.message)} />}
          {!report && (
            <p class="quiet" role="status">
              {status}: {plural(usage.rollouts ?? 0, 'rollout')}, {count(usage.policyTokens ?? 0)}{' '}
              tokens
            </p>
          )}
          {trace && (
            <p class="question">
              <MathsText text={trace.problem.question} />
            </p>
          )}
          {report && (
            <>
              <dl class="facts">
                <SolveFacts report={report} />
              </dl>
              <CandidateList report={report} tree={tree} onSelect={select} />
            </>
          )}
          {trace && !report && <p class="quiet">{duration(trace.elapsedMs / 1000)}</p>}
        </>
      )}
    />
  );
}

function TraceTree(props: {
  readonly tree: ViewTree;
  readonly isGrowing: boolean;
  readonly side: (select: (node: number) => void) => preact.ComponentChildren;
}) {
  const { tree, isGrowing, side } = props;
  const growth = useMemo(() => createdInOrder(tree), [tree]);
  const state = useTreeState(tree, growth);
  useTreeKeys(state.onKey);
  return (
    <>
      <TreePane state={state} title="Live solve" follow={isGrowing} />
      <aside class="side right">
        {side(state.select)}
        <StatePanel tree={tree} selected={state.selected} onSelect={state.select} />
      </aside>
    </>
  );
}

/** A large tree takes longer to lay out, so it is drawn anew less often. */
function pauseMs(nodes: number): number {
  return Math.max(100, nodes / 10);
}

function useTrace(id: string): { drawn: Drawn; error: Error | null } {
  const [drawn, setDrawn] = useState<Drawn>(NOTHING);
  const [error, setError] = useState<Error | null>(null);
  const timer = useRef<ReturnType<typeof setTimeout> | null>(null);
  useEffect(() => {
    const abort = new AbortController();
    const live = new LiveTrace();
    const path = `v1/traces/${encodeURIComponent(id)}`;
    const draw = (trace: TraceJson | null) =>
      setDrawn({ nodes: live.list(), usage: live.usage, status: live.status, trace });
    const drawSoon = () => {
      timer.current ??= setTimeout(() => {
        timer.current = null;
        draw(null);
      }, pauseMs(live.list().length));
    };
    const follow = async () => {
      for await (const { event, data } of serverEvents(`${path}/events`, abort.signal)) {
        if (live.take(event, JSON.parse(data))) drawSoon();
        if (event === 'end') break;
      }
      const reply = await serverFetch(path, { signal: abort.signal });
      const trace = (await reply.json()) as TraceJson;
      live.take('snapshot', trace);
      if (timer.current) clearTimeout(timer.current);
      draw(trace);
    };
    follow().catch((failure: Error) => {
      if (!abort.signal.aborted) setError(failure);
    });
    return () => {
      abort.abort();
      if (timer.current) clearTimeout(timer.current);
      timer.current = null;
    };
  }, [id]);
  return { drawn, error };
}
