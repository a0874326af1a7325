import type { FastifyInstance, FastifyRequest } from 'fastify';
import { SteptreeError } from '../../search/errors.js';
import { isLoopback } from './addresses.js';
import type { KeyRing } from './keys.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose request it is: the key's id, or `local` where none is needed. */
    client: string;
  }
}

/** Anybody may see these: they hold no data of anybody. */
const OPEN_PATHS = [/^\/health$/, /^\/ready$/, /^\/docs(\/|$)/, /^\/ui(\/|$)/];

export interface AuthSettings {
  readonly host: string;
  readonly allowHosts: readonly string[];
}

/** Without a key only this machine may ask.
 *  @throws SteptreeError SERVE_PUBLIC_WITHOUT_KEY */
export function refusePublicWithoutKey(host: string, keys: KeyRing): void {
  if (isLoopback(host) || keys.isRequired) return;
  throw new SteptreeError(
    'SERVE_PUBLIC_WITHOUT_KEY',
    `--host ${host} can be reached from outside, and there is no API key; make one with \`steptree serve keys add --keys FILE\` and give --keys FILE, or stay on 127.0.0.1`,
    { host },
  );
}

/** Looks at Host and key before a body is read. */
export function addAuth(app: FastifyInstance, keys: KeyRing, settings: AuthSettings): void {
  app.decorateRequest('client', 'local');
  app.addHook('onRequest', async (request) => {
    refuseForeignHost(request, settings);
    if (!keys.isRequired) return;
    const path = request.url.split('?', 1)[0] ?? '';
    if (['GET', 'HEAD'].includes(request.method) && OPEN_PATHS.some((open) => open.test(path)))
      return;
    const id = keys.idOf(bearerOf(request));
    if (id === null) {
      throw new SteptreeError(
        'SERVE_AUTH_REQUIRED',
        'this service needs a valid API key in the header Authorization: Bearer …',
      );
    }
    request.client = id;
  });
}

function bearerOf({ headers }: FastifyRequest): string {
  const [, key = ''] = /^Bearer\s+(\S+)\s*$/i.exec(headers.authorization ?? '') ?? [];
  return key;
}

/** A page in a browser of this machine can reach a service on loopback by a name of its own that
 *  leads here (DNS rebinding); the Host header gives it away. */
function refuseForeignHost(request: FastifyRequest, { host, allowHosts }: AuthSettings): void {
  if (!isLoopback(host)) return;
  const name = (request.headers.host ?? '').replace(/:\d*$/, '').toLowerCase();
  if (isLoopback(name) || allowHosts.some((allowed) => allowed.toLowerCase() === name)) return;
  throw new SteptreeError(
    'SERVE_HOST_REFUSED',
    'this service listens on loopback and is not called by this name; call it by 127.0.0.1 or localhost, or start it with --allow-hosts NAME',
  );
}
