import rateLimit from '@fastify/rate-limit';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import Fastify, { type FastifyBaseLogger, type FastifyRequest, LogController } from 'fastify';
import { jsonSchemaTransform, type ZodTypeProvider } from 'fastify-type-provider-zod';
import type { z } from 'zod';
import { errorMessage, SteptreeError } from '../../search/errors.js';
import { Admission } from './admission.js';
import { addAuth } from './auth.js';
import { addChatRoutes } from './chat-routes.js';
import { knownFields } from './chat-schema.js';
import { errorBody, invalidRequest, statusOf } from './errors.js';
import { createImageFetcher } from './image-fetch.js';
import { createImageAdmitter } from './images.js';
import { addJobRoutes } from './job-routes.js';
import type { JobBoard } from './jobs.js';
import { holdsMoreThan } from './json-size.js';
import type { KeyRing } from './keys.js';
import { addAnswersOfErrors, requestIdOf } from './log.js';
import { Metrics } from './metrics.js';
import { createCatalogue } from './models.js';
import { OpenReplies } from './open-replies.js';
import type { ServerOptions } from './options.js';
import { PendingBytes } from './pending-bytes.js';
import { addScoreRoutes } from './score-routes.js';
import { addSecurityHeaders } from './security-headers.js';
import { needsThere, type Service, type ServiceModels, type ServiceSettings } from './service.js';
import { addSystemRoutes } from './system-routes.js';
import { addTraceRoutes } from './trace-routes.js';
import { TraceStore } from './traces.js';
import type { ServiceApp } from './typed-app.js';

export interface ServiceParts {
  readonly models: ServiceModels;
  readonly settings: ServiceSettings;
  /** Of Steptree, for /health and /docs. */
  readonly version: string;
  readonly keys: KeyRing;
  /** Null: no jobs are taken. It is started and closed with the service. */
  readonly jobs: JobBoard | null;
  /** Adds the viewer's routes, /ui and /api/view. */
  readonly addViewer?: (app: ServiceApp) => Promise<void>;
  /** Absent: nothing is logged. */
  readonly logger?: FastifyBaseLogger;
}

export interface RunningService {
  readonly app: ServiceApp;
  readonly service: Service;
  /** Takes no new work, lets what runs end for `drainSeconds`, then ends it; closes the server and
   *  stops jobs, which the next start takes up. Idempotent. The models stay open. */
  drain(): Promise<void>;
}

/** The HTTP service over open models; `app.listen` starts it, `app.inject` tests it. */
export async function createService(parts: ServiceParts): Promise<RunningService> {
  const { models, settings, keys } = parts;
  const { server } = settings;
  const app = newApp(parts);
  const state = { isDraining: false };
  const replies = new OpenReplies();
  const admission = new Admission(server, () => performance.now());
  const traces = new TraceStore(server);
  const service: Service = {
    models,
    settings,
    catalogue: createCatalogue(needsThere(models), models.host.name, server.maxWidth),
    admission,
    pending: new PendingBytes(server.maxPendingMb * 1e6, server.maxBodyMb * 1e6),
    images: createImageAdmitter(server, createImageFetcher(server)),
    metrics: new Metrics({
      admission: () => admission.stats(),
      policyQueue: () => models.policy.stats?.() ?? { inFlight: 0, waiting: 0 },
      policyStats: () => models.host.stats(),
      scorerStats: () => models.scorer?.stats?.() ?? {},
      traces: () => traces.count,
    }),
    traces,
    jobs: parts.jobs,
    log: app.log,
    running: new Set(),
  };
  app.addHook('onRequest', (_request, { raw }, done) => {
    replies.add(raw);
    done();
  });
  addAnswersOfErrors(app, service);
  // Before what may refuse: refusals have them too.
  addSecurityHeaders(app);
  addAuth(app, keys, server);
  refuseWhileDraining(app, state);
  await addPlugins(app, server, parts.version);
  addSystemRoutes(app, service, { state, version: parts.version });
  addChatRoutes(app, service);
  addScoreRoutes(app, service);
  addTraceRoutes(app, service);
  addJobRoutes(app, service);
  // After keys and headers, which hold for its /api/view too; /ui itself is open (auth.ts).
  await parts.addViewer?.(app);
  parts.jobs?.start();
  return { app, service, drain: drainer(app, service, { state, replies }) };
}

/** @returns the service's address
 *  @throws SteptreeError SERVE_LISTEN_FAILED */
export async function listenOn(
  app: ServiceApp,
  { host, port }: Pick<ServerOptions, 'host' | 'port'>,
): Promise<string> {
  try {
    return await app.listen({ host, port });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const isTaken = code === 'EADDRINUSE';
    const why = isTaken
      ? `port ${port} is taken; choose another one with --port, or any free one with --port 0`
      : `cannot listen on ${host}, port ${port} (${code ?? errorMessage(error)}); choose others with --host and --port`;
    throw new SteptreeError('SERVE_LISTEN_FAILED', why, { host, port }, { cause: error });
  }
}

/** JSON values of a body; a job may bring 100,000 problems. */
const MAX_VALUES = 50_000;
const MAX_JOB_VALUES = 1_500_000;

function tooManyValues(): SteptreeError {
  return new SteptreeError(
    'SERVE_REQUEST_TOO_LARGE',
    'the body has too many parts, or is nested too deeply; send fewer messages, parts or steps',
  );
}

function newApp({ settings, logger }: ServiceParts): ServiceApp {
  const app = Fastify({
    ...(logger ? { loggerInstance: logger } : { logger: false }),
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: Math.floor(settings.server.maxBodyMb * 1e6),
    // A client that sends its request drop by drop is let go.
    requestTimeout: 60_000,
    keepAliveTimeout: 75_000,
    // Nobody is left whom that would cut off, see drain(). Connections that never asked anything, as
    // browsers open them ahead, would else be waited for.
    forceCloseConnections: true,
    requestIdHeader: false,
    genReqId: requestIdOf,
    routerOptions: { maxParamLength: 200 },
    // Addresses that can't be decoded reach no route, and no hook.
    frameworkErrors: (error, { id }, { raw }) => {
      raw.writeHead(statusOf(error), {
        'content-type': 'application/json; charset=utf-8',
        'x-content-type-options': 'nosniff',
      });
      raw.end(JSON.stringify(errorBody(error, id)));
    },
  }).withTypeProvider<ZodTypeProvider>();
  app.setValidatorCompiler<z.ZodType>(({ schema, url = '' }) => (data) => {
    if (holdsMoreThan(data, /jobs/.test(url) ? MAX_JOB_VALUES : MAX_VALUES)) {
      return { error: tooManyValues() };
    }
    const parsed = schema.safeParse(data);
    if (parsed.success) return { value: parsed.data };
    return { error: invalidRequest(parsed.error.issues[0], knownFields) };
  });
  // Replies are ours: their schemas are for readers of /docs, and checking them would cost time.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  // JSON only: what forms of other sites can send (text/plain, multipart) is refused.
  app.removeContentTypeParser('text/plain');
  return app;
}

async function addPlugins(app: ServiceApp, server: ServerOptions, version: string): Promise<void> {
  if (server.rateLimit > 0) {
    await app.register(rateLimit, {
      max: server.rateLimit,
      timeWindow: 60_000,
      keyGenerator: (request: FastifyRequest) =>
        request.client === 'local' ? request.ip : `key ${request.client}`,
      allowList: (request: FastifyRequest) => /^\/(health|ready)$/.test(request.url),
      errorResponseBuilder: (_request, { max, ttl }) =>
        new SteptreeError(
          'SERVE_RATE_LIMITED',
          `more than ${max} requests a minute (--rate-limit); try again in ${Math.ceil(ttl / 1000)} s`,
          { retryAfterSeconds: Math.ceil(ttl / 1000) },
        ),
    });
  }
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Steptree',
        version,
        description: 'Test-time search behind an OpenAI-compatible API, with pictures.',
      },
      components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
      security: [{ key: [] }],
    },
    transform: jsonSchemaTransform,
  });
  await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: true });
}

function refuseWhileDraining(app: ServiceApp, state: { readonly isDraining: boolean }): void {
  app.addHook('onRequest', async ({ method }) => {
    if (!state.isDraining || method !== 'POST') return;
    throw new SteptreeError(
      'SERVE_DRAINING',
      'the service is shutting down; ask again in a moment, or another one',
      { retryAfterSeconds: 5 },
    );
  });
}

interface Drained {
  readonly state: { isDraining: boolean };
  readonly replies: OpenReplies;
}

function drainer(app: ServiceApp, service: Service, parts: Drained) {
  let drained: Promise<void> | null = null;
  return () => {
    drained ??= drain(app, service, parts);
    return drained;
  };
}

async function drain(app: ServiceApp, service: Service, { state, replies }: Drained) {
  state.isDraining = true;
  const jobsEnded = service.jobs?.close();
  await within(service.settings.server.drainSeconds * 1000, replies.whenNone());
  for (const controller of service.running) {
    const text = 'the service was shut down before the search ended; ask again';
    controller.abort(new SteptreeError('SERVE_DRAINING', text, { retryAfterSeconds: 5 }));
  }
  // For those who are told just now. Who reads no further is not waited for.
  await within(LAST_WORDS_MS, replies.whenNone());
  await jobsEnded;
  await app.close();
}

const LAST_WORDS_MS = 1_000;

async function within(ms: number, done: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([done, patience]);
  clearTimeout(timer);
}
