import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Worker } from 'node:worker_threads';
import Pool from 'worker-threads-pool';
import { SteptreeError } from '../../../search/errors.js';
import {
  type HostCommand,
  type HostMessage,
  type HostThreadData,
  revivedError,
} from './protocol.js';

/** One model-host thread with its open calls. */
export interface HostThread {
  readonly decoder: string;
  /** Sends a command that is answered by a message of the same id. */
  call(command: CallCommand): { id: number; reply: Promise<HostMessage> };
  /** Forgets a call; its answer is dropped. */
  cancel(id: number): void;
  /** Rejects open calls, lets the thread finish its running pass and end itself. */
  close(): Promise<void>;
}

export type CallCommand =
  | Omit<Extract<HostCommand, { kind: 'sample' }>, 'id'>
  | Omit<Extract<HostCommand, { kind: 'stats' }>, 'id'>;

interface OpenCall {
  resolve(message: HostMessage): void;
  reject(error: unknown): void;
}

/** Starts the threads through worker-threads-pool, which gives one long-lived Worker per `acquire`.
 *  Its `destroy` terminates Workers, which aborts the process when one is in a run, so it is never
 *  called: threads end themselves, and their slots with them.
 *  @throws SteptreeError what loading the model raised in the thread */
export async function startHostThreads(count: number, data: HostThreadData): Promise<HostThread[]> {
  const pool = new Pool({ max: count });
  const starts = Array.from({ length: count }, () => startOne(pool, data));
  const results = await Promise.allSettled(starts);
  const threads = results.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failed = results.find((one) => one.status === 'rejected');
  if (failed === undefined) return threads;
  await Promise.all(threads.map((thread) => thread.close()));
  throw failed.reason;
}

function startOne(pool: Pool, data: HostThreadData): Promise<HostThread> {
  return new Promise((resolve, reject) => {
    pool.acquire(threadFile(), { workerData: data }, (error, worker) => {
      if (error || worker === undefined) {
        reject(new SteptreeError('ONNX_HOST_FAILED', `no model-host thread: ${error?.message}`));
        return;
      }
      attach(worker, resolve, reject);
    });
  });
}

function attach(
  worker: Worker,
  resolve: (thread: HostThread) => void,
  reject: (error: unknown) => void,
): void {
  const calls = new Map<number, OpenCall>();
  let lastId = 0;
  let ended: SteptreeError | null = null;
  const exited = new Promise<void>((done) => worker.once('exit', () => done()));
  const end = (error: SteptreeError) => {
    ended ??= error;
    for (const call of calls.values()) call.reject(ended);
    calls.clear();
    reject(ended);
  };
  const thread = (decoder: string): HostThread => ({
    decoder,
    call(command) {
      lastId += 1;
      const id = lastId;
      const reply = new Promise<HostMessage>((done, fail) => {
        if (ended !== null) fail(ended);
        else calls.set(id, { resolve: done, reject: fail });
      });
      if (ended === null) worker.postMessage({ ...command, id });
      return { id, reply };
    },
    cancel(id) {
      if (calls.delete(id)) worker.postMessage({ kind: 'cancel', id } satisfies HostCommand);
    },
    async close() {
      if (ended === null) {
        end(new SteptreeError('ONNX_HOST_CLOSED', 'the ONNX policy host was closed', {}));
        worker.postMessage({ kind: 'close' } satisfies HostCommand);
      }
      await exited;
    },
  });
  worker.on('error', (error) => end(revivedError({ ...INTERNAL, message: String(error) })));
  worker.on('exit', () => end(revivedError({ ...INTERNAL, message: 'its thread ended' })));
  worker.on('message', (message: HostMessage) => {
    if (message.kind === 'ready') resolve(thread(message.decoder));
    else if (message.kind === 'unusable') end(revivedError(message.error));
    else settle(calls, message);
  });
}

const INTERNAL = { code: 'INTERNAL', facts: {} } as const;

function settle(calls: Map<number, OpenCall>, message: Extract<HostMessage, { id: number }>): void {
  const call = calls.get(message.id);
  if (call === undefined) return;
  calls.delete(message.id);
  if (message.kind === 'error') call.reject(revivedError(message.error));
  else call.resolve(message);
}

/** The compiled thread file: beside this module, or in dist/ when tests run the sources.
 *  @throws SteptreeError ONNX_HOST_FAILED if the sources were never built */
function threadFile(): string {
  const own = fileURLToPath(new URL('./host-thread.js', import.meta.url));
  if (existsSync(own)) return own;
  const built = fileURLToPath(
    new URL('../../../dist/src/policy/onnx/host-thread.js', import.meta.url),
  );
  if (existsSync(built)) return built;
  throw new SteptreeError('ONNX_HOST_FAILED', `${built} is missing; run npm run build first`, {});
}
