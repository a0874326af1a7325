import { Redis } from 'ioredis';
import { errorMessage, SteptreeError } from '../../search/errors.js';
import { abortable } from '../policy/abortable.js';
import { sleep, within } from '../policy/sleep.js';

/** A connection to Redis that does not give up: commands wait for the server to come back, and the
 *  log says so. */
export interface RedisLink {
  readonly redis: Redis;
  /** The address without user and password. */
  readonly shown: string;
  /** Why commands wait, or null. */
  trouble(): string | null;
  close(): Promise<void>;
}

export interface LinkSettings {
  readonly url: string;
  readonly passwordEnv?: string | undefined;
  /** A connection that says nothing for so long while it owes an answer is made anew. */
  readonly silenceMs?: number;
  readonly log: (line: string) => void;
  readonly signal: AbortSignal;
}

/** How Redis refuses a user or password. */
const REFUSAL = /WRONGPASS|NOAUTH|NOPERM|ERR AUTH|invalid password/i;

/** How often the log says again that Redis is still away. */
const REMIND_MS = 30_000;
/** How long a lost connection may go without a reason before the log tells of it. */
const REASON_MS = 1_000;
const MAX_RETRY_MS = 2_000;

/** Resolves with the first connection, however long it takes.
 *  @throws SteptreeError QUEUE_URL_INVALID, QUEUE_PASSWORD_MISSING; QUEUE_REFUSED if Redis does not
 *  take user or password; the signal's reason */
export async function connectRedis(settings: LinkSettings): Promise<RedisLink> {
  const { url, shown, password } = readUrl(settings.url, settings.passwordEnv);
  const redis = new Redis(url, {
    ...(password === undefined ? {} : { password }),
    lazyConnect: true,
    // BullMQ asks for it; and a command that failed would be a reply lost.
    maxRetriesPerRequest: null,
    retryStrategy: (times) => Math.min(MAX_RETRY_MS, 100 * 2 ** Math.min(times, 10)),
    connectTimeout: 5_000,
    socketTimeout: settings.silenceMs ?? 15_000,
    connectionName: 'steptree',
  });
  const watch = watchLink(redis, shown, settings.log);
  const link: RedisLink = {
    redis,
    shown,
    trouble: watch.trouble,
    close: async () => {
      watch.stop();
      // QUIT waits for what was sent before; a Redis that is away would let it wait forever.
      await within(1_000, redis.quit());
      redis.disconnect();
    },
  };
  try {
    await firstConnection(redis, shown, settings.signal);
    return link;
  } catch (error) {
    watch.stop();
    redis.disconnect();
    throw error;
  }
}

/** The address as the log may show it. */
export function shownUrl(text: string): string {
  return readUrl(text, undefined).shown;
}

function readUrl(text: string, passwordEnv: string | undefined) {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw invalidUrl();
  }
  if (!/^rediss?:$/.test(url.protocol) || url.hostname === '') throw invalidUrl();
  const shown = `${url.protocol}//${url.hostname}:${url.port || 6379}${url.pathname.replace(/\/$/, '')}`;
  if (passwordEnv === undefined) return { url: text, shown };
  const password = process.env[passwordEnv];
  if (!password) {
    throw new SteptreeError(
      'QUEUE_PASSWORD_MISSING',
      `the environment variable ${passwordEnv}, named by --queue-password-env, is not set; set it to the password of ${shown}`,
      { variable: passwordEnv },
    );
  }
  return { url: text, shown, password };
}

/** The text itself may hold a password, so it is not repeated. */
function invalidUrl(): SteptreeError {
  return new SteptreeError(
    'QUEUE_URL_INVALID',
    '--queue is no Redis address; expected redis://[user:password@]host[:port][/db], or rediss:// for TLS',
  );
}

function firstConnection(redis: Redis, shown: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void) => {
      redis.off('ready', onReady);
      redis.off('error', onError);
      signal.removeEventListener('abort', onAbort);
      settle();
    };
    const onReady = () => end(resolve);
    const onAbort = () => end(() => reject(signal.reason));
    const onError = (error: Error) => {
      if (!REFUSAL.test(error.message)) return;
      end(() =>
        reject(
          new SteptreeError(
            'QUEUE_REFUSED',
            `Redis at ${shown} does not let us in: ${error.message}; give user and password in the URL, or the password with --queue-password-env`,
            { url: shown },
            { cause: error },
          ),
        ),
      );
    };
    redis.on('ready', onReady);
    redis.on('error', onError);
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort);
    // Errors of this first try come as events too, and the next tries follow by themselves.
    redis.connect().catch(() => {});
  });
}

/** Says once that Redis is away, again every half minute, and that it is back. */
function watchLink(redis: Redis, shown: string, log: (line: string) => void) {
  let lostAt: number | null = null;
  let reason = '';
  let told = false;
  let timer: NodeJS.Timeout | undefined;
  const away = () => `${Math.round((performance.now() - (lostAt ?? 0)) / 1000)} s`;
  const tell = () => {
    clearTimeout(timer);
    const why = reason === '' ? '' : ` (${reason})`;
    log(
      told
        ? `Redis at ${shown} is away for ${away()} now${why}`
        : `Redis at ${shown} can't be reached${why}; trying again until it is back, nothing is lost`,
    );
    told = true;
    timer = setTimeout(tell, REMIND_MS);
    timer.unref();
  };
  const lose = (why: string) => {
    if (why !== '') reason = why;
    lostAt ??= performance.now();
    if (told) return;
    if (reason !== '') tell();
    // A broken connection gives no reason, but the next try does.
    else timer ??= setTimeout(tell, REASON_MS).unref();
  };
  const onError = (error: Error) => {
    // Who is refused at first is told by the error that ends the command.
    if (REFUSAL.test(error.message) && lostAt === null) return;
    lose(errorMessage(error));
  };
  const onClose = () => lose('');
  const forget = () => {
    clearTimeout(timer);
    timer = undefined;
    told = false;
    lostAt = null;
    reason = '';
  };
  const onReady = () => {
    if (told) log(`Redis at ${shown} is back after ${away()}`);
    forget();
  };
  redis.on('error', onError);
  redis.on('close', onClose);
  redis.on('ready', onReady);
  return {
    trouble: () => (lostAt === null ? null : `Redis away for ${away()} (${reason || 'no answer'})`),
    stop: () => {
      forget();
      redis.off('close', onClose);
      redis.off('ready', onReady);
      // Errors of a connection that is being closed are nobody's concern, but must have a listener.
      redis.off('error', onError);
      redis.on('error', () => {});
    },
  };
}

/** What Redis answers while it can't, not because of the command. */
const PASSING =
  /^(LOADING|OOM|MISCONF|READONLY|BUSY|TRYAGAIN|NOREPLICAS|MASTERDOWN)\b|connection is closed|aborted due to connection close|socket timeout|ECONN|EPIPE|ETIMEDOUT/i;

/** Does something with Redis until it works: a Redis that is full, loading, read-only or away is waited
 *  for, and the log says once why.
 *  @throws what is no such thing; the signal's reason */
export async function insist<T>(
  action: () => Promise<T>,
  { log, signal }: { readonly log: (line: string) => void; readonly signal: AbortSignal },
): Promise<T> {
  let told = false;
  for (;;) {
    signal.throwIfAborted();
    try {
      return await abortable(action(), signal);
    } catch (error) {
      signal.throwIfAborted();
      const message = errorMessage(error);
      if (!PASSING.test(message)) throw error;
      if (!told) log(`Redis can't take it now (${message}); trying again`);
      told = true;
      await sleep(RETRY_MS, signal);
    }
  }
}

const RETRY_MS = 500;
