/** Sends hostile requests over real connections to an instant service: only 4xx may come back. */
import { parseArgs } from 'node:util';
import { Agent, request } from 'undici';
import { benchFacts } from '../facts.js';
import { fuzzRequests } from './fuzz-requests.js';
import { startInstantService } from './instant-service.js';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '10000' },
    seed: { type: 'string', default: 'bench' },
    connections: { type: 'string', default: '8' },
  },
});

const service = await startInstantService();
const dispatcher = new Agent({ connections: Number(values.connections) });
const statuses = new Map<string, number>();
const wrong: string[] = [];
const requests = fuzzRequests(Number(values.requests), values.seed);

async function worker(): Promise<void> {
  for (const { method, path, headers, body, kind } of requests) {
    let status: number;
    try {
      const reply = await request(service.url + path, {
        method,
        headers,
        ...(method === 'POST' ? { body } : {}),
        dispatcher,
      });
      status = reply.statusCode;
      await reply.body.dump();
    } catch (error) {
      status = 0;
      wrong.push(`${kind}: ${String(error)}`);
    }
    statuses.set(String(status), (statuses.get(String(status)) ?? 0) + 1);
    if (status !== 0 && (status < 400 || status > 499))
      wrong.push(`${status} ${kind}: ${body.slice(0, 200)}`);
  }
}

await Promise.all(Array.from({ length: Number(values.connections) }, worker));
const health = await request(`${service.url}/health`);
process.stderr.write(
  wrong
    .slice(0, 20)
    .map((line) => `${line}\n`)
    .join(''),
);
process.stdout.write(
  `${JSON.stringify({ requests: Number(values.requests), statuses: Object.fromEntries(statuses), wrong: wrong.length, healthAfter: health.statusCode, ...benchFacts() })}\n`,
);
await dispatcher.destroy();
await service.close();
process.exitCode = wrong.length > 0 ? 1 : 0;
