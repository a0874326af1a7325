import { Redis } from 'ioredis';
import { errorMessage } from '../../search/errors.js';
import { abortable } from '../policy/abortable.js';
import { sleep, within } from '../policy/sleep.js';
import { firstConnection, refusalOf } from './first-connection.js';
import { readUrl } from './redis-url.js';

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

/** How often the log says again that Redis is still away. */
const REMIND_MS = 30_000;
/** How long a lost connection may go without a reason before the log tells of it. */
const REASON_MS = 1_000;
const MAX_RETRY_MS = 2_000;

/** Resolves with the first connection, however long it takes.
 *  @throws SteptreeError QUEUE_URL_INVALID, QUEUE_PASSWORD_MISSING; QUEUE_REFUSED, QUEUE_TLS_REFUSED if
 *  Redis does not let us in; the signal's reason */
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
      const away = watch.trouble() !== null;
      watch.stop();
      // QUIT waits for what was sent before; a Redis that is away would let it wait forever.
      if (!away) await within(1_000, redis.quit());
      redis.disconnect();
    },
  };
  try {
    await firstConnection(redis, shown, settings.signal);
    watch.connected();
    return link;
  } catch (error) {
    watch.stop();
    redis.disconnect();
    throw error;
  }
}

/** Says once that Redis is away, again every half minute, and that it is back. */
function watchLink(redis: Redis, shown: string, log: (line: string) => void) {
  let lostAt: number | null = null;
  let reason = '';
  let told = false;
  let isFirst = true;
  let timer: NodeJS.Timeout | undefined;
  const away = () => `${Math.round((performance.now() - (lostAt ?? 0)) / 1000)} s`;
  const tell = () => {
    clearTimeout(timer);
    const why = reason === '' ? '' : ` (${reason})`;
    const goesOn = isFirst
      ? 'trying until it is there; is the address right?'
      : 'trying again until it is back, nothing is lost';
    log(
      told
        ? `Redis at ${shown} is away for ${away()} now${why}`
        : `Redis at ${shown} can't be reached${why}; ${goesOn}`,
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
    if (isFirst && refusalOf(error, shown) !== null) return;
    lose(reasonOf(error, shown));
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
    if (told) log(`Redis at ${shown} is ${isFirst ? 'there' : 'back'} after ${away()}`);
    forget();
  };
  redis.on('error', onError);
  redis.on('close', onClose);
  redis.on('ready', onReady);
  return {
    connected: () => {
      isFirst = false;
    },
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

/** A server without TLS says nothing to a greeting in TLS, and the other way round. */
function reasonOf(error: Error, shown: string): string {
  const message = errorMessage(error);
  if (!/ETIMEDOUT|ECONNRESET|secure TLS|connection is closed/i.test(message)) return message;
  return shown.startsWith('rediss:')
    ? `${message}; does it speak TLS on that port?`
    : `${message}; if it speaks TLS there: rediss://`;
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

/** Waits for something of Redis before an end, no longer than `ms`; hardly, if Redis is away: then it would
 *  wait in vain. @returns whether it was done */
export function beforeEnd(link: RedisLink, ms: number, work: Promise<unknown>): Promise<boolean> {
  return within(link.trouble() === null ? ms : Math.min(ms, AWAY_MS), work);
}

const AWAY_MS = 200;
