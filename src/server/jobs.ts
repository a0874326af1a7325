import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, errorMessage, SteptreeError } from '../../search/errors.js';
import { writeFileAtomic } from '../data/files.js';
import { lockRun } from '../runtime/run-files.js';
import type { JobRequest } from './job-schema.js';

/** A request without its problems, which have a file of their own. */
type WithoutProblems<R> = R extends unknown ? Omit<R, 'problems'> : never;

export type JobStatus = 'queued' | 'running' | 'done' | 'failed';

/** A job as its folder remembers it. */
export interface Job {
  readonly id: string;
  readonly kind: 'label' | 'bench';
  /** Whose it is; nobody else is shown it. */
  readonly owner: string;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly request: WithoutProblems<JobRequest>;
  status: JobStatus;
  error: { readonly code: string; readonly message: string } | null;
  /** What the run says of itself when it has ended. */
  summary: unknown;
}

/** Where a job's files are. */
export interface JobPlace {
  /** The problems that the request brought; not there for a named set. */
  readonly problems: string;
  /** The run's folder, as the command writes it. */
  readonly out: string;
}

/** Runs a job to its end, or to the signal; the same call later goes on where it was.
 *  @param watch given a function that says how far it is, where its files don't */
export type JobRunner = (
  job: Job,
  place: JobPlace,
  signal: AbortSignal,
  watch: (progress: () => unknown) => void,
) => Promise<unknown>;

interface RunningJob {
  readonly abort: AbortController;
  readonly ended: Promise<void>;
  progress?: () => unknown;
}

export interface JobSettings {
  readonly dir: string;
  readonly maxJobs: number;
  readonly maxQueuedJobs: number;
}

/** Label and bench jobs, each in a folder of its own. What a folder holds is enough to go on: after
 *  a kill the next start takes up every job that was not at its end. */
export class JobBoard {
  private readonly jobs = new Map<string, Job>();
  private readonly running = new Map<string, RunningJob>();
  private readonly unlock: () => void;
  /** Jobs whose files are being written before they are in the list. */
  private arriving = 0;
  private closed = false;

  /** @throws SteptreeError RUN_LOCKED where another process has the folder, RUN_DIR_UNUSABLE */
  constructor(
    private readonly settings: JobSettings,
    private readonly run: JobRunner,
    private readonly onEnd: (job: Job) => void = () => {},
  ) {
    mkdirSync(settings.dir, { recursive: true, mode: 0o700 });
    // Two services would both take up what is unfinished, and each see the other's runs as failed.
    this.unlock = lockRun(settings.dir);
    for (const job of readJobs(settings.dir)) {
      if (job.status === 'running') job.status = 'queued';
      this.jobs.set(job.id, job);
    }
  }

  /** Takes up what is unfinished. */
  start(): void {
    for (const job of this.jobs.values()) {
      if (this.closed || this.running.size >= this.settings.maxJobs) return;
      if (job.status === 'queued') this.begin(job);
    }
  }

  /** @throws SteptreeError SERVE_BUSY, FILE_WRITE_FAILED */
  async submit({ problems, ...request }: JobRequest, owner: string): Promise<Job> {
    const isOpen = ({ status }: Job) => status === 'queued' || status === 'running';
    const open = this.arriving + [...this.jobs.values()].filter(isOpen).length;
    if (open >= this.settings.maxQueuedJobs) {
      throw new SteptreeError(
        'SERVE_BUSY',
        `${open} jobs wait or run, which is the limit (--max-queued-jobs); try again later`,
        { retryAfterSeconds: 60 },
      );
    }
    const job: Job = {
      id: randomUUID(),
      kind: request.kind,
      owner,
      created: Date.now(),
      request,
      status: 'queued',
      error: null,
      summary: null,
    };
    this.arriving++;
    try {
      if (problems) {
        const lines = problems.map((problem) => `${JSON.stringify(problem)}\n`);
        await writeFileAtomic(this.place(job.id).problems, lines.join(''));
      }
      // Last: a folder without it is no job, so a half-submitted one is never taken up.
      await this.save(job);
      this.jobs.set(job.id, job);
    } finally {
      this.arriving--;
    }
    this.start();
    return job;
  }

  /** Another owner's is not there. */
  get(id: string, owner: string): Job | null {
    const job = this.jobs.get(id);
    return job?.owner === owner ? job : null;
  }

  /** Newest first. */
  list(owner: string): Job[] {
    const own = [...this.jobs.values()].filter((job) => job.owner === owner);
    return own.sort((a, b) => b.created - a.created);
  }

  /** Tries a failed job again; what it has done stays done. */
  async resume(job: Job): Promise<void> {
    if (job.status !== 'failed') return;
    job.status = 'queued';
    job.error = null;
    await this.save(job);
    this.start();
  }

  /** Ends the job and removes all that it wrote. */
  async remove(job: Job): Promise<void> {
    this.jobs.delete(job.id);
    const running = this.running.get(job.id);
    running?.abort.abort(new DOMException('the job was deleted', 'AbortError'));
    await running?.ended;
    // Not at once: a run has a file for every problem.
    await rm(this.folder(job.id), { recursive: true, force: true });
  }

  /** What the run, or its own files, say of a job that is under way. */
  progress(job: Job): unknown {
    if (job.summary !== null) return job.summary;
    const told = this.running.get(job.id)?.progress?.();
    if (told !== undefined) return told;
    try {
      return JSON.parse(readFileSync(join(this.place(job.id).out, 'run.json'), 'utf8'));
    } catch {
      return null;
    }
  }

  place(id: string): JobPlace {
    const folder = this.folder(id);
    return { problems: join(folder, 'problems.jsonl'), out: join(folder, 'run') };
  }

  /** Stops what runs; the next start takes it up. */
  async close(): Promise<void> {
    this.closed = true;
    const running = [...this.running.values()];
    for (const { abort } of running) abort.abort(new DOMException('shutting down', 'AbortError'));
    await Promise.all(running.map(({ ended }) => ended));
    this.unlock();
  }

  private begin(job: Job): void {
    const abort = new AbortController();
    job.status = 'running';
    const ended = this.work(job, abort.signal).finally(() => {
      this.running.delete(job.id);
      this.start();
    });
    this.running.set(job.id, { abort, ended });
  }

  private async work(job: Job, signal: AbortSignal): Promise<void> {
    try {
      await this.save(job);
      signal.throwIfAborted();
      const summary = await this.run(job, this.place(job.id), signal, (progress) => {
        const running = this.running.get(job.id);
        if (running) running.progress = progress;
      });
      signal.throwIfAborted();
      job.summary = summary;
      job.status = 'done';
    } catch (error) {
      // Deleted, or taken up by the next start.
      if (signal.aborted) return;
      job.status = 'failed';
      job.error = { code: errorCode(error), message: errorMessage(error) };
    }
    await this.save(job).catch(() => {});
    this.onEnd(job);
  }

  private async save(job: Job): Promise<void> {
    await writeFileAtomic(join(this.folder(job.id), JOB_FILE), `${JSON.stringify(job)}\n`);
  }

  private folder(id: string): string {
    return join(this.settings.dir, id);
  }
}

const JOB_FILE = 'job.json';

/** In order of creation. */
function readJobs(dir: string): Job[] {
  const jobs = readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    if (!entry.isDirectory()) return [];
    try {
      const job = JSON.parse(readFileSync(join(dir, entry.name, JOB_FILE), 'utf8')) as Job;
      return job.id === entry.name ? [job] : [];
    } catch {
      return [];
    }
  });
  return jobs.sort((a, b) => a.created - b.created);
}
