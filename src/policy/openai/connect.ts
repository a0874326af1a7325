import { z } from 'zod';
import { errorMessage, SteptreeError } from '../../../search/errors.js';
import { probeContinuation } from './continuation.js';
import { createDialect, serverKind } from './dialect.js';
import { HttpFailure, type JsonEndpoint } from './http.js';
import type { ContinuationMode, OpenAiOptions } from './options.js';
import type { Replica, ReplicaSet } from './replicas.js';
import { type RetryOptions, type Timing, withRetries } from './retry.js';

/** What was found out about the servers at start. */
export interface Connection {
  readonly model: string;
  readonly continuation: Exclude<ContinuationMode, 'auto'>;
  readonly warnings: readonly string[];
}

const modelList = z.object({
  data: z.array(z.object({ id: z.string(), owned_by: z.unknown().optional() })),
});

// A person is waiting for the first sign of life; later calls are more patient.
const START_RETRIES = 2;

/** Builds the replica of an endpoint, unknown so far. */
export function createReplica(endpoint: JsonEndpoint): Replica {
  return { endpoint, dialect: createDialect(), requests: 0, failures: 0 };
}

/** Asks every replica for its models and, for `auto`, whether it continues a prefix. Replicas that
 *  can't be reached are marked down and tried again later, as long as one answers.
 *  @throws SteptreeError POLICY_UNREACHABLE, POLICY_MODEL_UNKNOWN, POLICY_CALL_REFUSED */
export async function connect(
  replicas: ReplicaSet,
  options: OpenAiOptions,
  timing: Timing,
  signal?: AbortSignal,
): Promise<Connection> {
  const retry = { ...options, maxRetries: Math.min(options.maxRetries, START_RETRIES) };
  const warnings: string[] = [];
  const lists = await Promise.all(
    replicas.all.map((replica) => listModels(replica, options.model, retry, timing, signal)),
  );
  const reached = replicas.all.filter((_, index) => Array.isArray(lists[index]));
  const failures = lists.flatMap((list) => (Array.isArray(list) ? [] : [list.message]));
  if (reached.length === 0) {
    throw new SteptreeError(
      'POLICY_UNREACHABLE',
      `no policy server can be reached: ${failures.join('; ')}; start it, or check the URL`,
      { urls: replicas.all.map((replica) => replica.endpoint.url) },
    );
  }
  markUnreached(replicas, reached);
  warnings.push(...failures.map((message) => `a replica is left out for now: ${message}`));
  const names = [...new Set(lists.flatMap((list) => (Array.isArray(list) ? list : [])))];
  const model = chooseModel(names, options.model, warnings);
  const continuation = await chooseMode(reached, model, options, retry, timing, warnings, signal);
  return { model, continuation, warnings };
}

async function listModels(
  replica: Replica,
  wanted: string | undefined,
  retry: RetryOptions,
  timing: Timing,
  signal?: AbortSignal,
): Promise<string[] | { message: string }> {
  const { endpoint, dialect } = replica;
  try {
    const reply = await withRetries(
      () => modelsOrNothing(endpoint, wanted, signal),
      endpoint.url,
      retry,
      timing,
      { signal },
    );
    const models = modelList.safeParse(reply);
    if (!models.success) return { message: `${endpoint.url}/models lists no models` };
    dialect.server = serverKind(models.data.data[0]?.owned_by);
    return models.data.data.map((entry) => entry.id);
  } catch (error) {
    if (signal?.aborted || isAccessProblem(error)) throw error;
    return { message: errorMessage(error) };
  }
}

// Gateways without a model list are fine as long as the model's name is given.
async function modelsOrNothing(
  endpoint: JsonEndpoint,
  wanted: string | undefined,
  signal?: AbortSignal,
): Promise<unknown> {
  try {
    return await endpoint.get('/models', signal);
  } catch (error) {
    const absent =
      error instanceof HttpFailure && [404, 405, 501].includes(error.facts.status ?? 0);
    if (absent && wanted !== undefined) return { data: [] };
    throw error;
  }
}

function isAccessProblem(error: unknown): boolean {
  return (
    error instanceof SteptreeError &&
    error.code === 'POLICY_CALL_REFUSED' &&
    (error.facts.status === 401 || error.facts.status === 403)
  );
}

function markUnreached(replicas: ReplicaSet, reached: readonly Replica[]): void {
  const known = reached[0]?.dialect.server ?? 'other';
  for (const replica of replicas.all) {
    if (reached.includes(replica)) continue;
    // Replicas serve one model with one server, so the others tell what this one will be.
    replica.dialect.server = known;
    replicas.eject(replica, 'it could not be reached at the start');
  }
}

function chooseModel(names: readonly string[], wanted: string | undefined, warnings: string[]) {
  const model = wanted ?? names[0];
  if (model === undefined) {
    throw new SteptreeError(
      'POLICY_MODEL_UNKNOWN',
      'the server lists no models; name one with --model',
    );
  }
  if (names.length > 0 && !names.includes(model)) {
    warnings.push(`the server doesn't list the model ${model}; it has ${names.join(', ')}`);
  }
  if (wanted === undefined && names.length > 1) {
    warnings.push(`the server has ${names.length} models; using the first, ${model}`);
  }
  return model;
}

async function chooseMode(
  reached: readonly Replica[],
  model: string,
  options: OpenAiOptions,
  retry: RetryOptions,
  timing: Timing,
  warnings: string[],
  signal?: AbortSignal,
): Promise<Connection['continuation']> {
  if (options.continuation !== 'auto') return options.continuation;
  const probes = await Promise.all(
    reached.map((replica) => probeContinuation(replica, model, retry, timing, signal)),
  );
  // One way for all, or the same run would hold two kinds of data.
  const failing = probes.findIndex((probe) => !probe.continues);
  if (failing < 0) return 'prefill';
  warnings.push(
    `${reached[failing]?.endpoint.url} doesn't continue an assistant's text (asked to go on after "1, 2, 3," it gave ${probes[failing]?.saw}); prefixes are restated in the user turn`,
  );
  return 'restate';
}
