import { type Command, Option } from 'commander';
import { z } from 'zod';
import { SteptreeError } from '../../search/errors.js';
import { nearestName } from './nearest.js';

/** Adds one flag per field of a strict schema: `maxSteps` becomes `--max-steps`. The type, the
 *  default and the line of help all come from the schema, so that none is written twice.
 *  @param seen names that an earlier area had already; they are skipped */
export function addFlags(
  command: Command,
  schema: z.ZodObject,
  heading: string,
  seen: Set<string> = new Set(),
): void {
  for (const [name, field] of Object.entries(schema.shape)) {
    if (seen.has(name)) continue;
    seen.add(name);
    const option = flagOf(name, field as z.ZodType);
    option.helpGroup(`${heading}:`);
    command.addOption(option);
    // Commander gives a --no- option the default true, which would override a config file.
    if (option.negate) command.setOptionValue(name, undefined);
  }
}

/** The parsed options: command line over config file over defaults.
 *  @param given what commander collected, camelCase; absent keys were not on the command line
 *  @throws SteptreeError OPTION_UNKNOWN, OPTION_INVALID with the flag's name */
export function parseOptions<S extends z.ZodObject>(
  schema: S,
  given: Readonly<Record<string, unknown>>,
  file: Readonly<Record<string, unknown>> = {},
): z.infer<S> {
  const known = Object.keys(schema.shape);
  for (const key of Object.keys(file)) {
    if (known.includes(key)) continue;
    const near = nearestName(key, known);
    throw new SteptreeError(
      'OPTION_UNKNOWN',
      `the config file has an unknown option "${key}"${near ? `; did you mean "${near}"?` : ''}`,
      { option: key, near },
    );
  }
  const stated = Object.fromEntries(
    known.flatMap((key) => (given[key] === undefined ? [] : [[key, given[key]]])),
  );
  const parsed = schema.safeParse({ ...file, ...stated });
  if (parsed.success) return parsed.data as z.infer<S>;
  const issue = parsed.error.issues[0];
  const name = String(issue?.path[0] ?? '');
  throw new SteptreeError(
    'OPTION_INVALID',
    `--${kebabCase(name)}: ${issue?.message ?? 'invalid value'}, got ${JSON.stringify({ ...file, ...stated }[name])}`,
    { option: name },
  );
}

export function kebabCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function flagOf(name: string, field: z.ZodType): Option {
  const { inner, defaultValue } = unwrap(field);
  const flag = kebabCase(name);
  const help = helpLine(field.description ?? inner.description ?? '', defaultValue);
  if (inner instanceof z.ZodBoolean) {
    // A switch that is on by default is turned off by its --no- form.
    return new Option(defaultValue === true ? `--no-${flag}` : `--${flag}`, help).default(
      undefined,
    );
  }
  if (inner instanceof z.ZodEnum) {
    return new Option(`--${flag} <name>`, help).choices(inner.options.map(String));
  }
  if (inner instanceof z.ZodArray) {
    return new Option(`--${flag} <items...>`, help);
  }
  if (inner instanceof z.ZodNumber) {
    return new Option(`--${flag} <n>`, help).argParser(parseNumber);
  }
  return new Option(`--${flag} <text>`, help);
}

/** Text that is no number stays as it is, so that the schema names the expected type. */
function parseNumber(text: string): number | string {
  const value = Number(text);
  return text.trim() === '' || Number.isNaN(value) ? text : value;
}

function unwrap(field: z.ZodType): { inner: z.ZodType; defaultValue: unknown } {
  let inner = field;
  let defaultValue: unknown;
  for (;;) {
    if (inner instanceof z.ZodDefault) {
      defaultValue = inner.def.defaultValue;
      inner = inner.def.innerType as z.ZodType;
    } else if (inner instanceof z.ZodOptional || inner instanceof z.ZodNullable) {
      inner = inner.def.innerType as z.ZodType;
    } else {
      return { inner, defaultValue };
    }
  }
}

function helpLine(text: string, defaultValue: unknown): string {
  if (defaultValue === undefined || defaultValue === '' || typeof defaultValue === 'boolean') {
    return text;
  }
  const shown = Array.isArray(defaultValue) ? defaultValue.join(' ') : String(defaultValue);
  return shown === '' ? text : `${text} (default: ${shown})`;
}
