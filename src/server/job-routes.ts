import { createReadStream, existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { SteptreeError } from '../../search/errors.js';
import { type JobRequest, jobRequest } from './job-schema.js';
import type { Job, JobBoard } from './jobs.js';
import type { Service } from './service.js';
import type { ServiceApp } from './typed-app.js';

const params = z.strictObject({ id: z.string() });

/** Files of a run that may be read, with their media types. */
const FILES: Readonly<Record<string, string>> = {
  'labels.jsonl': 'application/jsonl; charset=utf-8',
  'failed.jsonl': 'application/jsonl; charset=utf-8',
  'results.jsonl': 'application/jsonl; charset=utf-8',
  'run.json': 'application/json; charset=utf-8',
  'summary.json': 'application/json; charset=utf-8',
  'report.md': 'text/markdown; charset=utf-8',
};

export function addJobRoutes(app: ServiceApp, service: Service): void {
  const tags = ['Jobs'];
  const board = (): JobBoard => {
    if (service.jobs) return service.jobs;
    throw new SteptreeError(
      'SERVE_JOB_REFUSED',
      'this service takes no jobs; start it with --jobs DIR',
    );
  };
  const jobOf = (id: string, owner: string): Job => {
    const job = board().get(id, owner);
    if (job) return job;
    throw new SteptreeError('SERVE_NOT_FOUND', 'there is no such job; GET /v1/jobs lists yours');
  };
  app.post(
    '/v1/jobs',
    { schema: { tags, body: jobRequest, summary: 'Starts labelling or a benchmark' } },
    async (request, reply) => {
      const jobs = board();
      const admitted = await withAdmittedPictures(service, request.body);
      reply.code(202);
      return shown(jobs, await jobs.submit(admitted, request.client));
    },
  );
  app.get('/v1/jobs', { schema: { tags, summary: 'Jobs, newest first' } }, async (request) => {
    const jobs = board();
    return { jobs: jobs.list(request.client).map((job) => shown(jobs, job)) };
  });
  app.get(
    '/v1/jobs/:id',
    { schema: { tags, params, summary: 'A job, with what its run says of itself' } },
    async (request) => shown(board(), jobOf(request.params.id, request.client)),
  );
  app.post(
    '/v1/jobs/:id/resume',
    { schema: { tags, params, summary: 'Tries a failed job again' } },
    async (request) => {
      const job = jobOf(request.params.id, request.client);
      await board().resume(job);
      return shown(board(), job);
    },
  );
  app.delete(
    '/v1/jobs/:id',
    { schema: { tags, params, summary: 'Ends a job and removes its files' } },
    async (request) => {
      const job = jobOf(request.params.id, request.client);
      await board().remove(job);
      return { id: job.id, deleted: true };
    },
  );
  app.get(
    '/v1/jobs/:id/files/:name',
    {
      schema: {
        tags,
        params: z.strictObject({ id: z.string(), name: z.string() }),
        summary: `A file of the run: ${Object.keys(FILES).join(', ')}`,
      },
    },
    async (request, reply) => {
      const { id, name } = request.params;
      const job = jobOf(id, request.client);
      const type = Object.hasOwn(FILES, name) ? FILES[name] : undefined;
      const path = join(board().place(job.id).out, type === undefined ? '' : name);
      if (type === undefined || !existsSync(path)) {
        throw new SteptreeError('SERVE_NOT_FOUND', 'the run has no such file, or not yet');
      }
      return reply.type(type).send(createReadStream(path));
    },
  );
}

/** @throws SteptreeError SERVE_JOB_REFUSED, SERVE_IMAGE_… */
async function withAdmittedPictures(service: Service, request: JobRequest): Promise<JobRequest> {
  const { problems } = request;
  if (request.kind === 'bench' && (request.set === undefined) === (problems === undefined)) {
    throw new SteptreeError('SERVE_JOB_REFUSED', 'a bench job has a set or problems, one of them', {
      param: 'set',
    });
  }
  refuseHugeNumbers(request.options);
  if (!problems) return request;
  const admitted: typeof problems = [];
  for (const problem of problems) {
    const { image, images, ...rest } = problem;
    const urls = [...(image === undefined ? [] : [image]), ...(images ?? [])];
    service.images.count(urls.length);
    const known: string[] = [];
    for (const url of urls) known.push(await service.images.admit(url));
    admitted.push(known.length > 0 ? { ...rest, images: known } : rest);
  }
  return { ...request, problems: admitted };
}

/** A rollout count of a billion would be a list of a billion seeds. Lists of numbers and options of
 *  strategies stand in texts: `n`, `strategy`. */
function refuseHugeNumbers(options: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(options)) {
    if (name === 'seed' || name === 'figmathSeed') continue;
    const numbers = typeof value === 'string' ? (value.match(/\d[\d.e+]*/gi) ?? []) : [value];
    if (!numbers.some((one) => Number(one) > MAX_JOB_NUMBER)) continue;
    throw new SteptreeError(
      'SERVE_OPTION_TOO_LARGE',
      `options.${name} is above ${MAX_JOB_NUMBER}, which no job may ask for`,
      { param: `options.${name}` },
    );
  }
}

const MAX_JOB_NUMBER = 100_000;

function shown(jobs: JobBoard, job: Job) {
  const { id, kind, created, status, error, request } = job;
  return {
    id,
    object: 'job',
    kind,
    status,
    created: Math.floor(created / 1000),
    request,
    error,
    run: jobs.progress(job),
  };
}
