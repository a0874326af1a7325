import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { runCli, simpleProblems, startCli, temporaryFolder, writeJsonl } from '../support/cli.js';
import { hasTlsRedis, makeCertificates, startTlsRedis } from '../support/redis.js';

const folder = temporaryFolder();
const closing: (() => Promise<unknown>)[] = [];
let servers = 0;

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

describe.skipIf(!hasTlsRedis)('a queue over TLS (needs redis-server with TLS, and openssl)', () => {
  it('a run and a worker that trust its authority label as they do here', async () => {
    const { url, ca } = await tlsRedis();
    const trusting = { NODE_EXTRA_CA_CERTS: ca };
    const problems = writeJsonl(join(folder, 'problems.jsonl'), simpleProblems(3));
    const command = ['label', problems, '--policy', 'simulated', '--rollout-budget', '64'];
    const [here, there] = [join(folder, 'here'), join(folder, 'there')];
    const worker = startCli(['worker', '--queue', url, '--quiet'], trusting);
    closing.push(() => {
      worker.child.kill('SIGTERM');
      return worker.ended;
    });
    const [local, queued] = await Promise.all([
      runCli([...command, '--out', here]),
      runCli([...command, '--out', there, '--queue', url], trusting),
    ]);
    expect([local.code, queued.code]).toEqual([0, 0]);
    const labels = (out: string) => readFileSync(join(out, 'labels.jsonl'), 'utf8');
    expect(labels(there)).toBe(labels(here));
  });

  it('an authority that is not trusted ends the command and says how it can be', async () => {
    const { url } = await tlsRedis();
    const { code, stderr } = await runCli(['worker', '--queue', url]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/certificate.*NODE_EXTRA_CA_CERTS.*\[QUEUE_TLS_REFUSED\]/);
  });

  it('a certificate of another host is not taken', async () => {
    const { url, ca } = await tlsRedis({ names: 'DNS:elsewhere.example' });
    const { code, stderr } = await runCli(['worker', '--queue', url], { NODE_EXTRA_CA_CERTS: ca });
    expect(code).toBe(1);
    expect(stderr).toMatch(/by a name that is in its certificate \[QUEUE_TLS_REFUSED\]/);
  });

  it('a Redis that asks for certificates of clients is told of', async () => {
    const { url, ca } = await tlsRedis({ asksClients: true });
    const { code, stderr } = await runCli(['worker', '--queue', url], { NODE_EXTRA_CA_CERTS: ca });
    expect(code).toBe(1);
    expect(stderr).toMatch(/tls-auth-clients no.*\[QUEUE_TLS_REFUSED\]/);
  });
});

async function tlsRedis(options: { names?: string; asksClients?: boolean } = {}) {
  const dir = join(folder, `redis-${servers++}`);
  mkdirSync(dir);
  const certificates = makeCertificates(dir, options.names ?? 'IP:127.0.0.1');
  const redis = await startTlsRedis(dir, certificates, options);
  closing.push(redis.close);
  return { url: redis.url, ca: certificates.ca };
}
