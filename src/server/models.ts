import {
  STRATEGY_NAMES,
  SteptreeError,
  type StrategyName,
  type StrategyNeed,
  strategyNamed,
} from '../../search/index.js';
import { strategyOptions, strategyShape } from '../cli/strategy-flags.js';
import { nearestName } from '../config/nearest.js';
import { needsOf, requireStrategy } from '../runtime/solve.js';
import { brief } from './errors.js';

export const MODEL_PREFIX = 'steptree/';

/** Which strategy a request asks for, checked. */
export interface StrategyPlan {
  readonly strategy: StrategyName;
  /** With the strategy's defaults. */
  readonly options: Readonly<Record<string, unknown>>;
  /** The model's name as the reply says it. */
  readonly model: string;
  /** Solutions that it has to choose from, at most. */
  readonly width: number;
}

export interface StrategyCatalogue {
  /** Names of strategies whose models are there. */
  readonly available: readonly StrategyName[];
  /** What a request without a strategy gets. */
  readonly byDefault: StrategyName;
  /** What `/v1/models` lists. */
  readonly models: readonly string[];
  /** @throws SteptreeError SERVE_MODEL_UNKNOWN, SERVE_STRATEGY_CONFLICT, SERVE_STRATEGY_UNAVAILABLE,
   *  SERVE_OPTION_TOO_LARGE, STRATEGY_UNKNOWN, OPTION_INVALID */
  plan(wish: StrategyWish): StrategyPlan;
}

export interface StrategyWish {
  /** The request's `model`. */
  readonly model: string;
  /** Of the path `/v1/{strategy}/chat/completions`. */
  readonly fromPath?: string | undefined;
  /** Of the body's `steptree.strategy`. */
  readonly fromBody?: string | undefined;
  /** Options of strategies that the body states. */
  readonly stated: Readonly<Record<string, unknown>>;
}

/** @param has which models are there beside the policy
 *  @param policyName by which clients know the policy itself: as a model's name it stands for the
 *  default strategy, so that a client need only change its base URL */
export function createCatalogue(
  has: ReadonlySet<StrategyNeed>,
  policyName: string,
  maxWidth: number,
): StrategyCatalogue {
  const available = STRATEGY_NAMES.filter((name) =>
    needsOf(strategyNamed(name), {}).every((need) => has.has(need)),
  );
  const byDefault = has.has('scorer') ? 'best-of-n' : 'majority';
  const isDefault = (model: string) =>
    ['steptree', `${MODEL_PREFIX}auto`, policyName, policyName.replace(/^[a-z]+:/, '')].includes(
      model,
    );
  return {
    available,
    byDefault,
    models: ['steptree', ...available.map((name) => MODEL_PREFIX + name)],
    plan: ({ model, fromPath, fromBody, stated }) => {
      const fromModel = isDefault(model) ? undefined : strategyOfModel(model, available);
      const strategy = agreed({ fromModel, fromPath, fromBody }) ?? byDefault;
      const entry = requireStrategy(strategy);
      const own = { ...stated };
      // As `solve` does: a vote forgives the reward model an overrated outlier.
      if (!fromModel && !fromPath && !fromBody && strategy === 'best-of-n') {
        own.selection ??= 'weighted';
      }
      const options = ownOptions(strategy, own);
      refuseWide(strategy, options, maxWidth);
      for (const need of needsOf(entry, options)) {
        if (!has.has(need)) throw unavailable(strategy, need, available);
      }
      return {
        strategy: strategy as StrategyName,
        options,
        model: isDefault(model) ? model : MODEL_PREFIX + strategy,
        width: strategy === 'guided' || typeof options.n !== 'number' ? 1 : options.n,
      };
    },
  };
}

function strategyOfModel(model: string, available: readonly string[]): string {
  const name = model.startsWith(MODEL_PREFIX) ? model.slice(MODEL_PREFIX.length) : model;
  if ((STRATEGY_NAMES as readonly string[]).includes(name)) return name;
  const near = nearestName(name, STRATEGY_NAMES);
  const advice = near ? `did you mean "${MODEL_PREFIX}${near}"?` : 'GET /v1/models lists them';
  throw new SteptreeError('SERVE_MODEL_UNKNOWN', `there is no model "${brief(model)}"; ${advice}`, {
    param: 'model',
    available,
  });
}

/** The one strategy that the places name which name one. */
function agreed(named: Readonly<Record<string, string | undefined>>): string | undefined {
  const places = Object.entries(named).filter(([, name]) => name !== undefined && name !== 'auto');
  const [first] = places;
  for (const [place, name] of places) {
    if (name === first?.[1]) continue;
    const words: Record<string, string> = {
      fromModel: 'the model',
      fromPath: 'the path',
      fromBody: 'steptree.strategy',
    };
    throw new SteptreeError(
      'SERVE_STRATEGY_CONFLICT',
      `${words[first?.[0] ?? '']} names "${brief(first?.[1] ?? '')}" and ${words[place]} "${brief(name ?? '')}"; name one strategy`,
      { param: 'steptree.strategy' },
    );
  }
  return first?.[1];
}

function ownOptions(strategy: string, stated: Readonly<Record<string, unknown>>) {
  try {
    return strategyOptions(strategy, stated);
  } catch (error) {
    if (!(error instanceof SteptreeError) || error.code !== 'OPTION_INVALID') throw error;
    const { option, owners } = error.facts as { option?: string; owners?: string[] };
    const text = owners
      ? `steptree.${option} is no option of ${strategy}; ${owners.join(', ')} ${owners.length === 1 ? 'has' : 'have'} it`
      : error.message.replace(/^--[a-z-]+/, `steptree.${option}`);
    throw new SteptreeError('OPTION_INVALID', text, {
      ...error.facts,
      param: `steptree.${option}`,
    });
  }
}

/** A client must not ask for a billion samples. */
function refuseWide(
  strategy: string,
  options: Readonly<Record<string, unknown>>,
  maxWidth: number,
): void {
  const defaults = DEFAULTS.get(strategy) ?? {};
  for (const [name, value] of Object.entries(options)) {
    if (typeof value !== 'number' || !Number.isInteger(value)) continue;
    if (value <= maxWidth || (typeof defaults[name] === 'number' && value <= defaults[name])) {
      continue;
    }
    throw new SteptreeError(
      'SERVE_OPTION_TOO_LARGE',
      `steptree.${name} is ${value}, and this service allows ${maxWidth} (--max-width)`,
      { param: `steptree.${name}`, limit: maxWidth },
    );
  }
}

function unavailable(
  strategy: string,
  need: StrategyNeed,
  available: readonly string[],
): SteptreeError {
  const what = need === 'scorer' ? 'reward model (--prm)' : 'critic (--critic)';
  return new SteptreeError(
    'SERVE_STRATEGY_UNAVAILABLE',
    `${strategy} needs a ${what}, and this service was started without one; it has ${available.join(', ')}`,
    { param: 'model', strategy, need },
  );
}

/** Options that nobody stated, by strategy. */
const DEFAULTS: ReadonlyMap<string, Readonly<Record<string, unknown>>> = new Map(
  STRATEGY_NAMES.map((name) => [name, strategyNamed(name).options.parse({})]),
);

/** Fields of the body's `steptree` object that are options of strategies. */
export const STRATEGY_FIELDS = Object.keys(strategyShape);
