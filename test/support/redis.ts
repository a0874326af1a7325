import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Redis } from 'ioredis';

/** Tests that need a Redis are skipped, by their names, where there is none. */
export const hasRedis = spawnSync('redis-server', ['--version']).status === 0;

/** The same for a Redis that speaks TLS, and for openssl, which makes its certificate. */
export const hasTlsRedis =
  hasRedis &&
  spawnSync('openssl', ['version']).status === 0 &&
  // One that was built without TLS does not know the option.
  spawnSync('redis-server', ['--port', '0', '--tls-port', '1'])
    .stdout.toString()
    .includes('Failed to configure TLS');

/** A certificate authority of the test's own, and a certificate that it signed: PEM files. */
export interface TestCertificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** @param dir where the files go @param names as openssl writes them, such as `IP:127.0.0.1` */
export function makeCertificates(dir: string, names: string): TestCertificates {
  const file = (name: string) => join(dir, name);
  const openssl = (...args: string[]) => {
    const { status, stderr } = spawnSync('openssl', args);
    if (status !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`);
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const [ca, cert] = [file('ca.pem'), file('cert.pem')];
  openssl('req', '-x509', ...key, '-keyout', file('ca.key'), '-out', ca, '-subj', '/CN=test-ca');
  openssl(
    ...['req', ...key, '-keyout', file('cert.key'), '-out', file('cert.csr')],
    ...['-subj', '/CN=test-redis', '-addext', `subjectAltName=${names}`],
  );
  openssl(
    ...['x509', '-req', '-in', file('cert.csr'), '-CA', ca, '-CAkey', file('ca.key')],
    ...['-copy_extensions', 'copy', '-out', cert],
  );
  return { ca, cert, key: file('cert.key') };
}

export interface TlsRedis {
  /** rediss:// */
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/** A Redis that speaks TLS only.
 *  @param options.asksClients whether clients need a certificate too, as is Redis's default */
export async function startTlsRedis(
  dir: string,
  { ca, cert, key }: TestCertificates,
  options: { asksClients?: boolean } = {},
): Promise<TlsRedis> {
  const port = await freePort();
  const child = spawn(
    'redis-server',
    [
      ...[
        '--port',
        '0',
        '--tls-port',
        `${port}`,
        '--bind',
        '127.0.0.1',
        '--save',
        '',
        '--dir',
        dir,
      ],
      ...['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', ca],
      ...['--tls-auth-clients', options.asksClients ? 'yes' : 'no'],
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const close = async () => {
    if (child.exitCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };
  for await (const chunk of child.stdout) {
    if (String(chunk).includes('Ready to accept connections')) break;
  }
  return { url: `rediss://127.0.0.1:${port}`, port, close };
}

export interface TestRedis {
  readonly url: string;
  readonly port: number;
  /** A client of the test's own. */
  readonly client: Redis;
  /** Ends the server, as a crash does. */
  kill(): Promise<void>;
  /** Starts it again on the same port and, where it persists, with its data. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** A Redis of the test's own on the loopback interface.
 *  @param options.persist keep data over restarts, every write of them */
export async function startRedis(
  dir: string,
  options: { persist?: boolean; bind?: string; password?: string; start?: boolean } = {},
): Promise<TestRedis> {
  const port = await freePort();
  const args = [
    ...['--port', `${port}`, '--bind', '127.0.0.1', ...(options.bind ? [options.bind] : [])],
    ...['--dir', dir, '--save', '', '--protected-mode', 'no'],
    ...(options.persist ? ['--appendonly', 'yes', '--appendfsync', 'always'] : []),
    ...(options.password ? ['--requirepass', options.password] : []),
  ];
  let child: ChildProcess | null = null;
  const client = new Redis(port, '127.0.0.1', {
    lazyConnect: true,
    maxRetriesPerRequest: null,
    retryStrategy: () => 50,
    ...(options.password ? { password: options.password } : {}),
  });
  client.on('error', () => {});
  const start = async () => {
    child = spawn('redis-server', args, { stdio: 'ignore' });
    while (!(await answers(port, options.password))) await wait(20);
  };
  const kill = async () => {
    const one = child;
    child = null;
    if (!one || one.exitCode !== null) return;
    const ended = once(one, 'exit');
    one.kill('SIGKILL');
    await ended;
  };
  if (options.start !== false) await start();
  const close = async () => {
    client.disconnect();
    await kill();
  };
  return { url: `redis://127.0.0.1:${port}`, port, client, kill, start, close };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Whether it lets clients in, its data loaded. */
async function answers(port: number, password: string | undefined): Promise<boolean> {
  const probe = new Redis(port, '127.0.0.1', {
    lazyConnect: true,
    retryStrategy: () => null,
    ...(password ? { password } : {}),
  });
  probe.on('error', () => {});
  try {
    await probe.connect();
    return true;
  } catch {
    return false;
  } finally {
    probe.disconnect();
  }
}
