/** Whether Redis lets us in. Before the first connection that is told apart from a Redis that is not there
 *  yet: one ends the command, for the other it waits. */
import type { Redis } from 'ioredis';
import { SteptreeError } from '../../search/errors.js';

/** How Redis refuses a user, a password or a database. */
const REFUSAL = /WRONGPASS|NOAUTH|NOPERM|ERR AUTH|invalid password|DB index is out of range/i;

/** Codes of Node.js and OpenSSL for a certificate that isn't trusted, and for TLS that the two sides can't
 *  agree on. */
const TLS_REFUSAL =
  /^(SELF_SIGNED|DEPTH_ZERO|UNABLE_TO|CERT_|ERR_TLS_CERT|ERR_SSL|EPROTO|HOSTNAME_MISMATCH)/;

/** The error that ends a command, if that is one. */
export function refusalOf(error: Error, shown: string): SteptreeError | null {
  // OpenSSL's own words stand in `reason`; its messages hold places in its source.
  const { code = '', reason = error.message } = error as Error & { code?: string; reason?: string };
  if (TLS_REFUSAL.test(code)) {
    return new SteptreeError(
      'QUEUE_TLS_REFUSED',
      `no TLS with Redis at ${shown}: ${reason}; ${tlsAdvice(code)}`,
      { url: shown, reason: code },
      { cause: error },
    );
  }
  if (!REFUSAL.test(error.message)) return null;
  const advice = /DB index/i.test(error.message)
    ? 'name a database that it has behind the port, or none'
    : 'give user and password in the URL, or the password with --queue-password-env';
  return new SteptreeError(
    'QUEUE_REFUSED',
    `Redis at ${shown} does not let us in: ${error.message}; ${advice}`,
    { url: shown },
    { cause: error },
  );
}

function tlsAdvice(code: string): string {
  if (/ALTNAME|HOSTNAME/.test(code)) {
    return 'give the host by a name that is in its certificate';
  }
  if (code === 'CERT_HAS_EXPIRED') return 'renew its certificate';
  if (/CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE/.test(code)) {
    return 'clients with certificates of their own are not supported: let it ask for none (tls-auth-clients no)';
  }
  if (/^(ERR_SSL|EPROTO)/.test(code)) return 'does it speak TLS on that port?';
  return 'set NODE_EXTRA_CA_CERTS to the file (PEM) of the authority that signed its certificate, here and at every worker';
}

/** Resolves with the first connection, however long it takes. */
export function firstConnection(redis: Redis, shown: string, signal: AbortSignal): Promise<void> {
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
      const refusal = refusalOf(error, shown);
      if (refusal) end(() => reject(refusal));
    };
    redis.on('ready', onReady);
    redis.on('error', onError);
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort);
    // Errors of this first try come as events too, and the next tries follow by themselves.
    redis.connect().catch(() => {});
  });
}
