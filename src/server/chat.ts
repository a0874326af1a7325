import { randomUUID } from 'node:crypto';
import {
  type Budget,
  errorCode,
  errorMessage,
  type SamplingOptions,
  type SolveResult,
  SteptreeError,
} from '../../search/index.js';
import { solveProblem } from '../runtime/solve.js';
import type { Place } from './admission.js';
import type { ChatRequest, SteptreeWish } from './chat-schema.js';
import { refuseBrokenImage } from './images.js';
import { problemOf, refuseBrokenText } from './messages.js';
import { STRATEGY_FIELDS, type StrategyPlan } from './models.js';
import type { Service, ServiceSettings } from './service.js';
import { inSpan } from './telemetry.js';
import { Trace } from './traces.js';
import {
  type AnswerLimits,
  watchedCritic,
  watchedPolicy,
  watchedScorer,
} from './watched-models.js';

/** A request that can be honoured, before anything was spent on it. */
export interface Chat {
  readonly id: string;
  readonly body: ChatRequest;
  readonly plan: StrategyPlan;
  /** Answers to return. */
  readonly answers: number;
  readonly limits: AnswerLimits;
  readonly trace: Trace;
  /** Null where the client wants no trace, or none are kept. */
  readonly traceId: string | null;
}

/** @param fromPath the strategy of `/v1/{strategy}/chat/completions`
 *  @throws SteptreeError for what can't be honoured; nothing is dropped in silence */
export async function prepareChat(
  service: Service,
  body: ChatRequest,
  fromPath: string | undefined,
  owner: string,
): Promise<Chat> {
  const { settings, models } = service;
  const wish: Partial<SteptreeWish> = body.steptree ?? {};
  const plan = service.catalogue.plan({
    model: body.model,
    fromPath,
    fromBody: wish.strategy,
    stated: statedOptions(wish),
  });
  const answers = answersOf(body, plan, settings);
  const limits = limitsOf(body, settings);
  const sampling = samplingOf(body, plan, limits, settings);
  const problem = await problemOf(
    body.messages,
    settings.server,
    models.host.takesTurns,
    service.images,
  );
  const id = randomUUID();
  const trace = new Trace({
    id,
    owner,
    plan,
    problem,
    seed: body.seed ?? settings.seed,
    sampling,
    budget: budgetOf(wish, settings.budget),
    ...(body.user ? { user: body.user } : {}),
  });
  const isKept = wish.trace !== false && settings.server.traces > 0;
  return { id, body, plan, answers, limits, trace, traceId: isKept ? id : null };
}

/** Waits for a place, solves, and gives the place back before anything is written: a client that
 *  reads slowly holds none.
 *  @throws SteptreeError SERVE_BUSY, what solving throws, the signal's reason */
export async function runChat(
  service: Service,
  chat: Chat,
  client: string,
  signal: AbortSignal,
): Promise<SolveResult> {
  const { trace, plan } = chat;
  const startedMs = performance.now();
  let place: Place | null = null;
  if (chat.traceId !== null) service.traces.add(trace);
  try {
    place = await service.admission.enter(client, signal);
    service.metrics.queued(place.waitedMs / 1000);
    trace.start();
    const result = await inSpan('steptree.solve', { 'steptree.strategy': plan.strategy }, () =>
      solveChat(service, chat, signal),
    );
    trace.finish(result);
    const seconds = (performance.now() - startedMs) / 1000;
    service.metrics.succeeded(plan.strategy, reasonOf(result), seconds);
    return result;
  } catch (error) {
    trace.fail({ code: errorCode(error), message: told(error) });
    throw error;
  } finally {
    place?.leave();
    if (trace.usage) service.metrics.judged(trace.usage);
    service.models.policy.release?.(trace.facts.problem.id);
    service.traces.hasEnded(trace);
  }
}

async function solveChat(
  { models, metrics, settings }: Service,
  { plan, trace, limits }: Chat,
  signal: AbortSignal,
): Promise<SolveResult> {
  const { problem, seed, sampling, budget } = trace.facts;
  for (const { images } of [problem, ...(problem.turns ?? [])]) {
    for (const { location } of images) {
      await refuseBrokenImage(location, settings.server.maxImagePixels);
    }
  }
  const policy = watchedPolicy(models.policy, limits, (watched) => {
    metrics.sampled(watched);
    trace.sampled(watched);
  });
  const scored = (...given: Parameters<Trace['scored']>) => trace.scored(...given);
  return solveProblem(problem, {
    strategy: plan.strategy,
    options: plan.options,
    policy,
    grouper: models.grouper,
    ...(models.scorer ? { scorer: watchedScorer(models.scorer, scored) } : {}),
    ...(models.critic ? { critic: watchedCritic(models.critic) } : {}),
    seed,
    sampling,
    budget,
    signal,
    onStart: (usage) => {
      trace.usage = usage;
    },
  });
}

function statedOptions(wish: Partial<SteptreeWish>): Record<string, unknown> {
  const all = wish as Readonly<Record<string, unknown>>;
  return Object.fromEntries(
    STRATEGY_FIELDS.flatMap((name) => (all[name] === undefined ? [] : [[name, all[name]]])),
  );
}

function answersOf(body: ChatRequest, plan: StrategyPlan, { server }: ServiceSettings): number {
  const answers = body.n ?? 1;
  if (answers > server.maxAnswers) {
    throw tooLarge(
      'n',
      `n = ${answers} answers are more than ${server.maxAnswers} (--max-answers)`,
    );
  }
  if (answers > plan.width) {
    throw new SteptreeError(
      'SERVE_REQUEST_UNSUPPORTED',
      `n = ${answers} answers, and ${plan.strategy} finds ${plan.width} solution${plan.width === 1 ? '' : 's'}; ask for fewer, or search wider with steptree.n`,
      { param: 'n' },
    );
  }
  return answers;
}

function limitsOf(body: ChatRequest, { server }: ServiceSettings): AnswerLimits {
  const { max_tokens: old, max_completion_tokens: newer, stop } = body;
  if (old != null && newer != null && old !== newer) {
    throw new SteptreeError(
      'SERVE_REQUEST_INVALID',
      'max_tokens and max_completion_tokens differ; give one of them',
      { param: 'max_tokens' },
    );
  }
  const stated = newer ?? old;
  if (stated != null && stated > server.maxAnswerTokens) {
    throw tooLarge(
      'max_tokens',
      `max_tokens = ${stated} is more than ${server.maxAnswerTokens} (--max-answer-tokens)`,
    );
  }
  const strings = typeof stop === 'string' ? [stop] : (stop ?? []);
  for (const one of strings) refuseBrokenText(one, 'stop');
  // Without a wish every call has the service's limit, and a path of many steps none of its own.
  return { stop: strings, maxTokens: stated ?? Number.POSITIVE_INFINITY };
}

function samplingOf(
  body: ChatRequest,
  { strategy }: StrategyPlan,
  { maxTokens }: AnswerLimits,
  { sampling }: ServiceSettings,
): SamplingOptions {
  const { temperature, top_p: topP } = body;
  if (strategy === 'greedy' && temperature != null && temperature !== 0) {
    throw new SteptreeError(
      'SERVE_REQUEST_UNSUPPORTED',
      'greedy is at temperature 0; leave temperature out, or take another strategy',
      { param: 'temperature' },
    );
  }
  return {
    ...sampling,
    ...(temperature == null ? {} : { temperature }),
    ...(topP == null ? {} : { topP }),
    ...(Number.isFinite(maxTokens) ? { maxTokens } : {}),
  };
}

/** The lower one of the service's limit and the client's. */
function budgetOf({ budget }: Partial<SteptreeWish>, limits: Budget): Budget {
  const lower = (limit: number, wished: number | undefined) =>
    wished === undefined ? limit : limit === 0 ? wished : Math.min(limit, wished);
  return {
    ...limits,
    maxPolicyTokens: lower(limits.maxPolicyTokens, budget?.tokens),
    maxSeconds: lower(limits.maxSeconds, budget?.seconds),
  };
}

function reasonOf({ candidates, chosen }: SolveResult): string {
  return chosen !== null && candidates[chosen]?.finish === 'end' ? 'stop' : 'length';
}

/** An error that is not ours may say anything. */
function told(error: unknown): string {
  return error instanceof SteptreeError ? errorMessage(error) : 'internal error';
}

function tooLarge(param: string, text: string): SteptreeError {
  return new SteptreeError('SERVE_OPTION_TOO_LARGE', `${text}; ask for less`, { param });
}
