import { setMaxListeners } from 'node:events';
import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import {
  createCriticHost,
  createHybridScorer,
  createMarkerHost,
  createOutcomeHost,
  createPairwiseScorer,
  createPathScorer,
  createPoolingHost,
  createRolloutsHost,
  createRulesScorer,
  createTokenLogitsHost,
  type ImageEncoder,
  type MarkerModel,
  type ModelServer,
  type PathHost,
  PLAIN_AGGREGATES,
  type RolloutPorts,
  type Scorer,
  type StatedWeights,
} from '../../prm/index.js';
import { SteptreeError } from '../../search/errors.js';
import type { AnswerGrouper, Critic } from '../../search/types.js';
import { pickOptions } from '../config/shapes.js';
import { PACKAGE_DIR } from '../config/version.js';
import {
  createImageEncoder,
  createModelServer,
  type ModelServerContext,
} from '../policy/openai/index.js';
import { replicaOptions } from '../policy/openai/options.js';
import { parseHybridPart } from './hybrid-part.js';
import type { ModelServerOptions, ScorerKind, ScorerSettings } from './options.js';

/** A reward model as a run holds it. */
export interface ScorerHandle extends Scorer {
  readonly kind: ScorerKind;
  /** The same model as critic, from `--prm-kind critic`: it judges a solution once for both. */
  readonly critic?: Critic;
  /** What decides its scores; a run's folder remembers it. No addresses: a server may move. */
  readonly identity: Readonly<Record<string, unknown>>;
}

/** A critic as a run holds it. */
export interface CriticHandle extends Critic {
  readonly identity: Readonly<Record<string, unknown>>;
  close(): Promise<void>;
}

/** What reward models take from the world. */
export interface ScorerContext extends ModelServerContext {
  /** Pictures are encoded once if policy and reward model share an encoder. */
  readonly images?: ImageEncoder;
  /** For the rules. */
  readonly grouper?: AnswerGrouper;
  /** For Monte Carlo values. */
  readonly rollouts?: RolloutPorts;
  /** Opens a model folder in place of the ONNX host.
   *  @param shown the folder's name for messages and `identity` */
  readonly openMarkerModel?: (folder: string, shown: string) => Promise<MarkerModel>;
  /** Gives up the start. */
  readonly signal?: AbortSignal;
}

/** The folder of the reward model that comes with the package. */
export const EMBEDDED_PRM_DIR = join(PACKAGE_DIR, 'models', 'figmath-prm');

/** The folder of the critic that comes with the package: the reward model itself, whose scores find the
 *  wrong step and whose language head writes another. */
export const EMBEDDED_CRITIC_DIR = EMBEDDED_PRM_DIR;

const IMAGE_CACHE_BYTES = 256e6;

/** Opens the reward model that `--prm` and `--prm-kind` name.
 *  @throws SteptreeError OPTION_PRM_UNKNOWN, OPTION_INVALID, POLICY_URL_INVALID,
 *  POLICY_API_KEY_MISSING, and what opening a folder throws */
export async function createScorer(
  settings: ScorerSettings,
  context: ScorerContext = {},
): Promise<ScorerHandle> {
  const images = context.images ?? createImageEncoder(IMAGE_CACHE_BYTES);
  const opener = new Opener(settings, { ...context, images });
  const { scorer, critic } = await opener.open();
  return {
    kind: opener.kind,
    name: opener.nameOf(scorer),
    ...(scorer.setwise === undefined ? {} : { setwise: scorer.setwise }),
    ...(critic ? { critic } : {}),
    identity: opener.identity(),
    score: (request, signal) => {
      // Hundreds of requests share a run's signal: that is no leak.
      if (signal) setMaxListeners(0, signal);
      return scorer.score(request, signal);
    },
    stats: () => {
      const replicas = opener.replicas();
      return replicas.length === 0 ? scorer.stats() : { ...scorer.stats(), replicas };
    },
    close: () => scorer.close(),
  };
}

/** A critic on its own, as `--critic` names it.
 *  @param spec `embedded`, a model folder, or URLs of servers of one model, separated by commas
 *  @throws SteptreeError OPTION_PRM_UNKNOWN, POLICY_URL_INVALID, POLICY_API_KEY_MISSING, and what
 *  opening a folder throws */
export async function createCritic(
  spec: string,
  settings: ScorerSettings,
  context: ScorerContext = {},
): Promise<CriticHandle> {
  if (!isUrl(spec)) {
    const folder = existingFolder(spec, { flag: 'critic', embedded: EMBEDDED_CRITIC_DIR });
    const { openFolderCritic } = await import('./onnx/critic.js');
    return openFolderCritic(folder, spec, settings);
  }
  const { server, model } = await openServer(spec, settings.criticServer, context, 'critic');
  const images = context.images ?? createImageEncoder(IMAGE_CACHE_BYTES);
  const host = createCriticHost(server, images, settings.critic);
  return {
    name: `critic:${model}`,
    identity: { model, ...settings.critic },
    critique: (problem, steps, signal) => {
      if (signal) setMaxListeners(0, signal);
      return host.critique(problem, steps, signal);
    },
    close: () => host.close(),
  };
}

interface Opened {
  readonly scorer: Scorer;
  readonly critic?: Critic;
}

class Opener {
  readonly kind: ScorerKind;
  /** As the server lists it, or the folder's name; empty where there is no model. */
  private model = '';
  /** Of a hybrid: what decides the scores of each part, its weight too. */
  private parts: readonly object[] = [];
  private opened: ModelServer | null = null;

  constructor(
    private readonly settings: ScorerSettings,
    private readonly context: ScorerContext & { readonly images: ImageEncoder },
  ) {
    const { prm, prmKind } = settings;
    this.kind = prmKind !== 'auto' ? prmKind : isUrl(prm) ? 'token-logits' : 'onnx';
  }

  async open(): Promise<Opened> {
    const { settings, context } = this;
    const { images } = context;
    switch (this.kind) {
      case 'onnx':
        return this.batched(createMarkerHost(await this.folder(), this.tokenPrompt()));
      case 'token-logits':
        return this.batched(
          await this.onServer((server) =>
            createTokenLogitsHost(server, images, this.tokenPrompt()),
          ),
        );
      case 'pooling':
        return this.batched(
          createPoolingHost(await this.server(), { ...settings.prompt, ...settings.pooling }),
        );
      case 'outcome': {
        const { prompt, outcome, tokenLogits } = settings;
        const options = { ...prompt, ...outcome, tokenLogits };
        return this.batched(
          await this.onServer((server) => createOutcomeHost(server, images, options)),
        );
      }
      case 'critic': {
        const host = createCriticHost(await this.server(), images, settings.critic);
        return { ...this.batched(host), critic: host };
      }
      case 'pairwise':
        return { scorer: createPairwiseScorer(await this.server(), images, settings.pairwise) };
      case 'rules':
        return { scorer: createRulesScorer(this.needed('grouper'), settings.rules) };
      case 'rollouts':
        return this.batched(createRolloutsHost(this.needed('rollouts'), settings.rollouts));
      case 'hybrid':
        return { scorer: await this.hybrid() };
    }
  }

  /** Counts of each server of the model; none of a folder's or of a hybrid's parts. */
  replicas(): readonly object[] {
    return this.opened?.replicas?.() ?? [];
  }

  /** Without addresses: stored scores are found under this name, and a server may move. */
  nameOf(scorer: Scorer): string {
    return this.model === '' ? scorer.name : `${this.kind}:${this.model}`;
  }

  /** Options of the kind that is open; other kinds' options change nothing. */
  identity(): Record<string, unknown> {
    const { settings, kind } = this;
    const { knownSteps: _, ...tokens } = settings.tokenLogits;
    const { model } = this;
    const own: Readonly<Record<ScorerKind, object>> = {
      onnx: { model, marker: tokens.marker, ...this.weights(), ...settings.prompt },
      'token-logits': { model, ...tokens, ...settings.prompt },
      pooling: { model, ...settings.pooling, ...settings.prompt },
      outcome: { model, ...settings.outcome, ...tokens, ...settings.prompt },
      critic: { model, ...settings.critic },
      pairwise: { model, ...settings.pairwise },
      rules: settings.rules,
      rollouts: settings.rollouts,
      hybrid: { aggregate: settings.hybrid.aggregate, parts: this.parts },
    };
    return { kind, ...own[kind] };
  }

  private weights(): StatedWeights {
    const { likelihoodWeight, valueWeight, bias } = this.settings.tokenLogits;
    const stated = Object.entries({ likelihoodWeight, valueWeight, bias });
    return Object.fromEntries(stated.filter(([, weight]) => weight !== undefined));
  }

  private tokenPrompt() {
    return { ...this.settings.prompt, ...this.settings.tokenLogits };
  }

  private batched(host: PathHost): Opened {
    return { scorer: createPathScorer(host, this.settings.batching) };
  }

  private async server(): Promise<ModelServer> {
    const { prm, server: options } = this.settings;
    const { server, model } = await openServer(prm, options, this.context, 'prm');
    this.model = model;
    this.opened = server;
    return server;
  }

  /** For hosts that refuse some options: the server is not left open then. */
  private async onServer(make: (server: ModelServer) => PathHost): Promise<PathHost> {
    const server = await this.server();
    try {
      return make(server);
    } catch (error) {
      await server.close();
      throw error;
    }
  }

  private async folder(): Promise<MarkerModel> {
    const { prm } = this.settings;
    const folder = existingFolder(prm, { flag: 'prm', embedded: EMBEDDED_PRM_DIR });
    this.model = prm;
    const { openMarkerModel } = this.context;
    if (openMarkerModel) return openMarkerModel(folder, prm);
    // Loaded only when wanted: onnxruntime is large, and other kinds need none of it.
    const { createOnnxMarkerModel } = await import('./onnx/host.js');
    const { onnx, batching } = this.settings;
    const { maxBatch } = batching;
    return createOnnxMarkerModel(folder, { ...onnx, maxBatch, ...this.weights() });
  }

  private async hybrid(): Promise<Scorer> {
    const { settings, context } = this;
    const parts = settings.hybrid.parts.map(parseHybridPart);
    const opened: ScorerHandle[] = [];
    try {
      for (const { kind, spec } of parts) {
        const part = { ...settings, prmKind: kind, prm: spec ?? settings.prm };
        opened.push(await createScorer(part, context));
      }
      const weighted = opened.map((scorer, index) => ({
        scorer,
        weight: parts[index]?.weight ?? 0,
      }));
      this.parts = weighted.map(({ scorer, weight }) => ({ weight, ...scorer.identity }));
      return createHybridScorer(weighted, PLAIN_AGGREGATES[settings.hybrid.aggregate]);
    } catch (error) {
      await Promise.all(opened.map((scorer) => scorer.close()));
      throw error;
    }
  }

  private needed<Name extends 'grouper' | 'rollouts'>(
    name: Name,
  ): NonNullable<ScorerContext[Name]> {
    const port = this.context[name];
    if (port) return port;
    const need = name === 'grouper' ? 'compares answers' : 'has a policy and gold answers';
    throw new SteptreeError(
      'OPTION_INVALID',
      `--prm-kind ${this.kind} works only in a command that ${need}`,
      { option: 'prmKind' },
    );
  }
}

/** Asks for the model at once: a mistyped address should be told before a run begins. */
async function openServer(
  spec: string,
  { timeoutMs, ...options }: ModelServerOptions,
  context: ScorerContext,
  flagPrefix: string,
): Promise<{ readonly server: ModelServer; readonly model: string }> {
  if (!isUrl(spec)) {
    throw unknownPrm(
      spec,
      'is no http(s) URL, and this kind of reward model lives on a server',
      flagPrefix,
    );
  }
  const urls = spec.split(',').map((url) => url.trim());
  const settings = {
    ...options,
    requestTimeoutMs: timeoutMs,
    retryBaseMs: 250,
    retryCapMs: 20_000,
    sharing: pickOptions(replicaOptions, options),
    flagPrefix,
  };
  const server = createModelServer(urls, settings, context);
  try {
    return { server, model: await server.model(context.signal) };
  } catch (error) {
    await server.close();
    throw error;
  }
}

/** @param spec `embedded`, a folder, or `onnx:` before one */
function existingFolder(
  spec: string,
  { flag, embedded }: { readonly flag: string; readonly embedded: string },
): string {
  const folder =
    spec === 'embedded' ? embedded : resolve(spec.startsWith('onnx:') ? spec.slice(5) : spec);
  if (existsSync(folder)) return folder;
  throw unknownPrm(
    spec,
    spec === 'embedded'
      ? `needs models/${basename(embedded)}, which is missing; install again, or name a server or folder`
      : 'is neither embedded, an http(s) URL nor an existing model folder',
    flag,
  );
}

function isUrl(spec: string): boolean {
  return /^https?:\/\//.test(spec);
}

function unknownPrm(prm: string, what: string, flag = 'prm'): SteptreeError {
  return new SteptreeError('OPTION_PRM_UNKNOWN', `--${flag} ${prm} ${what}`, { [flag]: prm });
}
