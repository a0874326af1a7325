import { useEffect, useMemo, useState } from 'preact/hooks';
import { ComparePage } from './pages/compare.js';
import { LivePage } from './pages/live.js';
import { ProblemPage } from './pages/problem.js';
import { RunPage } from './pages/run.js';
import { RunsPage } from './pages/runs.js';
import { link, type Route, useRoute } from './route.js';
import { KEY_EVENT, serverFetch } from './server.js';
import { openSource, SourceContext } from './use-data.js';

export function App() {
  const source = useMemo(openSource, []);
  const route = useRoute();
  const keys = useKeyCount();
  const hasService = useHasService(source.isServed, keys);
  return (
    <SourceContext.Provider value={source}>
      <header class="top">
        <a class="brand" href={link('runs')}>
          Steptree
        </a>
        <nav>
          <a href={link('runs')} class={route.page === 'live' ? '' : 'here'}>
            Runs
          </a>
          {hasService && (
            <a href={link('live')} class={route.page === 'live' ? 'here' : ''}>
              Playground
            </a>
          )}
        </nav>
      </header>
      <PageOf key={keys} route={route} />
    </SourceContext.Provider>
  );
}

function PageOf({ route: { page, query } }: { readonly route: Route }) {
  const { run = '.', problem = '', a = '', b = '', state, trace = null } = query;
  switch (page) {
    case 'run':
      return <RunPage key={run} id={run} query={query} />;
    case 'tree':
      return (
        <ProblemPage
          key={`${run} ${problem}`}
          run={run}
          id={problem}
          first={Number.parseInt(state ?? '0', 10) || 0}
        />
      );
    case 'compare':
      return <ComparePage key={`${a} ${b} ${problem}`} a={a} b={b} problem={problem || null} />;
    case 'live':
      return <LivePage trace={trace} />;
    default:
      return <RunsPage />;
  }
}

/** Whether the server can solve: `steptree view` only shows, a service does both. */
function useHasService(isServed: boolean, keys: number): boolean {
  const [has, setHas] = useState(false);
  useEffect(() => {
    if (!isServed) return;
    serverFetch('api/view/about', {}).then(
      async (reply) => setHas(((await reply.json()) as { canSolve: boolean }).canSolve),
      // Only services want keys.
      (error: { status?: number }) => setHas(error.status === 401),
    );
  }, [isServed, keys]);
  return has;
}

/** How often a key was given; a new one gives everything another chance. */
function useKeyCount(): number {
  const [count, setCount] = useState(0);
  useEffect(() => {
    const add = () => setCount((before) => before + 1);
    addEventListener(KEY_EVENT, add);
    return () => removeEventListener(KEY_EVENT, add);
  }, []);
  return count;
}
