/** Where runs come from: the server's JSON, or the data inside a self-contained page. */
import type {
  ViewBundle,
  ViewProblem,
  ViewRun,
  ViewRunDetail,
} from '../../src/server/view-types.js';
import { serverFetch } from './server.js';

export interface DataSource {
  /** Whether a server stands behind the page; a file neither changes nor solves. */
  readonly isServed: boolean;
  runs(): Promise<readonly ViewRun[]>;
  /** @param known what was loaded before; returned itself if nothing has changed */
  run(id: string, known?: ViewRunDetail | null): Promise<ViewRunDetail>;
  problem(run: string, id: string): Promise<ViewProblem>;
  /** Runs that hold something of a problem. */
  holders(problem: string): Promise<readonly string[]>;
  /** An address that an image element takes. */
  picture(run: string, problem: string, at: number): Promise<string>;
}

/** Embedded data if the page has any, else the server. */
export function openSource(): DataSource {
  const element = document.getElementById('steptree-data');
  if (!element?.textContent) return new ServerSource();
  return new BundleSource(JSON.parse(element.textContent) as ViewBundle);
}

class ServerSource implements DataSource {
  readonly isServed = true;
  private readonly etags = new WeakMap<ViewRunDetail, string>();
  private readonly pictures = new Map<string, Promise<string>>();

  async runs(): Promise<readonly ViewRun[]> {
    return (await get<{ runs: ViewRun[] }>('runs', {})).runs;
  }

  async run(id: string, known: ViewRunDetail | null = null): Promise<ViewRunDetail> {
    const etag = known && this.etags.get(known);
    const reply = await serverFetch(`api/view/run?${new URLSearchParams({ run: id })}`, {
      headers: etag ? { 'if-none-match': etag } : {},
    });
    if (reply.status === 304 && known) return known;
    const detail = (await reply.json()) as ViewRunDetail;
    this.etags.set(detail, reply.headers.get('etag') ?? '');
    return detail;
  }

  problem(run: string, id: string): Promise<ViewProblem> {
    return get<ViewProblem>('problem', { run, problem: id });
  }

  async holders(problem: string): Promise<readonly string[]> {
    return (await get<{ runs: string[] }>('holders', { problem })).runs;
  }

  /** Fetched, since an image element could not send a key. */
  picture(run: string, problem: string, at: number): Promise<string> {
    const query = new URLSearchParams({ run, problem, at: String(at) }).toString();
    const known = this.pictures.get(query);
    if (known) return known;
    const url = serverFetch(`api/view/picture?${query}`, {}).then(async (reply) =>
      URL.createObjectURL(await reply.blob()),
    );
    this.pictures.set(query, url);
    url.catch(() => this.pictures.delete(query));
    return url;
  }
}

async function get<T>(name: string, query: Record<string, string>): Promise<T> {
  const reply = await serverFetch(`api/view/${name}?${new URLSearchParams(query)}`, {});
  return (await reply.json()) as T;
}

class BundleSource implements DataSource {
  readonly isServed = false;

  constructor(private readonly bundle: ViewBundle) {}

  async runs(): Promise<readonly ViewRun[]> {
    return this.bundle.runs;
  }

  async run(id: string): Promise<ViewRunDetail> {
    return required(own(this.bundle.details, id), `There is no run "${id}" in this page.`);
  }

  async problem(run: string, id: string): Promise<ViewProblem> {
    const problem = own(own(this.bundle.problems, run) ?? {}, id);
    return required(problem, `There is no tree of problem "${id}" in this page.`);
  }

  async holders(problem: string): Promise<readonly string[]> {
    return Object.entries(this.bundle.problems).flatMap(([run, held]) =>
      Object.hasOwn(held, problem) ? [run] : [],
    );
  }

  async picture(run: string, problem: string, at: number): Promise<string> {
    const url = own(this.bundle.images, `${at} ${run} ${problem}`);
    return required(url, 'This picture is not in the page.');
  }
}

function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

function required<T>(value: T | undefined, message: string): T {
  if (value === undefined) throw new Error(message);
  return value;
}
