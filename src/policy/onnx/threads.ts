import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Worker } from 'node:worker_threads';
import Pool from 'worker-threads-pool';
import { SteptreeError } from '../../../search/errors.js';
import { type HostCommand, type HostMessage, revivedError } from './protocol.js';

/** One model-host thread with its open calls. */
export interface HostThread<Request, Reply, Stats> {
  /** What the model says of itself. */
  readonly about: string;
  /** Asks for several replies at once, each with a promise of its own. One whose signal aborts is
   *  rejected with its reason at once, and its answer is dropped. */
  ask(calls: readonly HostCall<Request>[]): Promise<Reply>[];
  stats(): Promise<Stats>;
  /** Rejects open calls, lets the thread finish its running pass and end itself. */
  close(): Promise<void>;
}

export interface HostCall<Request> {
  readonly request: Request;
  readonly signal?: AbortSignal | undefined;
}

/** Starts the threads through worker-threads-pool, which gives one long-lived Worker per `acquire`.
 *  Its `destroy` terminates Workers, which aborts the process when one is in a run, so it is never
 *  called: threads end themselves, and their slots with them.
 *  @param file the thread's module below src/, such as `policy/onnx/host-thread.js`
 *  @throws SteptreeError what loading the model raised in the thread */
export async function startHostThreads<Request, Reply, Stats>(
  count: number,
  file: string,
  data: object,
): Promise<HostThread<Request, Reply, Stats>[]> {
  const pool = new Pool({ max: count });
  const path = threadFile(file);
  const starts = Array.from({ length: count }, () =>
    startOne<Request, Reply, Stats>(pool, path, data),
  );
  const results = await Promise.allSettled(starts);
  const threads = results.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failed = results.find((one) => one.status === 'rejected');
  if (failed === undefined) return threads;
  await Promise.all(threads.map((thread) => thread.close()));
  throw failed.reason;
}

function startOne<Request, Reply, Stats>(
  pool: Pool,
  path: string,
  data: object,
): Promise<HostThread<Request, Reply, Stats>> {
  return new Promise((resolve, reject) => {
    pool.acquire(path, { workerData: data }, (error, worker) => {
      if (error || worker === undefined) {
        reject(new SteptreeError('ONNX_HOST_FAILED', `no model-host thread: ${error?.message}`));
        return;
      }
      const thread = new WorkerThread<Request, Reply, Stats>(worker);
      thread.ready.then(() => resolve(thread), reject);
    });
  });
}

interface OpenCall {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

const INTERNAL = { code: 'INTERNAL', facts: {} } as const;

class WorkerThread<Request, Reply, Stats> implements HostThread<Request, Reply, Stats> {
  about = '';
  /** Rejects if the model can't be loaded. */
  readonly ready: Promise<void>;
  private readonly calls = new Map<number, OpenCall>();
  private readonly exited: Promise<void>;
  private lastId = 0;
  private ended: SteptreeError | null = null;
  private failStart: (error: SteptreeError) => void = () => undefined;

  constructor(private readonly worker: Worker) {
    this.exited = new Promise((done) => worker.once('exit', () => done()));
    this.ready = new Promise((resolve, reject) => {
      this.failStart = reject;
      worker.on('message', (message: HostMessage<Reply, Stats>) => {
        if (message.kind === 'ready') {
          this.about = message.about;
          resolve();
        } else if (message.kind === 'unusable') this.end(revivedError(message.error));
        else this.settle(message);
      });
    });
    const failed = (message: string) => this.end(revivedError({ ...INTERNAL, message }));
    worker.on('error', (error) => failed(String(error)));
    worker.on('exit', () => failed('its thread ended'));
  }

  ask(calls: readonly HostCall<Request>[]): Promise<Reply>[] {
    const sent: { id: number; request: Request }[] = [];
    const replies = calls.map(async ({ request, signal }) => {
      signal?.throwIfAborted();
      const { id, reply } = this.open<Reply>();
      sent.push({ id, request });
      return raced(reply, signal, () => this.cancel(id));
    });
    // Async functions run up to their first await at once, so all calls are in `sent` by now.
    if (sent.length > 0) this.post({ kind: 'ask', calls: sent });
    return replies;
  }

  stats(): Promise<Stats> {
    const { id, reply } = this.open<Stats>();
    this.post({ kind: 'stats', id });
    return reply;
  }

  async close(): Promise<void> {
    if (this.ended === null) {
      this.post({ kind: 'close' });
      this.end(new SteptreeError('ONNX_HOST_CLOSED', 'the ONNX model host was closed', {}));
    }
    await this.exited;
  }

  private open<T>(): { id: number; reply: Promise<T> } {
    this.lastId += 1;
    const id = this.lastId;
    const reply = new Promise<T>((resolve, reject) => {
      if (this.ended !== null) reject(this.ended);
      else this.calls.set(id, { resolve: resolve as OpenCall['resolve'], reject });
    });
    return { id, reply };
  }

  private cancel(id: number): void {
    if (this.calls.delete(id)) this.post({ kind: 'cancel', id });
  }

  private post(command: HostCommand<Request>): void {
    if (this.ended === null) this.worker.postMessage(command);
  }

  private settle(message: Extract<HostMessage<Reply, Stats>, { id: number }>): void {
    const call = this.calls.get(message.id);
    if (call === undefined) return;
    this.calls.delete(message.id);
    if (message.kind === 'error') call.reject(revivedError(message.error));
    else call.resolve(message.kind === 'reply' ? message.reply : message.stats);
  }

  private end(error: SteptreeError): void {
    this.ended ??= error;
    for (const call of this.calls.values()) call.reject(this.ended);
    this.calls.clear();
    this.failStart(this.ended);
  }
}

/** The promise's value, or the signal's reason as soon as it aborts. */
function raced<T>(
  promise: Promise<T>,
  signal: AbortSignal | undefined,
  onAbort: () => void,
): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const abort = () => {
      onAbort();
      reject(signal.reason);
    };
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** The compiled thread file: in this tree, or in dist/ when tests run the sources.
 *  @throws SteptreeError ONNX_HOST_FAILED if the sources were never built */
function threadFile(file: string): string {
  const own = fileURLToPath(new URL(`../../${file}`, import.meta.url));
  if (existsSync(own)) return own;
  const built = fileURLToPath(new URL(`../../../dist/src/${file}`, import.meta.url));
  if (existsSync(built)) return built;
  throw new SteptreeError('ONNX_HOST_FAILED', `${built} is missing; run npm run build first`, {});
}
