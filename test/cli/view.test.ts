import { request } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { syntheticTree, writeRun } from '../../bench/speed/synthetic-run.js';
import { listen, viewOptions } from '../../src/cli/view.js';
import type { BuiltPage } from '../../src/server/view-built.js';
import { temporaryFolder } from '../support/cli.js';

const dir = temporaryFolder();
const PAGE: BuiltPage = new Map([
  ['index.html', { type: 'text/html', bytes: Buffer.from('<!doctype html>') }],
]);

writeRun(join(dir, 'run'), [syntheticTree('a', 3)]);

async function status(port: number, host: string): Promise<number | undefined> {
  return new Promise((done, fail) => {
    const asked = request({ port, host: '127.0.0.1', path: '/api/view/runs', headers: { host } });
    asked.on('response', (reply) => {
      reply.resume();
      done(reply.statusCode);
    });
    asked.on('error', fail);
    asked.end();
  });
}

describe('the server of steptree view', () => {
  it('answers this machine and no name that points to it', async () => {
    const app = await listen(dir, { page: PAGE }, 0);
    const { port, address } = app.server.address() as { port: number; address: string };
    expect(address).toBe('127.0.0.1');
    for (const host of ['localhost', `127.0.0.1:${port}`, `LOCALHOST:${port}`, '[::1]']) {
      expect(await status(port, host)).toBe(200);
    }
    for (const host of ['evil.example', `127.0.0.1.evil.example:${port}`, 'localhost.evil']) {
      expect(await status(port, host)).toBeGreaterThanOrEqual(400);
    }
    await app.close();
  });

  it('says what to do about a port that is taken', async () => {
    const app = await listen(dir, { page: PAGE }, 0);
    const { port } = app.server.address() as { port: number };
    await expect(listen(dir, { page: PAGE }, port)).rejects.toMatchObject({
      code: 'VIEW_PORT_TAKEN',
      message: `port ${port} is taken; choose another one with --port, or any free one with --port 0`,
    });
    await app.close();
  });
});

it('describes every option', () => {
  for (const field of Object.values(viewOptions.shape)) expect(field.description).toBeTruthy();
});
