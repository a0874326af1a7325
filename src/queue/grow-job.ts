/** One job at a worker: the problem comes out of Redis, its tree is grown, the result goes in. */
import {
  errorCode,
  errorMessage,
  SearchContext,
  SteptreeError,
  type Usage,
} from '../../search/index.js';
import { labelProblem } from '../runtime/label-problem.js';
import type { JobData } from './job.js';
import { JobLost, type JobPlace, JobReplies } from './job-replies.js';
import type { OpenRun, OpenRuns } from './models.js';
import { unpackProblem } from './pictures.js';
import { insist } from './redis.js';
import type { Begun } from './scripts.js';
import { Turns } from './turns.js';
import type { ActiveJob, WorkerActivity } from './worker-activity.js';

/** Losses from which on a problem is a suspect: one at a time may try here. The first few may have been
 *  those of another problem that shared the worker. */
const SUSPECT_LOSSES = 2;

export interface JobGrowerPorts {
  readonly runs: OpenRuns;
  readonly activity: WorkerActivity;
  readonly maxFailuresInARow: number;
}

/** Grows the jobs of one worker. */
export class JobGrower {
  private readonly suspects = new Turns();
  private failuresInARow = 0;

  constructor(private readonly ports: JobGrowerPorts) {}

  /** Grows a job that this worker owns, and hands its result in.
   *  @throws JobLost; the signal's reason; what opening the models throws; QUEUE_WORKER_POLICY_DOWN */
  work(data: JobData, begun: Begun, place: JobPlace, active: ActiveJob): Promise<void> {
    return this.ports.runs.use(begun.specHash, data.runId, async (run) => {
      const { maxLosses } = run.spec;
      const replies = await JobReplies.open(place);
      if (begun.losses >= maxLosses) {
        this.ports.activity.count('failed');
        await replies.finish({
          status: 'failed',
          code: 'QUEUE_JOB_LOST_WORKERS',
          message: `problem ${data.problem.id} lost its worker ${begun.losses} times without a new reply; does it need more memory than workers have, or do workers live shorter than a reply takes (raise --queue-max-losses)?`,
          usage: active.usage,
        });
        return;
      }
      await this.try(begun, place, active);
      await this.grow(run, data, place, { replies, active });
    });
  }

  /** Only now, with models open, does a loss count: what came before was not the problem's doing. Nor is
   *  what another problem does meanwhile, so suspects take turns, each until it has a new reply: the one
   *  that kills its worker is then the only one of them that is counted. */
  private async try({ losses }: Begun, place: JobPlace, active: ActiveJob): Promise<void> {
    const { scripts, keys, jobId, token } = place;
    if (losses >= SUSPECT_LOSSES) active.endTurn = await this.suspects.take(place.signal);
    const how = await insist(() => scripts.try(keys, jobId, token), place);
    if (how === 'taken' || how === 'unwanted') throw new JobLost(how);
  }

  private async grow(
    run: OpenRun,
    { problem: travelling }: JobData,
    place: JobPlace,
    { replies, active }: { readonly replies: JobReplies; readonly active: ActiveJob },
  ): Promise<void> {
    const { spec, policy, scheduler, verifier, critic } = run;
    const { redis, keys } = place;
    try {
      const problem = await unpackProblem(travelling, (picture) =>
        insist(() => redis.getBuffer(keys.picture(picture)), place),
      );
      const context = new SearchContext({
        problem,
        seed: spec.seed,
        policy: scheduler,
        sampling: spec.sampling,
        verifier,
        ...(critic ? { critic } : {}),
        store: replies,
        budget: spec.budget,
        now: () => performance.now(),
        signal: place.signal,
        onReplay: (prefix, count) => policy.skip?.(problem.id, prefix, count),
      });
      active.usage = context.usage;
      const tree = await labelProblem(problem, context, spec.method, spec.options);
      const text = JSON.stringify(tree);
      await replies.finish({ status: 'done', tree: text, usage: context.usage });
      this.ports.activity.count('done');
      this.failuresInARow = 0;
    } catch (error) {
      if (error instanceof JobLost || place.signal.aborted) throw error;
      await this.fail(error, replies, active.usage);
    } finally {
      scheduler.release(travelling.id);
    }
  }

  /** A problem that failed is the run's to record; many in a row are this worker's own fault. */
  private async fail(error: unknown, replies: JobReplies, usage: Usage): Promise<void> {
    const { maxFailuresInARow, activity } = this.ports;
    const code = errorCode(error);
    const message = errorMessage(error);
    this.failuresInARow++;
    if (this.failuresInARow >= maxFailuresInARow) {
      throw new SteptreeError(
        'QUEUE_WORKER_POLICY_DOWN',
        `${this.failuresInARow} problems failed here one after the other, the last with: ${message}; this worker stops so that it does not fail the others too, its last problems are handed back`,
        { failures: this.failuresInARow, code },
        { cause: error },
      );
    }
    await replies.finish({ status: 'failed', code, message, usage });
    activity.count('failed');
  }
}
