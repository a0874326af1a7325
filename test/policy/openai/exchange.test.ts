import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Dispatcher } from 'undici';
import { afterEach, describe, expect, it } from 'vitest';
import { HttpExchange } from '../../../src/policy/openai/exchange.js';
import { createJsonEndpoint, type HttpFailure } from '../../../src/policy/openai/http.js';
import { Closer } from './harness.js';

const closer = new Closer();
afterEach(() => closer.closeAll());

/** An endpoint whose server answers each request with these bytes, one piece a write. */
async function endpointOf(...pieces: readonly (string | Buffer)[]) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('data', () => {
      const next = ([piece, ...rest]: readonly (string | Buffer)[]) => {
        if (piece !== undefined) socket.write(piece, () => setImmediate(next, rest));
      };
      next(pieces);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closer.add({
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  });
  const { port } = server.address() as AddressInfo;
  return closer.add(
    createJsonEndpoint(`http://127.0.0.1:${port}`, {
      requestTimeoutMs: 5_000,
      connectTimeoutMs: 5_000,
    }),
  );
}

const head = (length: number) => `HTTP/1.1 200 OK\r\ncontent-length: ${length}\r\n\r\n`;

describe('a reply', () => {
  it('may come in pieces that cut a character in two', async () => {
    const bytes = Buffer.from('{"text":"√2 ≈ 1,41"}');
    const cut = bytes.indexOf(0x88, 10); // inside ≈, e2 89 88
    expect(cut).toBeGreaterThan(0);
    const endpoint = await endpointOf(
      head(bytes.length),
      bytes.subarray(0, cut),
      bytes.subarray(cut),
    );
    expect(await endpoint.get('/x')).toEqual({ text: '√2 ≈ 1,41' });
  });

  it('may begin with a byte order mark', async () => {
    const bytes = Buffer.from('\ufeff{"a":1}');
    expect(await (await endpointOf(head(bytes.length), bytes)).get('/x')).toEqual({ a: 1 });
  });

  it('may follow early hints', async () => {
    const hints = 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n';
    expect(await (await endpointOf(hints + head(7), '{"a":1}')).get('/x')).toEqual({ a: 1 });
  });

  it('that came halfway is given up with the reason of the abort', async () => {
    const abort = new AbortController();
    const endpoint = await endpointOf('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"a"', 'X');
    const reply = endpoint.get('/x', abort.signal).catch((error) => error);
    abort.abort('given up');
    expect(await reply).toBe('given up');
  });

  it('that is an error keeps its status, wait and text', async () => {
    const endpoint = await endpointOf(
      'HTTP/1.1 429 Slow\r\nRetry-After: 3\r\ncontent-length: 4\r\n\r\nbusy',
    );
    const failure = (await endpoint.get('/x').catch((error) => error)) as HttpFailure;
    expect(failure.facts).toMatchObject({ status: 429, retryAfterMs: 3000, reply: 'busy' });
  });
});

describe('an exchange that is stopped', () => {
  const reason = new Error('stop');
  const controllerOf = (aborts: unknown[]) =>
    ({ abort: (why: unknown) => aborts.push(why) }) as unknown as Dispatcher.DispatchController;

  it('settles at once, and is ended when its connection comes', async () => {
    const exchange = new HttpExchange();
    exchange.stop(reason);
    await expect(exchange.reply).rejects.toBe(reason);
    const aborts: unknown[] = [];
    exchange.onRequestStart(controllerOf(aborts));
    expect(aborts).toEqual([reason]);
  });

  it('ends a request that is under way', async () => {
    const exchange = new HttpExchange();
    const aborts: unknown[] = [];
    exchange.onRequestStart(controllerOf(aborts));
    exchange.stop(reason);
    expect(aborts).toEqual([reason]);
    await expect(exchange.reply).rejects.toBe(reason);
  });

  it('keeps the reply that it has', async () => {
    const exchange = new HttpExchange();
    exchange.onRequestStart(controllerOf([]));
    exchange.onResponseStart(null, 200, {});
    exchange.onResponseData(null, Buffer.from('ok'));
    exchange.onResponseEnd();
    exchange.stop(reason);
    expect(await exchange.reply).toEqual({ status: 200, headers: {}, text: 'ok' });
  });
});
