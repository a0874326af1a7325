import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { Redis } from 'ioredis';

/** Tests that need a Redis are skipped, by their names, where there is none. */
export const hasRedis = spawnSync('redis-server', ['--version']).status === 0;

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
