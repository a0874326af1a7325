/** The viewer as a part of a server: the page under /ui/, its JSON under /api/view/, all read only. */
import type { FastifyInstance, FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { errorCode, SteptreeError } from '../../search/errors.js';
import { loggedError } from './log.js';
import { type BuiltPage, PAGE_CSP, readBuiltPage } from './view-built.js';
import { httpError } from './view-errors.js';
import { ViewFolder, type ViewFolderOptions } from './view-folder.js';

export interface ViewerOptions extends ViewFolderOptions {
  /** The folder of runs; null for none. */
  readonly dir: string | null;
  /** Default: the page of the package. */
  readonly page?: BuiltPage;
}

const ids = z.strictObject({ run: z.string().max(4096) });
const problemIds = z.strictObject({ run: z.string().max(4096), problem: z.string().max(4096) });
const pictureIds = z.strictObject({
  run: z.string().max(4096),
  problem: z.string().max(4096),
  at: z.coerce.number().int().min(0).max(1000).default(0),
});

/** Adds the viewer's routes to a server. They sit in a scope of their own, so that their errors and
 *  headers touch no other route, and the server's own hooks (keys, limits) hold for them too.
 *
 *      await app.register(registerViewer, { dir: 'runs' });   // http://…/ui/
 *
 *  @throws SteptreeError VIEW_FOLDER_MISSING, VIEW_NOT_BUILT */
export const registerViewer: FastifyPluginAsync<ViewerOptions> = async (app, options) => {
  const folder = new ViewFolder(options.dir, options);
  const page = options.page ?? readBuiltPage();
  await app.register(async (scope) => {
    scope.setErrorHandler((error, request, reply) => {
      // A missing key or too many requests: the service around says so in its own way.
      if (errorCode(error).startsWith('SERVE_')) throw error;
      const { status, body } = httpError(error);
      if (status === 500) request.log.error(loggedError(error, false), 'viewer failed');
      return reply.code(status).send(body);
    });
    addPage(scope, page);
    addData(scope, folder);
  });
};

function addPage(scope: FastifyInstance, page: BuiltPage): void {
  scope.get('/ui', (_, reply) => reply.redirect('ui/'));
  scope.get('/ui/', (_, reply) => {
    secure(reply).header('cache-control', 'no-cache');
    return send(reply, page, 'index.html');
  });
  scope.get<{ Params: { name: string } }>('/ui/assets/:name', (request, reply) => {
    // Their names hold a hash of their content.
    secure(reply).header('cache-control', 'public, max-age=31536000, immutable');
    return send(reply, page, `assets/${request.params.name}`);
  });
}

function send(reply: FastifyReply, page: BuiltPage, name: string): FastifyReply {
  const file = page.get(name);
  if (file) return reply.type(file.type).send(file.bytes);
  reply.header('cache-control', 'no-store').callNotFound();
  return reply;
}

function addData(scope: FastifyInstance, folder: ViewFolder): void {
  const json = (reply: FastifyReply) => secure(reply).header('cache-control', 'no-cache');
  scope.get('/api/view/about', async (_, reply) => {
    const canSolve = scope.hasRoute({ method: 'POST', url: '/v1/chat/completions' });
    return json(reply).send({ canSolve });
  });
  scope.get('/api/view/runs', async (_, reply) => json(reply).send({ runs: await folder.runs() }));
  scope.get('/api/view/run', async (request, reply) => {
    const { run } = parseQuery(ids, request);
    const etag = `W/"${await folder.stamp(run)}"`;
    json(reply).header('etag', etag);
    // A page that follows a run asks every few seconds.
    if (request.headers['if-none-match'] === etag) return reply.code(304).send();
    return reply.send(await folder.run(run));
  });
  scope.get('/api/view/problem', async (request, reply) => {
    const { run, problem } = parseQuery(problemIds, request);
    return json(reply).send(await folder.problem(run, problem));
  });
  scope.get('/api/view/holders', async (request, reply) => {
    const { problem } = parseQuery(problemIds.omit({ run: true }), request);
    return json(reply).send({ runs: await folder.holders(problem) });
  });
  scope.get('/api/view/picture', async (request, reply) => {
    const { run, problem, at } = parseQuery(pictureIds, request);
    const { type, bytes } = await folder.picture(run, problem, at);
    return json(reply).type(type).send(bytes);
  });
}

function parseQuery<T>(schema: z.ZodType<T>, request: FastifyRequest): T {
  const parsed = schema.safeParse(request.query);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const name = issue?.path.join('.') ?? '';
  throw new SteptreeError(
    'VIEW_REQUEST_INVALID',
    `the query${name ? `'s ${name}` : ''} is not as expected: ${issue?.message ?? ''}`,
    { field: name },
  );
}

/** On every answer, so that also a picture or JSON opened by itself can run nothing. */
function secure(reply: FastifyReply): FastifyReply {
  return reply
    .header('content-security-policy', PAGE_CSP)
    .header('x-content-type-options', 'nosniff')
    .header('referrer-policy', 'no-referrer')
    .header('cross-origin-resource-policy', 'same-origin')
    .header('cross-origin-opener-policy', 'same-origin');
}
