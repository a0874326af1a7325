/** Loading with hooks. */
import { createContext } from 'preact';
import { useCallback, useContext, useEffect, useRef, useState } from 'preact/hooks';
import type { ViewRun, ViewRunDetail } from '../../src/server/view-types.js';
import { type DataSource, openSource } from './source.js';

export const SourceContext = createContext<DataSource | null>(null);

export function useSource(): DataSource {
  const source = useContext(SourceContext);
  if (!source) throw new Error('no data source');
  return source;
}

export { openSource };

export interface Loaded<T> {
  readonly value: T | null;
  readonly error: Error | null;
}

const NOTHING: Loaded<never> = { value: null, error: null };

/** What `load` gives, anew whenever a key changes; what comes too late is dropped. */
export function useLoad<T>(load: () => Promise<T>, keys: readonly unknown[]): Loaded<T> {
  const [loaded, setLoaded] = useState<Loaded<T>>(NOTHING);
  const run = useCallback(load, keys);
  useEffect(() => {
    let isCurrent = true;
    setLoaded(NOTHING);
    run().then(
      (value) => isCurrent && setLoaded({ value, error: null }),
      (error: Error) => isCurrent && setLoaded({ value: null, error }),
    );
    return () => {
      isCurrent = false;
    };
  }, [run]);
  return loaded;
}

/** How often a run under way is asked for. */
const FOLLOW_MS = 2_000;

/** A run, followed while it is under way and the page is in view. */
export function useRun(id: string): Loaded<ViewRunDetail> {
  const source = useSource();
  return useFollowed(
    (known: ViewRunDetail | null) => source.run(id, known),
    ({ run }) => source.isServed && run.status === 'running',
    [source, id],
  );
}

export function useRuns(): Loaded<readonly ViewRun[]> {
  const source = useSource();
  // A folder of runs may get another run at any time.
  return useFollowed(
    () => source.runs(),
    () => source.isServed,
    [source],
  );
}

function useFollowed<T>(
  load: (known: T | null) => Promise<T>,
  mayChange: (value: T) => boolean,
  keys: readonly unknown[],
): Loaded<T> {
  const [loaded, setLoaded] = useState<Loaded<T>>(NOTHING);
  const latest = useRef<T | null>(null);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isCurrent = true;
    latest.current = null;
    setLoaded(NOTHING);
    const ask = async () => {
      if (!document.hidden || latest.current === null) {
        try {
          const value = await load(latest.current);
          if (!isCurrent) return;
          if (value !== latest.current) setLoaded({ value, error: null });
          latest.current = value;
        } catch (error) {
          if (!isCurrent) return;
          // What is shown stays; the next answer may come.
          setLoaded({ value: latest.current, error: error as Error });
        }
      }
      if (latest.current === null || mayChange(latest.current)) timer = setTimeout(ask, FOLLOW_MS);
    };
    void ask();
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, keys);
  return loaded;
}
