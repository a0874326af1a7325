import { type Dispatcher, Pool } from 'undici';
import { errorMessage, SteptreeError } from '../../../search/errors.js';
import { after } from '../sleep.js';
import { whenAborted } from '../when-aborted.js';
import { HttpExchange, type HttpReply } from './exchange.js';

/** Why one attempt of a call failed.
 *  - `status`: the server answered with an error status.
 *  - `connection`: refused, reset, or not to be found.
 *  - `timeout`: no complete reply within the deadline.
 *  - `body`: a reply that was cut, is no JSON, or lacks what it must hold. */
export type HttpFailureKind = 'status' | 'connection' | 'timeout' | 'body';

/** One failed attempt: a fact for the retry loop, which turns it into a SteptreeError. */
export class HttpFailure extends Error {
  constructor(
    readonly kind: HttpFailureKind,
    message: string,
    readonly facts: {
      readonly retryable: boolean;
      readonly status?: number;
      /** What the server asked us to wait. */
      readonly retryAfterMs?: number;
      /** The server's reply to a refused request, for reading which field it disliked. */
      readonly reply?: string;
      /** Nobody listens there: no other call would fare better. */
      readonly gone?: boolean;
    },
  ) {
    super(message);
    this.name = 'HttpFailure';
  }
}

export interface JsonEndpointOptions {
  readonly apiKey?: string;
  readonly requestTimeoutMs: number;
  readonly connectTimeoutMs: number;
  /** Milliseconds since 1970, to read a `Retry-After` date. */
  readonly now?: () => number;
  /** Calls `fire` after `ms` unless the returned function is called before. */
  readonly after?: (ms: number, fire: () => void) => () => void;
}

/** One server's base URL with its keep-alive connections. Every call is a single attempt. */
export interface JsonEndpoint {
  /** The base URL without credentials, fit for messages. */
  readonly url: string;
  /** @param path below the base URL (`/models`), or beside it (`../pooling`)
   *  @throws HttpFailure; the signal's reason when it aborted; POLICY_CLOSED after `close`. */
  get(path: string, signal?: AbortSignal): Promise<unknown>;
  post(path: string, body: unknown, signal?: AbortSignal): Promise<unknown>;
  /** Ends all connections, also those of calls in flight. Idempotent. */
  close(): Promise<void>;
}

const RETRYABLE_STATUS = new Set([408, 409, 425, 429, 500, 502, 503, 504]);
const MAX_MESSAGE_CHARS = 300;
/** Ends an exchange whose call was aborted; the signal's own reason is what the caller gets. */
const ABORTED = new Error('aborted');
const GONE = /^(ECONNREFUSED|ENOTFOUND|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT)$/;

/** Opens an endpoint; nothing is sent yet. A URL without a path means its `/v1`, any other path
 *  is taken as it is.
 *  @throws SteptreeError POLICY_URL_INVALID */
export function createJsonEndpoint(rawUrl: string, options: JsonEndpointOptions): JsonEndpoint {
  const base = parseBaseUrl(rawUrl);
  const pool = new Pool(base.origin, {
    pipelining: 1,
    keepAliveTimeout: 30_000,
    connect: { timeout: options.connectTimeoutMs },
    // Deadlines are ours (exact, and one for the whole exchange), not undici's coarse timers.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const get = requestHeaders(base, options.apiKey);
  const headers = { get, post: { ...get, 'content-type': 'application/json' } };
  const secrets = [options.apiKey, base.password].filter((s): s is string => !!s);
  const state: EndpointState = { pool, base, headers, secrets, options, closing: null };
  return {
    url: base.shown,
    get: (path, signal) => exchange(state, { method: 'GET', path, signal }),
    post: (path, body, signal) =>
      exchange(state, { method: 'POST', path, body: JSON.stringify(body), signal }),
    close: () => {
      state.closing ??= pool.destroy();
      return state.closing;
    },
  };
}

/** Milliseconds of a `Retry-After` header: whole seconds or an HTTP date; undefined if unreadable. */
export function parseRetryAfter(value: unknown, nowMs: number): number | undefined {
  if (typeof value !== 'string' || value.trim() === '') return undefined;
  if (/^\s*\d+(\.\d+)?\s*$/.test(value)) return Math.round(Number(value) * 1000);
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}

interface BaseUrl {
  readonly origin: string;
  readonly path: string;
  readonly shown: string;
  readonly user: string;
  readonly password: string;
}

interface EndpointState {
  readonly pool: Pool;
  readonly base: BaseUrl;
  readonly headers: Readonly<Record<'get' | 'post', Record<string, string>>>;
  readonly secrets: readonly string[];
  readonly options: JsonEndpointOptions;
  closing: Promise<void> | null;
}

interface Exchange {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: string;
  readonly signal: AbortSignal | undefined;
}

function parseBaseUrl(rawUrl: string): BaseUrl {
  const url = URL.canParse(rawUrl) ? new URL(rawUrl) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new SteptreeError(
      'POLICY_URL_INVALID',
      `"${withoutUserInfo(rawUrl)}" is no server URL; expected something like http://localhost:8000/v1`,
    );
  }
  const path = url.pathname.replace(/\/+$/, '') || '/v1';
  return {
    origin: url.origin,
    path,
    shown: url.origin + path,
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
  };
}

/** `/models` lies below the base path, `../pooling` beside its last part. */
function resolvePath(base: BaseUrl, path: string): string {
  if (!path.startsWith('../')) return base.path + path;
  return base.path.replace(/\/[^/]*$/, '') + path.slice(2);
}

function withoutUserInfo(url: string): string {
  return url.replace(/\/\/[^/@]*@/, '//');
}

function requestHeaders(base: BaseUrl, apiKey: string | undefined): Record<string, string> {
  const headers: Record<string, string> = { accept: 'application/json' };
  if (apiKey) {
    headers.authorization = `Bearer ${apiKey}`;
  } else if (base.user !== '' || base.password !== '') {
    const pair = Buffer.from(`${base.user}:${base.password}`).toString('base64');
    headers.authorization = `Basic ${pair}`;
  }
  return headers;
}

async function exchange(state: EndpointState, call: Exchange): Promise<unknown> {
  const { signal } = call;
  signal?.throwIfAborted();
  if (state.closing) throw closedError(state);
  const { requestTimeoutMs } = state.options;
  const http = new HttpExchange();
  const stopTimer = (state.options.after ?? after)(requestTimeoutMs, () =>
    http.stop(timeoutFailure(requestTimeoutMs)),
  );
  const forget = whenAborted(signal, () => http.stop(ABORTED));
  try {
    send(state, call, http);
    return read(state, await http.reply);
  } catch (error) {
    // An exchange that was ended fails with whatever undici was doing; say what really ended it.
    if (signal?.aborted) throw signal.reason;
    if (state.closing) throw closedError(state);
    throw error instanceof HttpFailure ? error : connectionFailure(error, state.secrets);
  } finally {
    stopTimer();
    forget();
  }
}

function send({ base, headers, pool }: EndpointState, call: Exchange, http: HttpExchange): void {
  const options: Dispatcher.DispatchOptions = {
    method: call.method,
    path: resolvePath(base, call.path),
    headers: call.body === undefined ? headers.get : headers.post,
    body: call.body ?? null,
  };
  pool.dispatch(options, http);
}

/** @throws HttpFailure `status` or `body` */
function read(state: EndpointState, { status, headers, text }: HttpReply): unknown {
  if (status >= 200 && status < 300) return parseJson(text, state.secrets);
  const now = state.options.now ?? Date.now;
  throw statusFailure(status, headers, text, now(), state.secrets);
}

function parseJson(text: string, secrets: readonly string[]): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const start = redact(shorten(text, 80), secrets);
    throw new HttpFailure(
      'body',
      `the reply is no complete JSON (${text.length} chars: ${start})`,
      {
        retryable: true,
      },
    );
  }
}

function statusFailure(
  status: number,
  headers: Record<string, unknown>,
  text: string,
  nowMs: number,
  secrets: readonly string[],
): HttpFailure {
  const retryAfterMs = parseRetryAfter(headers['retry-after'], nowMs);
  const message = redact(shorten(serverMessage(text), MAX_MESSAGE_CHARS), secrets);
  return new HttpFailure('status', `HTTP ${status}${message ? `: ${message}` : ''}`, {
    retryable: RETRYABLE_STATUS.has(status) || status > 504,
    status,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    reply: redact(shorten(text, 4000), secrets),
  });
}

/** The sentence in a server's error reply, in the shapes that known servers use. */
function serverMessage(text: string): string {
  let reply: unknown;
  try {
    reply = JSON.parse(text);
  } catch {
    return text;
  }
  for (const path of [['error', 'message'], ['message'], ['detail'], ['error']]) {
    let value: unknown = reply;
    for (const key of path) value = (value as Record<string, unknown> | null)?.[key];
    if (typeof value === 'string') return value;
    if (Array.isArray(value)) return JSON.stringify(value);
  }
  return text;
}

function connectionFailure(error: unknown, secrets: readonly string[]): HttpFailure {
  const code = (error as { code?: unknown } | null)?.code;
  const name = typeof code === 'string' ? code : 'unknown';
  // A bad certificate stays bad; everything else about a connection may heal.
  const retryable = !/CERT|SELF_SIGNED|TLS|UND_ERR_INVALID_ARG/.test(name);
  const message = redact(shorten(errorMessage(error), MAX_MESSAGE_CHARS), secrets);
  return new HttpFailure('connection', `connection failed (${name}): ${message}`, {
    retryable,
    gone: GONE.test(name),
  });
}

function timeoutFailure(requestTimeoutMs: number): HttpFailure {
  return new HttpFailure('timeout', `no complete reply within ${requestTimeoutMs} ms`, {
    retryable: true,
  });
}

function closedError(state: EndpointState): SteptreeError {
  return new SteptreeError(
    'POLICY_CLOSED',
    `the connection to ${state.base.shown} was closed; calls must end before close()`,
  );
}

function shorten(text: string, maxChars: number): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= maxChars ? line : `${line.slice(0, maxChars)}…`;
}

// Servers echo request headers in some error pages; a key must not travel on from there.
function redact(text: string, secrets: readonly string[]): string {
  return secrets.reduce((cleaned, secret) => cleaned.replaceAll(secret, '***'), text);
}
