import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { createRandom } from '../../search/rng.js';
import type { Problem } from '../../search/types.js';
import { type SimulatedOptions, simulatedOptions } from '../../src/policy/simulated.js';
import { BatchSimulation, type Sequence } from './batch-simulation.js';
import { type OccupancyStats, occupancyStats } from './occupancy-stats.js';
import { type CacheStats, type HeldBlocks, PrefixCache } from './prefix-cache.js';
import {
  createSimulatedModel,
  type ModelChoice,
  type ModelReply,
  type ServerContinuation,
  type SimulatedModel,
} from './simulated-model.js';

/** Shares of the completion requests that fail, each in [0, 1], together at most 1. */
export interface Faults {
  /** HTTP 500. */
  readonly error500?: number;
  /** HTTP 429 with `Retry-After`. */
  readonly busy429?: number;
  /** The connection is reset before a reply. */
  readonly reset?: number;
  /** A reply that ends in the middle of its JSON. */
  readonly cutJson?: number;
  /** No reply, ever. */
  readonly hang?: number;
}

export interface SimulatedServerOptions {
  /** What the model knows; requests are matched to them by the question's text. */
  readonly problems: readonly Problem[];
  readonly policy?: Partial<SimulatedOptions>;
  readonly slots?: number;
  readonly stepBaseMs?: number;
  readonly stepPerSequenceMs?: number;
  /** KV memory in blocks of 16 tokens, see `PrefixCache`. */
  readonly cacheBlocks?: number;
  /** Virtual time to compute a prompt's token that the prefix cache lacks. */
  readonly prefillMsPerToken?: number;
  /** Virtual milliseconds per real one; 0 answers at once, without simulating time. */
  readonly speedup?: number;
  readonly continuation?: ServerContinuation;
  readonly faults?: Faults;
  readonly faultSeed?: number;
  /** Told of every request that is left hanging. */
  readonly onHang?: () => void;
  /** Seconds that a 429 asks to wait. */
  readonly retryAfterSeconds?: number;
  readonly model?: string;
  readonly ownedBy?: string;
  /** 0 takes any free port. */
  readonly port?: number;
}

export interface SimulatedServerStats extends OccupancyStats {
  readonly slots: number;
  readonly running: number;
  readonly waiting: number;
  readonly requests: number;
  readonly finishedSequences: number;
  readonly tokens: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly cache: CacheStats;
  /** Share of one core that this process used since the last reset; near 1, results are off. */
  readonly cpuShare: number;
}

export interface SimulatedServer {
  /** Base URL, with `/v1`. */
  readonly url: string;
  stats(): SimulatedServerStats;
  resetStats(): void;
  setFaults(faults: Faults): void;
  /** Breaks all connections. Idempotent. */
  close(): Promise<void>;
}

type FaultKind = keyof Faults;

const FAULT_KINDS: readonly FaultKind[] = ['error500', 'busy429', 'reset', 'cutJson', 'hang'];

/** An OpenAI-compatible server on the loopback interface that simulates a continuously batching
 *  model server. `GET /stats` and `POST /stats/reset` show how full it was. */
export async function startSimulatedServer(
  options: SimulatedServerOptions,
): Promise<SimulatedServer> {
  const simulation = new ServerSimulation(options);
  const server = createServer((request, response) => simulation.handle(request, response));
  // A slow client's keep-alive connection must not be closed under its next request.
  server.keepAliveTimeout = 120_000;
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  let closing: Promise<void> | null = null;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    stats: () => simulation.stats(),
    resetStats: () => simulation.resetStats(),
    setFaults: (faults) => simulation.setFaults(faults),
    close: () => {
      simulation.stop();
      closing ??= closeServer(server);
      return closing;
    },
  };
}

class ServerSimulation {
  private readonly model: SimulatedModel;
  private readonly batch: BatchSimulation;
  private readonly slots: number;
  private readonly speedup: number;
  private readonly draw: () => number;
  private readonly cache: PrefixCache;
  private faults: Faults;
  private timer: NodeJS.Timeout | null = null;
  private requests = 0;
  private faultCounts: Record<string, number> = {};
  private readonly startMs = performance.now();
  private cpuFrom = process.cpuUsage();
  private cpuFromMs = performance.now();

  constructor(private readonly options: SimulatedServerOptions) {
    const policy = simulatedOptions.parse(options.policy ?? {});
    this.model = createSimulatedModel(options.problems, policy, options.continuation ?? 'flags');
    this.slots = options.slots ?? 256;
    this.speedup = options.speedup ?? 0;
    this.batch = new BatchSimulation({
      slots: this.slots,
      stepBaseMs: options.stepBaseMs ?? 10,
      stepPerSequenceMs: options.stepPerSequenceMs ?? 0.06,
    });
    this.cache = new PrefixCache(options.cacheBlocks ?? 25_000);
    this.faults = options.faults ?? {};
    this.draw = createRandom(`faults ${options.faultSeed ?? 0}`);
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? '';
    if (path === '/v1/models') this.sendModels(response);
    else if (path === '/health') sendJson(response, 200, {});
    else if (path === '/stats') sendJson(response, 200, this.stats());
    else if (path === '/stats/reset') {
      this.resetStats();
      sendJson(response, 200, {});
    } else if (/^\/v1\/(chat\/)?completions$/.test(path)) void this.complete(request, response);
    else sendJson(response, 404, errorBody(`no such path: ${path}`));
  }

  stats(): SimulatedServerStats {
    const { segments, running, waiting, finished, tokens } = this.batch.stats();
    const used = process.cpuUsage(this.cpuFrom);
    return {
      ...occupancyStats(segments, this.slots),
      slots: this.slots,
      running,
      waiting,
      requests: this.requests,
      finishedSequences: finished,
      tokens,
      faults: { ...this.faultCounts },
      cache: this.cache.stats(),
      cpuShare: (used.user + used.system) / 1000 / (performance.now() - this.cpuFromMs),
    };
  }

  resetStats(): void {
    this.batch.resetStats();
    this.cache.resetStats();
    this.requests = 0;
    this.faultCounts = {};
    this.cpuFrom = process.cpuUsage();
    this.cpuFromMs = performance.now();
  }

  setFaults(faults: Faults): void {
    this.faults = faults;
  }

  stop(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
  }

  private sendModels(response: ServerResponse): void {
    const { model = 'simulated', ownedBy = 'vllm' } = this.options;
    sendJson(response, 200, { object: 'list', data: [{ id: model, owned_by: ownedBy }] });
  }

  private async complete(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readJson(request);
    if (body === null) return;
    this.requests++;
    const fault = this.drawFault();
    if (fault !== null && fault !== 'cutJson') {
      this.fail(fault, response);
      return;
    }
    const reply = this.model.reply(body);
    if (reply === null) {
      sendJson(response, 400, errorBody('the simulated model knows no such question'));
      return;
    }
    const chat = Array.isArray(body.messages);
    const cachedTokens = await this.decode(reply, response);
    if (response.destroyed) return;
    const text = JSON.stringify(this.replyBody(reply, chat, cachedTokens));
    if (fault === 'cutJson') sendCut(response, text);
    else send(response, 200, text);
  }

  private drawFault(): FaultKind | null {
    let chance = this.draw();
    for (const kind of FAULT_KINDS) {
      const share = this.faults[kind] ?? 0;
      if (chance < share) {
        this.faultCounts[kind] = (this.faultCounts[kind] ?? 0) + 1;
        return kind;
      }
      chance -= share;
    }
    return null;
  }

  private fail(kind: FaultKind, response: ServerResponse): void {
    if (kind === 'error500') sendJson(response, 500, errorBody('the simulated model stumbled'));
    if (kind === 'reset') response.socket?.resetAndDestroy();
    if (kind === 'busy429') {
      response.setHeader('retry-after', String(this.options.retryAfterSeconds ?? 1));
      sendJson(response, 429, errorBody('the simulated server is busy'));
    }
    // A hanging request just stays open.
    if (kind === 'hang') this.options.onHang?.();
  }

  /** Resolves when every choice has been decoded, or the client has gone.
   *  @returns prompt tokens that the cache had for the first of them */
  private async decode(reply: ModelReply, response: ServerResponse): Promise<number> {
    const parts = reply.choices.map((choice, index) => this.sequencePart(reply, choice, index));
    if (this.speedup === 0) {
      for (const part of parts) {
        part.enter();
        part.leave();
      }
      return parts[0]?.cachedTokens() ?? 0;
    }
    await new Promise<void>((resolve) => {
      let left = parts.length;
      const now = this.nowMs();
      const sequences: Sequence[] = parts.map((part) => {
        const done = () => {
          part.leave();
          if (--left === 0) resolve();
        };
        return this.batch.submit(part.tokens, now, done, part.enter);
      });
      response.once('close', () => {
        for (const sequence of sequences) this.batch.cancel(sequence);
        for (const part of parts) part.leave();
        resolve();
      });
      this.schedule();
    });
    return parts[0]?.cachedTokens() ?? 0;
  }

  /** One choice's way through the prefix cache. */
  private sequencePart({ prompt }: ModelReply, choice: ModelChoice, index: number) {
    let held: HeldBlocks | null = null;
    let cached = 0;
    return {
      tokens: choice.tokens,
      cachedTokens: () => cached,
      enter: (): number | null => {
        held = this.cache.admit(prompt.keys, prompt.tokens, choice.tokens, index === 0);
        if (held === null) return null;
        cached = prompt.tokens - held.prefillTokens;
        return held.prefillTokens * (this.options.prefillMsPerToken ?? 0);
      },
      leave: () => {
        if (held === null) return;
        const all = prompt.fork();
        all.addText(choice.text);
        this.cache.release(held, all.keys.slice(prompt.keys.length));
        held = null;
      },
    };
  }

  private replyBody(
    reply: ModelReply,
    chat: boolean,
    cachedTokens: number,
  ): Record<string, unknown> {
    return {
      object: chat ? 'chat.completion' : 'text_completion',
      model: this.options.model ?? 'simulated',
      choices: reply.choices.map((choice, index) => ({
        index,
        ...(chat
          ? { message: { role: 'assistant', content: choice.text } }
          : { text: choice.text }),
        finish_reason: choice.finishReason,
        stop_reason: choice.stopReason,
      })),
      usage: {
        prompt_tokens: reply.prompt.tokens,
        completion_tokens: reply.choices.reduce((sum, choice) => sum + choice.tokens, 0),
        prompt_tokens_details: { cached_tokens: cachedTokens },
      },
    };
  }

  private nowMs(): number {
    return (performance.now() - this.startMs) * this.speedup;
  }

  private schedule(): void {
    if (this.timer) clearTimeout(this.timer);
    const next = this.batch.nextEventMs();
    if (next === null) return;
    this.timer = setTimeout(
      () => {
        this.batch.advance(this.nowMs());
        this.schedule();
      },
      Math.max(0, (next - this.nowMs()) / this.speedup),
    );
  }
}

async function readJson(request: IncomingMessage): Promise<Record<string, unknown> | null> {
  try {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    return JSON.parse(Buffer.concat(parts).toString('utf8')) as Record<string, unknown>;
  } catch {
    // The client broke off, or sent what is no JSON: either way there is nobody to answer.
    request.destroy();
    return null;
  }
}

function errorBody(message: string): Record<string, unknown> {
  return { error: { message, type: 'simulated' } };
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  send(response, status, JSON.stringify(value));
}

function send(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}

// Chunked, so that the reply's end looks regular and only its JSON is cut.
function sendCut(response: ServerResponse, text: string): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(text.slice(0, Math.ceil(text.length * 0.6)));
}

async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

async function readProblemLines(file: string): Promise<Problem[]> {
  const problems: Problem[] = [];
  for await (const line of createInterface({ input: createReadStream(file) })) {
    if (line.trim() === '') continue;
    const { id, question, answer, choices } = JSON.parse(line);
    problems.push({ id, question, images: [], answer, ...(choices ? { choices } : {}) });
  }
  return problems;
}

/** `node dist/bench/servers/simulated-server.js --problems FILE [--port N] [--slots N]
 *  [--speedup X] [--faults SHARE] [--continuation flags|always|never] [--policy JSON]`: prints
 *  one JSON line with its URL and serves until it is ended. `--faults` is shared out evenly
 *  among the five kinds. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      problems: { type: 'string' },
      port: { type: 'string', default: '0' },
      slots: { type: 'string', default: '256' },
      speedup: { type: 'string', default: '1' },
      faults: { type: 'string', default: '0' },
      continuation: { type: 'string', default: 'flags' },
      policy: { type: 'string', default: '{}' },
    },
  });
  if (values.problems === undefined) throw new Error('--problems FILE is needed');
  const share = Number(values.faults) / FAULT_KINDS.length;
  const server = await startSimulatedServer({
    problems: await readProblemLines(values.problems),
    port: Number(values.port),
    slots: Number(values.slots),
    speedup: Number(values.speedup),
    faults: Object.fromEntries(FAULT_KINDS.map((kind) => [kind, share])),
    continuation: values.continuation as ServerContinuation,
    policy: JSON.parse(values.policy),
  });
  process.stdout.write(`${JSON.stringify({ url: server.url })}\n`);
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => void server.close());
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
