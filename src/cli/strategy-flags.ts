/** Flags of all strategies in one schema, made of the strategies' own schemas. */
import { z } from 'zod';
import { STRATEGY_NAMES, SteptreeError, strategyNamed } from '../../search/index.js';
import { kebabCase, parseOptions } from '../config/flags.js';

/** An option that so many strategies have is not listed with all their names. */
const COMMON = 7;

/** Each option once, optional and without a default: strategies differ in their defaults, and each
 *  fills in its own. Its line of help says which strategies have it, and with which default. */
export const strategyShape: Readonly<Record<string, z.ZodType>> = unionOfShapes();

/** The stated options of one strategy, checked by its own schema.
 *  @param stated all options that were stated on the command line or in the config file
 *  @returns with the strategy's defaults
 *  @throws SteptreeError OPTION_INVALID for an option of another strategy, or a wrong value */
export function strategyOptions(
  strategy: string,
  stated: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const { options } = strategyNamed(strategy);
  for (const name of Object.keys(strategyShape)) {
    if (stated[name] === undefined || name in options.shape) continue;
    const owners = ownersOf(name);
    throw new SteptreeError(
      'OPTION_INVALID',
      `--${kebabCase(name)} is no option of ${strategy}; ${owners.join(', ')} ${owners.length === 1 ? 'has' : 'have'} it`,
      { option: name, strategy, owners },
    );
  }
  return parseOptions(options, stated);
}

function ownersOf(option: string): string[] {
  return STRATEGY_NAMES.filter((name) => option in strategyNamed(name).options.shape);
}

function unionOfShapes(): Record<string, z.ZodType> {
  const fields = STRATEGY_NAMES.flatMap((name) =>
    Object.entries(strategyNamed(name).options.shape),
  );
  const shape: Record<string, z.ZodType> = {};
  for (const [option, field] of fields as [string, z.ZodType][]) {
    if (option in shape) continue;
    const { inner } = withoutDefault(field);
    const text = field.description ?? inner.description ?? '';
    shape[option] = inner.optional().describe(`${text} (${defaultsText(option)})`);
  }
  return shape;
}

/** `default: 8` if all strategies have the option alike, else `mean: best-of-n, …; last: beam, …`. */
function defaultsText(option: string): string {
  const byDefault = new Map<string, string[]>();
  for (const name of ownersOf(option)) {
    const field = strategyNamed(name).options.shape[option] as z.ZodType;
    const value = String(withoutDefault(field).value);
    byDefault.set(value, [...(byDefault.get(value) ?? []), name]);
  }
  const shown = (value: string) => JSON.stringify(value).slice(1, -1);
  const groups = [...byDefault].map(([value, names]) => ({ value: shown(value), names }));
  const [only] = groups;
  if (groups.length > 1 || !only) {
    return `default ${groups.map(({ value, names }) => `${value} in ${names.join(', ')}`).join('; ')}`;
  }
  const everywhere = only.names.length >= COMMON;
  return `${everywhere ? '' : `${only.names.join(', ')}; `}default: ${only.value}`;
}

/** The outermost default is the strategy's; there may be others under it. */
function withoutDefault(field: z.ZodType): { inner: z.ZodType; value: unknown } {
  if (!(field instanceof z.ZodDefault)) return { inner: field, value: undefined };
  const { innerType, defaultValue } = field.def;
  return { inner: withoutDefault(innerType as z.ZodType).inner, value: defaultValue };
}
