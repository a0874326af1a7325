import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Problem } from '../../search/types.js';
import { type SimulatedOptions, simulatedOptions } from '../../src/policy/simulated.js';
import { BatchSimulation, type Sequence } from './batch-simulation.js';
import { FaultDraw, type Faults, type FaultsOptions } from './faults.js';
import { errorBody, readJson, send, sendCut, sendJson } from './json-http.js';
import { type OccupancyStats, occupancyStats } from './occupancy-stats.js';
import { type CacheStats, type HeldBlocks, PrefixCache } from './prefix-cache.js';
import { completionBody, poolingBody, yesNoBody } from './reply-bodies.js';
import {
  createSimulatedModel,
  type ModelChoice,
  type ModelReply,
  type ServerContinuation,
  type ServerSeeds,
  type SimulatedModel,
} from './simulated-model.js';
import { createSimulatedScorer, type ReadText, type SimulatedScorer } from './simulated-scorer.js';

export interface SimulatedServerOptions extends FaultsOptions {
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
  readonly seeds?: ServerSeeds;
  /** Virtual ms per token that the reward model behind `/pooling` reads; default 0. */
  readonly readMsPerToken?: number;
  /** `shared`: it takes its time from the policy's steps. `own`: it has a machine to itself. */
  readonly readDevice?: 'shared' | 'own';
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
  /** Tokens that the reward model has read. */
  readonly readTokens: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly cache: CacheStats;
  /** Share of one core that this process used since the last reset; near 1, results are off. */
  readonly cpuShare: number;
}

/** What the server does with requests, and its virtual time. */
export class ServerSimulation {
  private readonly model: SimulatedModel;
  private readonly scorer: SimulatedScorer;
  private readonly batch: BatchSimulation;
  /** Where texts are read: `batch` itself if the two models share a machine. */
  private readonly reader: BatchSimulation;
  private readonly slots: number;
  private readonly speedup: number;
  private readonly faults: FaultDraw;
  private readonly cache: PrefixCache;
  private timer: NodeJS.Timeout | null = null;
  private requests = 0;
  private readonly startMs = performance.now();
  private cpuFrom = process.cpuUsage();
  private cpuFromMs = performance.now();

  constructor(private readonly options: SimulatedServerOptions) {
    const policy = simulatedOptions.parse(options.policy ?? {});
    const { problems, continuation = 'flags', seeds } = options;
    this.model = createSimulatedModel(problems, policy, continuation, seeds);
    this.scorer = createSimulatedScorer(problems);
    this.slots = options.slots ?? 256;
    this.speedup = options.speedup ?? 0;
    const shape = {
      slots: this.slots,
      stepBaseMs: options.stepBaseMs ?? 10,
      stepPerSequenceMs: options.stepPerSequenceMs ?? 0.06,
      readMsPerToken: options.readMsPerToken ?? 0,
    };
    this.batch = new BatchSimulation(shape);
    this.reader = options.readDevice === 'own' ? new BatchSimulation(shape) : this.batch;
    this.cache = new PrefixCache(options.cacheBlocks ?? 25_000);
    this.faults = new FaultDraw(options);
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url ?? '';
    if (path === '/v1/models') this.sendModels(response);
    else if (path === '/health') sendJson(response, 200, {});
    else if (path === '/stats') sendJson(response, 200, this.stats());
    else if (path === '/stats/reset') {
      this.resetStats();
      sendJson(response, 200, {});
    } else if (path === '/pooling') void this.pool(request, response);
    else if (/^\/v1\/(chat\/)?completions$/.test(path)) void this.complete(request, response);
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
      readTokens: this.reader.stats().readTokens,
      faults: this.faults.counted(),
      cache: this.cache.stats(),
      cpuShare: (used.user + used.system) / 1000 / (performance.now() - this.cpuFromMs),
    };
  }

  resetStats(): void {
    this.batch.resetStats();
    this.reader.resetStats();
    this.cache.resetStats();
    this.requests = 0;
    this.faults.resetCounts();
    this.cpuFrom = process.cpuUsage();
    this.cpuFromMs = performance.now();
  }

  setFaults(faults: Faults): void {
    this.faults.set(faults);
  }

  stop(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
  }

  private sendModels(response: ServerResponse): void {
    const { ownedBy = 'vllm' } = this.options;
    sendJson(response, 200, { object: 'list', data: [{ id: this.modelName, owned_by: ownedBy }] });
  }

  private async complete(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readJson(request);
    if (body === null) return;
    this.requests++;
    const fault = this.faults.next();
    if (fault !== null && fault !== 'cutJson') {
      this.faults.fail(fault, response);
      return;
    }
    if (body.logprobs === true && body.max_tokens === 1) {
      await this.score(body, response);
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
    const text = JSON.stringify(completionBody(this.modelName, reply, chat, cachedTokens));
    if (fault === 'cutJson') sendCut(response, text);
    else send(response, 200, text);
  }

  /** One text as vLLM's `/pooling` takes it, or many under `batch`. */
  private async pool(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readJson(request);
    if (body === null) return;
    const bodies = Array.isArray(body.batch) ? body.batch : [body];
    const texts = bodies.map((one) => this.scorer.pool(one));
    if (texts.includes(null)) {
      sendJson(response, 400, errorBody('the simulated reward model knows no such question'));
      return;
    }
    const known = texts as ReadText[];
    await Promise.all(known.map(({ tokens }) => this.readText(tokens)));
    if (response.destroyed) return;
    sendJson(response, 200, poolingBody(known));
  }

  /** One token of a reward model that generates, with its chances. */
  private async score(body: Record<string, unknown>, response: ServerResponse): Promise<void> {
    const text = this.scorer.ask(body);
    if (text === null) {
      sendJson(response, 400, errorBody('the simulated reward model knows no such question'));
      return;
    }
    await this.readText(text.tokens - text.cachedTokens);
    if (response.destroyed) return;
    sendJson(response, 200, yesNoBody(this.modelName, text));
  }

  private readText(tokens: number): Promise<void> {
    if (this.speedup === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.reader.read(tokens, this.nowMs(), resolve);
      this.schedule();
    });
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

  private get modelName(): string {
    return this.options.model ?? 'simulated';
  }

  private nowMs(): number {
    return (performance.now() - this.startMs) * this.speedup;
  }

  private schedule(): void {
    if (this.timer) clearTimeout(this.timer);
    const sims = this.reader === this.batch ? [this.batch] : [this.batch, this.reader];
    const events = sims.map((sim) => sim.nextEventMs()).filter((ms) => ms !== null);
    if (events.length === 0) return;
    const next = Math.min(...events);
    this.timer = setTimeout(
      () => {
        for (const sim of sims) sim.advance(this.nowMs());
        this.schedule();
      },
      Math.max(0, (next - this.nowMs()) / this.speedup),
    );
  }
}
