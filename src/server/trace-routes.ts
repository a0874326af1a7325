import { z } from 'zod';
import { SteptreeError } from '../../search/errors.js';
import type { Service } from './service.js';
import { EventStream } from './stream.js';
import type { Trace, TraceEvent } from './traces.js';
import type { ServiceApp } from './typed-app.js';

const params = z.strictObject({ id: z.string() });

/** What is kept for a watcher that reads slowly; beyond it the watcher is let go. */
const MAX_BEHIND_BYTES = 16e6;

/** Finished and running solves of the client's own, for the viewer. */
export function addTraceRoutes(app: ServiceApp, service: Service): void {
  const tags = ['Traces'];
  const traceOf = (id: string, owner: string): Trace => {
    const trace = service.traces.get(id, owner);
    if (trace) return trace;
    throw new SteptreeError(
      'SERVE_NOT_FOUND',
      'there is no such trace; only the latest are kept (--traces, --trace-mb)',
    );
  };
  app.get(
    '/v1/traces',
    { schema: { tags, summary: 'The latest solves, newest first' } },
    async (request) => {
      return { traces: service.traces.list(request.client).map((trace) => trace.summary()) };
    },
  );
  app.get(
    '/v1/traces/:id',
    { schema: { tags, params, summary: 'A solve: its tree, candidates and scores so far' } },
    async (request) => traceOf(request.params.id, request.client).toJson(),
  );
  app.get(
    '/v1/traces/:id/events',
    {
      schema: {
        tags,
        params,
        summary:
          'Server-sent events of a solve: snapshot (as GET /v1/traces/:id), then nodes, scores, usage, status, end',
      },
    },
    async (request, reply) => {
      const trace = traceOf(request.params.id, request.client);
      const events = new EventStream(reply);
      events.data(trace.toJson(), 'snapshot');
      if (trace.status === 'done' || trace.status === 'failed') {
        events.data(endOf(trace), 'end');
        events.end();
        return;
      }
      const stop = trace.listen((event) => {
        const { type, ...rest } = event;
        if (events.behind > MAX_BEHIND_BYTES) {
          stop();
          reply.raw.destroy();
          return;
        }
        events.data(rest, type);
        if (type === 'end') events.end();
      });
      reply.raw.once('close', stop);
    },
  );
}

function endOf(trace: Trace): Omit<Extract<TraceEvent, { type: 'end' }>, 'type'> {
  const status = trace.status === 'done' ? 'done' : 'failed';
  return { status, answer: trace.result?.answer ?? null, error: trace.error };
}
