import { SteptreeError } from '../../search/errors.js';
import type { Job, JobPlace, JobRunner } from '../server/jobs.js';
import { benchRun } from './bench.js';
import { label } from './label.js';
import { parseLabelOptions } from './label-options.js';
import type { ServeRequest } from './serve-options.js';

/** Jobs run by the functions that the commands run, with the service's own models. */
export function jobRunner({ stated }: ServeRequest): JobRunner {
  return (job, place, signal, watch) =>
    job.kind === 'label'
      ? runLabel(job, place, signal, stated)
      : runBench(job, place, { signal, watch }, stated);
}

async function runLabel(
  { request }: Job,
  { problems, out }: JobPlace,
  signal: AbortSignal,
  stated: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  // Options of the service that labelling doesn't know are not looked at.
  const options = parseLabelOptions({ ...stated, ...request.options });
  const summary = await label(problems, out, { ...options, format: 'steptree' }, quiet(signal));
  if (summary.status === 'done') return summary;
  throw new SteptreeError('SERVE_JOB_REFUSED', `the run ended as ${summary.status}`);
}

async function runBench(
  { request }: Job,
  { problems, out }: JobPlace,
  io: { readonly signal: AbortSignal; readonly watch: (progress: () => unknown) => void },
  stated: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  const set = request.kind === 'bench' && request.set !== undefined ? request.set : problems;
  const given = { ...stated, ...request.options, out, quiet: true };
  const { table: _, ...report } = await benchRun(set, given, io);
  return report;
}

function quiet(signal: AbortSignal) {
  return { signal, quiet: true, log: () => {} };
}
