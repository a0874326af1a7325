import { z } from 'zod';

/** A schema's fields under prefixed names: `maxSteps` becomes `simulatedMaxSteps`. Keeps the
 *  flags of one host apart from those of others. */
export function prefixShape(prefix: string, shape: z.ZodRawShape): z.ZodRawShape {
  return Object.fromEntries(
    Object.entries(shape).map(([name, field]) => [prefixed(prefix, name), field]),
  ) as z.ZodRawShape;
}

/** A schema's fields, optional and without defaults: for options that override what is known already. */
export function overridingShape(shape: z.ZodRawShape): z.ZodRawShape {
  return Object.fromEntries(
    Object.entries(shape).map(([name, field]) => {
      let inner = field as z.ZodType;
      while (inner instanceof z.ZodDefault || inner instanceof z.ZodOptional) {
        inner = inner.def.innerType as z.ZodType;
      }
      const text = (field as z.ZodType).description ?? inner.description ?? '';
      return [name, inner.optional().describe(text)];
    }),
  );
}

/** Those of `values` that a shape has and that are stated. */
export function statedOptions(
  shape: z.ZodRawShape,
  values: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const names = Object.keys(shape).filter((name) => values[name] !== undefined);
  return Object.fromEntries(names.map((name) => [name, values[name]]));
}

/** The options of one area out of all parsed options, checked by the area's own schema.
 *  @param prefix as given to `prefixShape`; none if the names are plain */
export function pickOptions<S extends z.ZodObject>(
  schema: S,
  all: Readonly<Record<string, unknown>>,
  prefix = '',
): z.infer<S> {
  const picked = Object.keys(schema.shape).flatMap((name) => {
    const value = all[prefix === '' ? name : prefixed(prefix, name)];
    return value === undefined ? [] : [[name, value] as const];
  });
  return schema.parse(Object.fromEntries(picked)) as z.infer<S>;
}

function prefixed(prefix: string, name: string): string {
  return prefix + name.charAt(0).toUpperCase() + name.slice(1);
}
