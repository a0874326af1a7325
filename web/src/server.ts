/** Requests to the server that the page came from. */
import { parseEvents, type ServerEvent } from './model/events.js';

/** The key of the service, where it wants one. Kept in memory only: it ends with the page. */
let apiKey = '';

/** Sent with `KEY_EVENT`, upon which everything is loaded anew. */
export function setApiKey(key: string): void {
  apiKey = key.trim();
  dispatchEvent(new Event(KEY_EVENT));
}

export const KEY_EVENT = 'steptree-key';

export class ServerError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** @param path from the folder above the page's, `api/view/runs`
 *  @throws ServerError for every answer but 2xx and 304, in the server's own words */
export async function serverFetch(path: string, options: RequestInit): Promise<Response> {
  const headers = new Headers(options.headers);
  if (apiKey !== '') headers.set('authorization', `Bearer ${apiKey}`);
  let reply: Response;
  try {
    reply = await fetch(new URL(`../${path}`, document.baseURI), { ...options, headers });
  } catch (error) {
    if ((error as Error).name === 'AbortError') throw error;
    throw new ServerError(0, 'OFFLINE', 'The server does not answer; is it still running?');
  }
  if (reply.ok || reply.status === 304) return reply;
  throw await readError(reply);
}

async function readError(reply: Response): Promise<ServerError> {
  const body = (await reply.json().catch(() => null)) as {
    error?: { code?: string; message?: string };
  } | null;
  const { code = '', message = `The server answered with ${reply.status}.` } = body?.error ?? {};
  return new ServerError(reply.status, code ?? '', message);
}

/** Events of a server-sent stream, read with fetch, so that a key can go along. */
export async function* serverEvents(
  path: string,
  signal: AbortSignal,
): AsyncGenerator<ServerEvent> {
  const reply = await serverFetch(path, { signal, headers: { accept: 'text/event-stream' } });
  if (reply.body) yield* parseEvents(reply.body);
}
