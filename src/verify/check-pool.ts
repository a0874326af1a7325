/** Runs comparisons in child processes that can be killed: a thread can neither contain a hang in
 *  computer algebra nor an exhausted heap. */
import { type ChildProcess, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { SteptreeError } from '../../search/errors.js';
import type { Comparison, Gold } from './equivalence.js';

export interface Check {
  readonly gold: Gold;
  readonly predicted: string;
}

/** To the process. */
export interface CheckBatch {
  readonly id: number;
  readonly checks: readonly Check[];
}

/** From the process. */
export type CheckReply =
  | { readonly ready: true }
  | { readonly id: number; readonly results: readonly Comparison[] };

export interface CheckPoolOptions {
  readonly checkWorkers: number;
  readonly checkTimeoutMs: number;
  readonly checkMemoryMb: number;
  /** URL of a module whose default export is a `SymbolicComparer`, loaded in the process;
   *  default: `symbolic.ts`. */
  readonly symbolicModule?: string;
}

/** Checks sent in one message, at most: few, since only hard ones come here and share one deadline. */
const batchSize = 8;
const startTimeoutMs = 60_000;
const maxStartFailures = 3;

interface Job {
  readonly check: Check;
  readonly resolve: (comparison: Comparison) => void;
  readonly reject: (error: unknown) => void;
  /** Was in a batch that had to be killed; now tried by itself. */
  alone: boolean;
}

interface Slot {
  readonly child: ChildProcess;
  ready: boolean;
  batch: readonly Job[];
  timer: NodeJS.Timeout | undefined;
  timedOut: boolean;
}

export class CheckPool {
  private readonly queue: Job[] = [];
  private readonly slots = new Set<Slot>();
  private nextId = 1;
  private startFailures = 0;
  private scheduled = false;
  private closed = false;
  /** Checks that were ended for their time or memory. */
  killed = 0;

  constructor(private readonly options: CheckPoolOptions) {}

  /** Compares in a process. A check past its time or memory is `ungraded` with reason `timeout`,
   *  `memory` or `crashed`; the rest of its batch is checked again without it.
   *  @throws SteptreeError CHECK_PROCESS_FAILED if no process can be started; VERIFIER_CLOSED */
  compare(check: Check): Promise<Comparison> {
    return new Promise((resolve, reject) => {
      if (this.closed) {
        reject(closedError());
        return;
      }
      this.queue.push({ check, resolve, reject, alone: false });
      this.schedule();
    });
  }

  /** Ends all processes; checks under way are rejected. Idempotent. */
  async close(): Promise<void> {
    this.closed = true;
    const jobs = [...this.queue.splice(0), ...[...this.slots].flatMap((slot) => slot.batch)];
    for (const job of jobs) job.reject(closedError());
    const ends = [...this.slots].map((slot) => {
      slot.batch = [];
      return new Promise<void>((resolve) => {
        // An idle child doesn't hold the event loop; its end must be waited for all the same.
        setReferenced(slot.child, true);
        slot.child.once('exit', () => resolve());
        slot.child.kill('SIGKILL');
      });
    });
    await Promise.all(ends);
  }

  /** Process ids of the live children. */
  pids(): number[] {
    return [...this.slots].flatMap((slot) => slot.child.pid ?? []);
  }

  /** Gathers what one turn of the event loop asks for into few messages. */
  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.dispatch();
    });
  }

  private dispatch(): void {
    if (this.closed) return;
    for (const slot of this.slots) {
      if (this.queue.length === 0) return;
      if (slot.ready && slot.batch.length === 0) this.send(slot);
    }
    const starting = [...this.slots].filter((slot) => !slot.ready).length;
    const wanted = Math.ceil(this.queue.length / batchSize) - starting;
    const free = this.options.checkWorkers - this.slots.size;
    for (let count = 0; count < Math.min(wanted, free); count++) this.start();
  }

  private send(slot: Slot): void {
    const jobs = this.takeBatch();
    slot.batch = jobs;
    slot.timedOut = false;
    setReferenced(slot.child, true);
    slot.timer = setTimeout(() => {
      slot.timedOut = true;
      slot.child.kill('SIGKILL');
    }, this.options.checkTimeoutMs);
    const batch: CheckBatch = { id: this.nextId++, checks: jobs.map((job) => job.check) };
    // A process that died just now reports itself by its exit.
    slot.child.send(batch, () => undefined);
  }

  private takeBatch(): Job[] {
    if (this.queue[0]?.alone) return this.queue.splice(0, 1);
    const alone = this.queue.findIndex((job) => job.alone);
    return this.queue.splice(0, Math.min(batchSize, alone < 0 ? batchSize : alone));
  }

  private start(): void {
    const child = fork(
      processFile(),
      [this.options.symbolicModule ?? compiled('symbolic.js').href],
      {
        execArgv: [`--max-old-space-size=${this.options.checkMemoryMb}`],
        env: processEnvironment(),
        stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
        serialization: 'json',
      },
    );
    const slot: Slot = { child, ready: false, batch: [], timer: undefined, timedOut: false };
    this.slots.add(slot);
    slot.timer = setTimeout(() => child.kill('SIGKILL'), startTimeoutMs);
    child.on('message', (reply) => this.receive(slot, reply as CheckReply));
    child.once('error', () => this.ended(slot, null, null));
    child.once('exit', (code, signal) => this.ended(slot, code, signal));
  }

  private receive(slot: Slot, reply: CheckReply): void {
    clearTimeout(slot.timer);
    if ('ready' in reply) {
      slot.ready = true;
      this.startFailures = 0;
    } else {
      slot.batch.forEach((job, index) => {
        job.resolve(reply.results[index] ?? { verdict: 'ungraded', reason: 'crashed' });
      });
      slot.batch = [];
    }
    if (this.queue.length > 0 && !this.closed) this.send(slot);
    else setReferenced(slot.child, false);
  }

  private ended(slot: Slot, code: number | null, signal: NodeJS.Signals | null): void {
    if (!this.slots.delete(slot)) return;
    clearTimeout(slot.timer);
    const { batch } = slot;
    slot.batch = [];
    if (this.closed) return;
    if (!slot.ready) this.countStartFailure(code, signal);
    const [first] = batch;
    if (first && batch.length === 1) {
      this.killed++;
      first.resolve({ verdict: 'ungraded', reason: endReason(slot, code, signal) });
    } else {
      for (const job of batch) job.alone = true;
      this.queue.unshift(...batch);
    }
    this.dispatch();
  }

  private countStartFailure(code: number | null, signal: NodeJS.Signals | null): void {
    this.startFailures++;
    if (this.startFailures < maxStartFailures) return;
    this.startFailures = 0;
    const error = new SteptreeError(
      'CHECK_PROCESS_FAILED',
      `the process that compares answers ended ${maxStartFailures} times before it was ready (exit ${code ?? signal ?? 'unknown'}); expected it to start within ${startTimeoutMs / 1000} s. Raise --check-memory-mb, or check the limits of this machine on processes and memory`,
      { code, signal },
    );
    for (const job of this.queue.splice(0)) job.reject(error);
  }
}

/** V8 aborts when its heap is full. */
function endReason(slot: Slot, code: number | null, signal: NodeJS.Signals | null): string {
  if (slot.timedOut) return 'timeout';
  return signal === 'SIGABRT' || signal === 'SIGTRAP' || signal === 'SIGILL' || code === 134
    ? 'memory'
    : 'crashed';
}

/** An idle child must not keep the program alive; a busy one must. */
function setReferenced(child: ChildProcess, isReferenced: boolean): void {
  if (isReferenced) {
    child.ref();
    child.channel?.ref();
  } else {
    child.unref();
    child.channel?.unref();
  }
}

/** Keys and loader flags of the parent are no business of the checks. */
function processEnvironment(): NodeJS.ProcessEnv {
  const kept = ['PATH', 'SystemRoot', 'TMPDIR', 'TEMP'];
  return Object.fromEntries(
    kept.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function processFile(): string {
  return fileURLToPath(compiled('check-process.js'));
}

/** A compiled module of this folder. Run from TypeScript sources, as tests do, it is the last build's. */
function compiled(name: string): URL {
  const beside = new URL(`./${name}`, import.meta.url);
  if (existsSync(fileURLToPath(beside))) return beside;
  return new URL(`../../dist/src/verify/${name}`, import.meta.url);
}

export function closedError(): SteptreeError {
  return new SteptreeError(
    'VERIFIER_CLOSED',
    'the verifier was closed while answers were being checked; close it after the last verify() has ended',
  );
}
