/** Many clients before the real command with the embedded pair: every request must be answered or
 *  refused with 429, /health must stay quick, and memory flat. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Agent, request } from 'undici';
import { benchFacts } from '../facts.js';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    clients: { type: 'string', default: '200' },
    strategy: { type: 'string', default: 'best-of-n' },
    n: { type: 'string', default: '4' },
    concurrent: { type: 'string', default: '32' },
    queue: { type: 'string', default: '64' },
    problems: { type: 'string', default: '' },
  },
});

interface Line {
  readonly question: string;
  readonly image: string;
}

const seconds = Number(values.seconds);
const child = spawn(
  process.execPath,
  [
    fileURLToPath(new URL('../../../bin/steptree.js', import.meta.url)),
    ...['serve', '--port', '0', '--json', '--log-level', 'warn'],
    ...['--max-concurrent', values.concurrent, '--max-queue', values.queue],
  ],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
const url = await listening();
const bodies = readProblems();
const counts: Record<string, number> = {};
const answered: number[] = [];
const health: number[] = [];
const memory: { seconds: number; rssMb: number }[] = [];
const startMs = performance.now();
const endMs = startMs + seconds * 1000;

await Promise.all([
  ...Array.from({ length: Number(values.clients) }, (_, i) => client(i)),
  watchHealth(),
  watchMemory(),
]);
child.kill('SIGTERM');
const [code] = await once(child, 'exit');
health.sort((a, b) => a - b);
answered.sort((a, b) => a - b);
const at = (sorted: readonly number[], share: number) =>
  Math.round((sorted[Math.floor(sorted.length * share)] ?? 0) * 10) / 10;
process.stdout.write(
  `${JSON.stringify({
    clients: Number(values.clients),
    seconds,
    strategy: `${values.strategy} n=${values.n}`,
    places: `${values.concurrent} + ${values.queue}`,
    statuses: counts,
    answeredMs: { p50: at(answered, 0.5), p99: at(answered, 0.99) },
    health: {
      asked: health.length,
      p50: at(health, 0.5),
      p99: at(health, 0.99),
      max: at(health, 1 - 1e-9),
    },
    memory,
    exit: code,
    ...benchFacts(),
  })}\n`,
);

async function listening(): Promise<string> {
  let text = '';
  for await (const chunk of child.stdout) {
    text += String(chunk);
    if (text.includes('\n')) break;
  }
  return (JSON.parse(text) as { url: string }).url;
}

function readProblems(): string[] {
  const file = values.problems;
  if (file === '') throw new Error('give --problems FILE, as `steptree figmath` writes it');
  return readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((text) => {
      const { question, image } = JSON.parse(text) as Line;
      const picture = readFileSync(join(file, '..', image)).toString('base64');
      return JSON.stringify({
        model: `steptree/${values.strategy}`,
        messages: [
          {
            role: 'user',
            content: [
              { type: 'image_url', image_url: { url: `data:image/png;base64,${picture}` } },
              { type: 'text', text: question },
            ],
          },
        ],
        steptree: { n: Number(values.n) },
      });
    });
}

async function client(index: number): Promise<void> {
  const dispatcher = new Agent({ connections: 1, bodyTimeout: 0, headersTimeout: 0 });
  for (let i = index; performance.now() < endMs; i += 7) {
    const sentMs = performance.now();
    let status: string;
    let waitMs = 0;
    try {
      const reply = await request(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: bodies[i % bodies.length] ?? '',
        dispatcher,
      });
      await reply.body.dump();
      status = String(reply.statusCode);
      if (reply.statusCode === 200) answered.push(performance.now() - sentMs);
      // A client that minds Retry-After, though a hurried one.
      if (reply.statusCode === 429) waitMs = 250 * Number(reply.headers['retry-after'] ?? 1);
    } catch (error) {
      status = (error as { code?: string }).code ?? String(error);
    }
    counts[status] = (counts[status] ?? 0) + 1;
    if (waitMs > 0) await sleep(waitMs);
  }
  await dispatcher.destroy();
}

async function watchHealth(): Promise<void> {
  const dispatcher = new Agent({ connections: 1 });
  while (performance.now() < endMs) {
    const sentMs = performance.now();
    const reply = await request(`${url}/health`, { dispatcher });
    await reply.body.dump();
    health.push(performance.now() - sentMs);
    await sleep(50);
  }
  await dispatcher.destroy();
}

async function watchMemory(): Promise<void> {
  while (performance.now() < endMs) {
    const text = await (await request(`${url}/metrics`)).body.text();
    const bytes = /^steptree:process_resident_memory_bytes (\S+)$/m.exec(text)?.[1];
    memory.push({
      seconds: Math.round((performance.now() - startMs) / 1000),
      rssMb: Math.round(Number(bytes) / 1e6),
    });
    await sleep(seconds * 50);
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
