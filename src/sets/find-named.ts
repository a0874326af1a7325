/** `math-vista`, `MathVista` and `mathvista` are one. */
export function findNamed<T extends { readonly name: string }>(
  sets: readonly T[],
  name: string,
): T | undefined {
  return sets.find((set) => plainName(set.name) === plainName(name));
}

export function plainName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '');
}
