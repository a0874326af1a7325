import { z } from 'zod';
import type { ModelServer } from '../../../prm/ports.js';
import { SteptreeError } from '../../../search/errors.js';
import { abortable } from '../abortable.js';
import { readApiKey } from './api-key.js';
import { createReplica } from './connect.js';
import { isRefusal } from './continuation.js';
import { learnFromRefusal } from './dialect.js';
import { createJsonEndpoint, type JsonEndpointOptions } from './http.js';
import { type ReplicaOptions, replicaOptions } from './options.js';
import { createReplicaSet, type Replica, type ReplicaSetOptions } from './replicas.js';
import { withReplicas } from './replicated.js';
import { type RetryOptions, systemTiming, type Timing } from './retry.js';

export interface ModelServerSettings extends RetryOptions {
  /** Absent: the first model that the server lists. */
  readonly model?: string | undefined;
  readonly apiKeyEnv?: string | undefined;
  readonly requestTimeoutMs: number;
  /** How replicas share the calls; default: as those of a policy do. */
  readonly sharing?: ReplicaOptions;
  /** Start of this server's options, for messages: `judge` for `--judge-model`. */
  readonly flagPrefix: string;
}

export interface ModelServerContext {
  /** Environment variables, for the API key. Default: the process's. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly timing?: Timing;
}

const CONNECT_TIMEOUT_MS = 10_000;

/** The paths of one problem come together and begin alike, so a batch of them stays with one replica of a
 *  reward model; how many go out at once the callers decide. */
const LOAD: Pick<ReplicaSetOptions, 'loadFloor' | 'loadCap'> = { loadFloor: 16, loadCap: Infinity };

const modelList = z.object({ data: z.array(z.object({ id: z.string() })).min(1) });

// Fields that only steady or complete a reply and that not every server knows. A field that decides
// what a reply means, such as `continue_final_message`, is never left out quietly.
const STEADYING = [
  'logprob_token_ids',
  'max_tokens',
  'min_p',
  'repetition_penalty',
  'seed',
  'top_k',
] as const;

/** Servers of one model as judges, critics and reward models use them: whatever JSON route, with
 *  retries and replicas, nothing sent before the first call.
 *  @param urls base URLs of replicas
 *  @throws SteptreeError POLICY_URL_INVALID, POLICY_API_KEY_MISSING; from calls POLICY_CALL_REFUSED,
 *  POLICY_CALL_FAILED, POLICY_REPLICAS_DOWN, POLICY_MODEL_UNKNOWN, POLICY_CLOSED */
export function createModelServer(
  urls: readonly string[],
  settings: ModelServerSettings,
  { env = process.env, timing = systemTiming }: ModelServerContext = {},
): ModelServer {
  const { flagPrefix, requestTimeoutMs } = settings;
  const apiKey = readApiKey(settings.apiKeyEnv, env, `--${flagPrefix}-api-key-env`);
  const options: JsonEndpointOptions = {
    ...(apiKey === undefined ? {} : { apiKey }),
    requestTimeoutMs,
    connectTimeoutMs: Math.min(CONNECT_TIMEOUT_MS, requestTimeoutMs),
    now: timing.now,
    after: timing.after,
  };
  const endpoints = [...new Set(urls)].map((url) => createJsonEndpoint(url, options));
  const sharing = settings.sharing ?? replicaOptions.parse({});
  const replicas = createReplicaSet(endpoints.map(createReplica), { ...sharing, ...LOAD }, timing);
  const name = endpoints.map((endpoint) => endpoint.url).join(', ');
  const retry = { ...settings, flagPrefix };

  const model = once(async () => {
    const call = { affinity: '', rollouts: 1, subject: name, retry, timing };
    const list = await withReplicas(replicas, call, ({ endpoint }, signal) =>
      endpoint.get('/models', signal),
    );
    const first = modelList.safeParse(list).data?.data[0]?.id;
    if (first !== undefined) return first;
    throw new SteptreeError(
      'POLICY_MODEL_UNKNOWN',
      `${name} lists no models; name one with --${flagPrefix}-model`,
      { url: name },
    );
  });

  return {
    name,
    model: async (signal) => {
      if (settings.model !== undefined) return settings.model;
      return signal ? abortable(model(), signal) : model();
    },
    post: (path, body, { affinity = '', signal } = {}) => {
      const call = { affinity, rollouts: 1, subject: name, retry, timing, signal };
      return withReplicas(replicas, call, (replica, attemptSignal) =>
        postInDialect(replica, path, body, attemptSignal),
      );
    },
    replicas: () => replicas.stats(),
    close: async () => {
      replicas.close();
      await Promise.all(endpoints.map((endpoint) => endpoint.close()));
    },
  };
}

async function postInDialect(
  { endpoint, dialect }: Replica,
  path: string,
  body: unknown,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  for (;;) {
    const fields = { ...(body as Record<string, unknown>) };
    if (dialect.completionTokens && 'max_tokens' in fields) {
      fields.max_completion_tokens = fields.max_tokens;
      delete fields.max_tokens;
    }
    for (const field of dialect.dropped) delete fields[field];
    try {
      return await endpoint.post(path, fields, signal);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      const steadying = Object.fromEntries(
        STEADYING.flatMap((field) => (field in fields ? [[field, fields[field]]] : [])),
      );
      if (learnFromRefusal(dialect, steadying, error.facts.reply ?? '').length === 0) throw error;
    }
  }
}

/** A value made on first use; a failed attempt is made again by the next caller. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined;
      throw error;
    });
    return made;
  };
}
