import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FastifyError } from 'fastify';
import { SteptreeError } from '../../search/errors.js';
import { errorBody, statusOf } from './errors.js';
import type { Service } from './service.js';
import type { ServiceApp } from './typed-app.js';

/** The caller's id for a request if it is a harmless one, else a new one. */
export function requestIdOf(raw: Pick<IncomingMessage, 'headers'>): string {
  const given = raw.headers['x-request-id'];
  return typeof given === 'string' && /^[\w.-]{1,64}$/.test(given) ? given : randomUUID();
}

/** Answers errors in OpenAI's shape, and logs one line per request without headers, queries and
 *  bodies: keys, questions and pictures stand there. */
export function addAnswersOfErrors(app: ServiceApp, service: Service): void {
  const { logContent } = service.settings.server;
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
  });
  app.addHook('onResponse', async (request, reply) => {
    request.log.info(
      {
        method: request.method,
        path: request.routeOptions.url ?? 'unknown',
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime * 10) / 10,
        client: request.client,
      },
      'request',
    );
  });
  app.setErrorHandler((error: FastifyError | SteptreeError, request, reply) => {
    const status = statusOf(error);
    const body = errorBody(error, request.id);
    service.metrics.failed(body.error.code);
    if (status >= 500 && status !== 503) {
      request.log.error(loggedError(error, logContent), 'request failed');
    }
    const wait = error instanceof SteptreeError ? error.facts.retryAfterSeconds : undefined;
    if (typeof wait === 'number') reply.header('retry-after', String(wait));
    if (status === 401) reply.header('www-authenticate', 'Bearer');
    if (!request.raw.complete) dropTheRest(request.raw);
    return reply.code(status).send(body);
  });
  app.setNotFoundHandler((request, reply) => {
    const error = new SteptreeError('SERVE_NOT_FOUND', 'there is no such route; see /docs');
    return reply.code(404).send(errorBody(error, request.id));
  });
}

/** Messages of servers and of JavaScript may quote what they were given. */
export function loggedError(error: unknown, withContent: boolean): Record<string, unknown> {
  const code = error instanceof SteptreeError ? error.code : 'INTERNAL';
  const { message, stack = '' } = error instanceof Error ? error : new Error(String(error));
  const frames = stack.split('\n').filter((line) => /^\s+at /.test(line));
  return {
    code,
    ...(code === 'INTERNAL' ? { stack: frames.map((line) => line.trim()) } : {}),
    ...(withContent ? { message } : {}),
  };
}

const DROP_MS = 10_000;

/** Node reads what still comes of a body, and drops it: a client whose connection is closed while it
 *  sends often sees that only, and not the answer. One that sends for long is let go. */
function dropTheRest(raw: IncomingMessage): void {
  const { socket } = raw;
  const timer = setTimeout(() => {
    if (!raw.complete) socket.destroy();
  }, DROP_MS);
  timer.unref();
  socket.once('close', () => clearTimeout(timer));
}
