/** What the service costs over its policy: `greedy` with a policy that answers at once. The service
 *  has a process of its own, the clients are another.
 *
 *  Floor: a bare Node HTTP server that parses the JSON and answers the same bytes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import { Agent, request } from 'undici';
import { benchFacts } from '../facts.js';
import { instantPolicy } from './instant-service.js';

const BODY = JSON.stringify({
  model: 'steptree/greedy',
  messages: [{ role: 'user', content: 'What is 2 times the perimeter of the triangle?' }],
});
const HEADERS = { 'content-type': 'application/json' };

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      requests: { type: 'string', default: '3000' },
      seconds: { type: 'string', default: '10' },
      rounds: { type: 'string', default: '3' },
    },
  });
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL('./instant-service.js', import.meta.url))],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const url = `${await firstLine(child)}/v1/chat/completions`;
  const floor = await bareServer(await (await post(url)).text());
  try {
    // Code is compiled as it gets warm.
    await throughput(url, 5, child.pid ?? 0);
    const rounds: Record<string, number>[] = [];
    for (let round = 0; round < Number(values.rounds); round++) {
      rounds.push({
        floorP50Ms: await latency(floor.url, Number(values.requests)),
        serviceP50Ms: await latency(url, Number(values.requests)),
        policyP50Ms: await policyLatency(Number(values.requests)),
        ...(await throughput(url, Number(values.seconds), child.pid ?? 0)),
      });
    }
    const medians = Object.fromEntries(
      Object.keys(rounds[0] ?? {}).map((name) => [
        name,
        median(rounds.map((one) => one[name] ?? 0)),
      ]),
    );
    process.stdout.write(`${JSON.stringify({ medians, rounds, ...benchFacts() })}\n`);
  } finally {
    child.kill('SIGTERM');
    await once(child, 'exit');
    floor.close();
  }
}

const agent = new Agent({ connections: 1, pipelining: 1 });

async function post(url: string) {
  const { body } = await request(url, {
    method: 'POST',
    headers: HEADERS,
    body: BODY,
    dispatcher: agent,
  });
  return body;
}

/** One client, one request after the other. @returns milliseconds, median */
async function latency(url: string, requests: number): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < requests; i++) {
    const startMs = performance.now();
    await (await post(url)).text();
    times.push(performance.now() - startMs);
  }
  return round(median(times.slice(requests / 10)));
}

async function policyLatency(requests: number): Promise<number> {
  const problem = { id: 'p', question: 'Q', images: [] };
  const times: number[] = [];
  for (let i = 0; i < requests; i++) {
    const startMs = performance.now();
    await instantPolicy.sample({
      problem,
      prefix: [],
      until: 'end',
      seeds: [1],
      sampling: {
        temperature: 0,
        topK: 0,
        topP: 1,
        minP: 0,
        repetitionPenalty: 1,
        maxTokens: 10,
      },
    });
    times.push(performance.now() - startMs);
  }
  return round(median(times));
}

/** Many clients. CPU seconds of the service say what one core could do if it were free. */
async function throughput(url: string, seconds: number, pid: number) {
  const before = cpuSeconds(pid);
  const result = await autocannon({
    url,
    method: 'POST',
    headers: HEADERS,
    body: BODY,
    connections: 32,
    duration: seconds,
  });
  const cpu = cpuSeconds(pid) - before;
  return {
    requestsPerSecond: Math.round(result.requests.average),
    requestsPerCpuSecond: Math.round(result.requests.total / cpu),
    errors: result.errors + result.non2xx,
  };
}

/** Of a process and its threads, from /proc (Linux), in ticks of 10 ms. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function bareServer(reply: string) {
  const server = createServer(async (incoming, response) => {
    const parts: Buffer[] = [];
    for await (const part of incoming) parts.push(part as Buffer);
    JSON.parse(Buffer.concat(parts).toString('utf8'));
    response.writeHead(200, HEADERS).end(reply);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, close: () => server.close() };
}

async function firstLine(child: ChildProcess): Promise<string> {
  let text = '';
  for await (const chunk of child.stdout ?? []) {
    text += String(chunk);
    if (text.includes('\n')) break;
  }
  return text.trim();
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}

await main();
