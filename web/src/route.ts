/** The page's places, in the address behind `#`, so that they work in a file too. */
import { useEffect, useState } from 'preact/hooks';

export type Page = 'runs' | 'run' | 'tree' | 'compare' | 'live';

export interface Route {
  readonly page: Page;
  readonly query: Readonly<Record<string, string>>;
}

const PAGES: readonly string[] = ['run', 'tree', 'compare', 'live'];

export function parseRoute(hash: string): Route {
  const [name = '', query = ''] = hash.replace(/^#\/?/, '').split('?');
  const page = PAGES.includes(name) ? (name as Page) : 'runs';
  return { page, query: Object.fromEntries(new URLSearchParams(query)) };
}

export function link(page: Page, query: Readonly<Record<string, string | null>> = {}): string {
  const given = Object.entries(query).filter(
    (entry): entry is [string, string] => entry[1] !== null,
  );
  const search = new URLSearchParams(given).toString();
  return `#/${page === 'runs' ? '' : page}${search === '' ? '' : `?${search}`}`;
}

export function go(page: Page, query: Readonly<Record<string, string | null>> = {}): void {
  location.hash = link(page, query);
}

export function useRoute(): Route {
  const [route, setRoute] = useState(() => parseRoute(location.hash));
  useEffect(() => {
    const follow = () => setRoute(parseRoute(location.hash));
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, []);
  return route;
}
