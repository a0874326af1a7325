import { SteptreeError } from '../../../search/errors.js';
import type {
  PolicyModel,
  Problem,
  Rollout,
  SampleReply,
  SampleRequest,
} from '../../../search/types.js';
import { together } from '../linked-abort.js';
import type { StepSplitter } from '../splitter.js';
import { readApiKey } from './api-key.js';
import { type Connection, connect, createReplica } from './connect.js';
import { isRefusal, refuseImages, refuseTurns } from './continuation.js';
import { generationFields, learnFromRefusal } from './dialect.js';
import { createJsonEndpoint, type HttpFailure } from './http.js';
import { createImageEncoder, type ImageEncoder } from './images.js';
import type { OpenAiOptions } from './options.js';
import {
  completionPrompt,
  defaultSystemPrompt,
  fillTemplate,
  type PromptParts,
  prefillMessages,
  restateMessages,
} from './prompt.js';
import {
  createReplicaSet,
  type Replica,
  type ReplicaSet,
  type ReplicaSetOptions,
  type ReplicaStats,
} from './replicas.js';
import { withReplicas } from './replicated.js';
import { type Choice, type ParsedReply, parseReply, toRollout } from './replies.js';
import { systemTiming, type Timing } from './retry.js';
import { type Asker, Sampler } from './sampler.js';

export interface OpenAiPolicy extends PolicyModel {
  /** Rollouts that the host wants in flight at once, over all replicas. It does not bound them
   *  itself: that is the scheduler's part. */
  readonly maxInFlight: number;
  stats(): OpenAiStats;
  /** What was found out and decided at start, for `run.json` and the log; no secrets. */
  describe(): Record<string, unknown>;
  /** Ends all connections; calls in flight fail with POLICY_CLOSED. Idempotent. */
  close(): Promise<void>;
}

export interface OpenAiStats {
  /** HTTP requests for rollouts, retries included. */
  readonly requests: number;
  readonly retries: number;
  readonly retriesByKind: Readonly<Record<string, number>>;
  /** Rollouts asked for again because a reply lacked them or held only what was known. */
  readonly askedAgain: number;
  readonly rolloutsInFlight: number;
  readonly policyTokens: number;
  readonly promptTokens: number;
  readonly cachedTokens: number;
  readonly imageReads: number;
  readonly replicas: readonly ReplicaStats[];
  readonly warnings: readonly string[];
}

export interface OpenAiPolicyContext {
  readonly splitter: StepSplitter;
  /** Environment variables, for the API key. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly timing?: Timing;
  /** Told once of each thing that a user should know. */
  readonly onWarning?: (message: string) => void;
  /** Gives up the start. */
  readonly signal?: AbortSignal;
}

/** Connects to one or more OpenAI-compatible servers of the same model, finds out how they
 *  continue a prefix, and returns the policy they are.
 *  @throws SteptreeError POLICY_URL_INVALID, POLICY_API_KEY_MISSING, POLICY_UNREACHABLE,
 *  POLICY_MODEL_UNKNOWN, POLICY_CALL_REFUSED; `sample` also POLICY_CALL_FAILED,
 *  POLICY_REPLICAS_DOWN, POLICY_IMAGE_UNREADABLE, POLICY_CONTINUATION_UNSUPPORTED, POLICY_CLOSED */
export async function createOpenAiPolicy(
  urls: readonly string[],
  options: OpenAiOptions,
  context: OpenAiPolicyContext,
): Promise<OpenAiPolicy> {
  const timing = context.timing ?? systemTiming;
  const apiKey = readApiKey(options.apiKeyEnv, context.env ?? process.env, '--api-key-env');
  if (urls.length === 0) {
    throw new SteptreeError('POLICY_URL_INVALID', 'the openai host needs the URL of a server');
  }
  const endpoints = [...new Set(urls)].map((url) =>
    createJsonEndpoint(url, {
      ...options,
      ...(apiKey ? { apiKey } : {}),
      now: timing.now,
      after: timing.after,
    }),
  );
  const all = endpoints.map(createReplica);
  const replicas = createReplicaSet(all, policyReplicas(options), timing, context.onWarning);
  const closeAll = () => {
    replicas.close();
    return Promise.all(endpoints.map((endpoint) => endpoint.close()));
  };
  let connection: Connection;
  try {
    connection = await connect(replicas, options, timing, context.signal);
  } catch (error) {
    await closeAll();
    throw error;
  }
  return new HttpPolicy(replicas, connection, options, { ...context, timing });
}

/** How replicas share rollouts. Up to its batch slots a replica serves whatever comes without
 *  queueing; `maxInFlight` is about three times these. */
export function policyReplicas(options: OpenAiOptions): ReplicaSetOptions {
  return {
    ...options,
    loadFloor: Math.max(1, Math.round(options.maxInFlight / 3)),
    loadCap: options.maxInFlight * options.loadFactor,
  };
}

class HttpPolicy implements OpenAiPolicy, Asker {
  readonly name: string;
  readonly maxInFlight: number;
  private readonly images: ImageEncoder;
  private readonly system: string;
  private readonly warnings: string[] = [];
  private readonly retriesByKind: Record<string, number> = {};
  private readonly counts = { askedAgain: 0, inFlight: 0, policy: 0, prompt: 0, cached: 0 };

  constructor(
    private readonly replicas: ReplicaSet,
    private readonly connection: Connection,
    private readonly options: OpenAiOptions,
    private readonly context: OpenAiPolicyContext & { readonly timing: Timing },
  ) {
    this.name = `openai:${connection.model}`;
    this.maxInFlight = options.maxInFlight * replicas.all.length;
    this.images = createImageEncoder(options.imageCacheMb * 1e6);
    this.system = options.systemPrompt ?? defaultSystemPrompt(context.splitter);
    for (const warning of connection.warnings) this.warn(warning);
  }

  async sample(request: SampleRequest, signal?: AbortSignal): Promise<SampleReply> {
    signal?.throwIfAborted();
    const wanted = request.seeds.length;
    if (wanted === 0) return { rollouts: [], promptTokens: 0, cachedTokens: 0 };
    this.counts.inFlight += wanted;
    try {
      const prompt = await this.promptOf(request.problem, request);
      const sampler = new Sampler(this, request, prompt);
      const parts = chunks(request.seeds, this.options.samplesPerRequest || wanted);
      const replies = await together(parts, signal, (seeds, own) => sampler.collect(seeds, own));
      return this.account({
        rollouts: replies.flat(),
        promptTokens: sampler.promptTokens,
        cachedTokens: sampler.cachedTokens,
      });
    } finally {
      this.counts.inFlight -= wanted;
    }
  }

  stats(): OpenAiStats {
    const { all } = this.replicas;
    const { counts } = this;
    return {
      requests: all.reduce((sum, replica) => sum + replica.requests, 0),
      retries: Object.values(this.retriesByKind).reduce((sum, count) => sum + count, 0),
      retriesByKind: { ...this.retriesByKind },
      askedAgain: counts.askedAgain,
      rolloutsInFlight: counts.inFlight,
      policyTokens: counts.policy,
      promptTokens: counts.prompt,
      cachedTokens: counts.cached,
      imageReads: this.images.stats().reads,
      replicas: this.replicas.stats(),
      warnings: [...this.warnings],
    };
  }

  describe(): Record<string, unknown> {
    return {
      host: 'openai',
      model: this.connection.model,
      continuation: this.connection.continuation,
      splitter: this.context.splitter.name,
      systemPrompt: this.system,
      promptTemplate: this.options.promptTemplate,
      samplesPerRequest: this.options.samplesPerRequest,
      replicas: this.replicas.all.map(({ endpoint, dialect }) => ({
        url: endpoint.url,
        server: dialect.server,
        droppedFields: [...dialect.dropped].sort(),
      })),
    };
  }

  async close(): Promise<void> {
    this.replicas.close();
    await Promise.all(this.replicas.all.map((replica) => replica.endpoint.close()));
  }

  /** One reply with at least one choice, from whichever replica gives it first. */
  async ask(
    request: SampleRequest,
    prompt: PromptParts,
    seeds: readonly number[],
    wholeSolution: boolean,
    signal: AbortSignal | undefined,
  ): Promise<ParsedReply> {
    const call = {
      affinity: request.problem.id,
      rollouts: seeds.length,
      subject: this.name,
      retry: this.options,
      timing: this.context.timing,
      signal,
      onRetry: ({ kind, facts }: HttpFailure) => {
        const name = kind === 'status' ? `status ${facts.status}` : kind;
        this.retriesByKind[name] = (this.retriesByKind[name] ?? 0) + 1;
      },
    };
    return withReplicas(this.replicas, call, (replica, attemptSignal) =>
      this.post(replica, request, prompt, seeds, wholeSolution, attemptSignal),
    );
  }

  rollout(choice: Choice, request: SampleRequest): Rollout {
    const restated = this.connection.continuation === 'restate';
    return toRollout(choice, request, this.context.splitter, restated);
  }

  countAskedAgain(rollouts: number): void {
    this.counts.askedAgain += rollouts;
  }

  noteSeparatorLost(): void {
    for (const { dialect } of this.replicas.all) dialect.separatorLost = true;
    this.warn(
      "the server's chat template trims the separator at the end of a prefix; steps are asked for in a way that survives it",
    );
  }

  private async post(
    replica: Replica,
    request: SampleRequest,
    prompt: PromptParts,
    seeds: readonly number[],
    wholeSolution: boolean,
    signal: AbortSignal | undefined,
  ): Promise<ParsedReply> {
    const { endpoint, dialect } = replica;
    const { continuation, model } = this.connection;
    const untilStep = request.until === 'step' && !wholeSolution;
    const stepStops = untilStep ? this.context.splitter.stop : [];
    const wish = {
      model,
      n: seeds.length,
      seed: seeds[0] ?? 0,
      sampling: request.sampling,
      stop: [...stepStops, ...this.options.stop],
      logprobs: this.options.logprobs,
      untilStep,
      continueLast: continuation === 'prefill' && request.prefix.length > 0,
    };
    for (;;) {
      const fields = generationFields(wish, dialect);
      replica.requests++;
      try {
        const body = { ...fields, ...this.promptFields(prompt) };
        const path = continuation === 'completions' ? '/completions' : '/chat/completions';
        const reply = parseReply(await endpoint.post(path, body, signal));
        const asked = fields.n as number;
        if (asked > 1 && reply.choices.length === 1) this.noteSingleChoice(replica);
        return { ...reply, choices: reply.choices.slice(0, asked) };
      } catch (error) {
        if (!isRefusal(error)) throw error;
        const dropped = learnFromRefusal(dialect, fields, error.facts.reply ?? '');
        if (dropped.length === 0) throw error;
        this.warn(`${endpoint.url} doesn't know ${dropped.join(', ')}; no longer sent to it`);
      }
    }
  }

  private promptFields(prompt: PromptParts): Record<string, unknown> {
    const { splitter } = this.context;
    switch (this.connection.continuation) {
      case 'completions':
        return { prompt: completionPrompt(prompt, splitter) };
      case 'restate':
        return { messages: restateMessages(prompt, splitter) };
      case 'prefill':
        return { messages: prefillMessages(prompt, splitter) };
    }
  }

  private async promptOf(
    problem: Problem,
    request: Pick<SampleRequest, 'prefix'>,
  ): Promise<PromptParts> {
    if (this.connection.continuation === 'completions') {
      refuseImages(problem.images.length, problem.id);
      refuseTurns(problem);
    }
    const urls = (images: Problem['images']) =>
      Promise.all(images.map((image) => this.images.dataUrl(image)));
    const { turns = [] } = problem;
    return {
      system: this.system,
      question: fillTemplate(this.options.promptTemplate, problem),
      images: await urls(problem.images),
      prefix: request.prefix,
      turns: await Promise.all(
        turns.map(async ({ role, text, images }) => ({ role, text, images: await urls(images) })),
      ),
    };
  }

  private noteSingleChoice(replica: Replica): void {
    if (replica.dialect.singleChoice) return;
    replica.dialect.singleChoice = true;
    this.warn(`${replica.endpoint.url} gives one choice whatever n is; asking once per rollout`);
  }

  private account(reply: SampleReply): SampleReply {
    this.counts.policy += reply.rollouts.reduce((sum, rollout) => sum + rollout.policyTokens, 0);
    this.counts.prompt += reply.promptTokens;
    this.counts.cached += reply.cachedTokens;
    return reply;
  }

  private warn(message: string): void {
    if (this.warnings.includes(message)) return;
    this.warnings.push(message);
    this.context.onWarning?.(message);
  }
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  const parts: T[][] = [];
  for (let start = 0; start < items.length; start += size) {
    parts.push(items.slice(start, start + size));
  }
  return parts;
}
