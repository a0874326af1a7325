/** What `--queue` says. */
import { SteptreeError } from '../../search/errors.js';

export interface RedisAddress {
  /** For the client; may hold a password. */
  readonly url: string;
  /** For everybody else: without user and password. */
  readonly shown: string;
  readonly password?: string;
}

/** @param passwordEnv the variable that holds the password
 *  @throws SteptreeError QUEUE_URL_INVALID, QUEUE_PASSWORD_MISSING */
export function readUrl(text: string, passwordEnv: string | undefined): RedisAddress {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw invalidUrl();
  }
  // Anything else behind the host would silently be database 0.
  const isDatabase = /^\/?\d*$/.test(url.pathname);
  if (!/^rediss?:$/.test(url.protocol) || url.hostname === '' || !isDatabase) throw invalidUrl();
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

/** The address as the log may show it. */
export function shownUrl(text: string): string {
  return readUrl(text, undefined).shown;
}
