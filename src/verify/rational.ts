/** Exact numbers: a fraction of big integers in lowest terms, the denominator positive. */
export interface Rational {
  readonly numerator: bigint;
  readonly denominator: bigint;
}

/** Longer numbers are no answers; the limit keeps every operation in microseconds. */
const maxDigits = 300;

/** @returns undefined where the denominator is 0 */
export function rational(numerator: bigint, denominator: bigint): Rational | undefined {
  if (denominator === 0n) return undefined;
  const sign = denominator < 0n ? -1n : 1n;
  const divisor = greatestCommonDivisor(absolute(numerator), absolute(denominator));
  return {
    numerator: (sign * numerator) / divisor,
    denominator: (sign * denominator) / divisor,
  };
}

/** Reads `-12`, `3.50`, `.5`, `1e-3`, exactly. @returns undefined for anything else, or over 300 digits */
export function parseDecimal(text: string): Rational | undefined {
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/.exec(text);
  if (!match) return undefined;
  const [, sign = '', whole = '', fraction = '', exponentText = '0'] = match;
  if (whole + fraction === '') return undefined;
  const exponent = Number(exponentText) - fraction.length;
  if (whole.length + fraction.length + Math.abs(exponent) > maxDigits) return undefined;
  const digits = BigInt(whole + fraction) * (sign === '-' ? -1n : 1n);
  return exponent >= 0
    ? { numerator: digits * 10n ** BigInt(exponent), denominator: 1n }
    : rational(digits, 10n ** BigInt(-exponent));
}

export function add(a: Rational, b: Rational): Rational | undefined {
  return rational(
    a.numerator * b.denominator + b.numerator * a.denominator,
    a.denominator * b.denominator,
  );
}

export function multiply(a: Rational, b: Rational): Rational | undefined {
  return rational(a.numerator * b.numerator, a.denominator * b.denominator);
}

export function divide(a: Rational, b: Rational): Rational | undefined {
  return rational(a.numerator * b.denominator, a.denominator * b.numerator);
}

export function negate(a: Rational): Rational {
  return { numerator: -a.numerator, denominator: a.denominator };
}

export function sameRational(a: Rational, b: Rational): boolean {
  return a.numerator === b.numerator && a.denominator === b.denominator;
}

/** |a - b| <= half a unit of the `places`-th decimal, exactly. */
export function withinHalfUnit(a: Rational, b: Rational, places: number): boolean {
  const difference = absolute(a.numerator * b.denominator - b.numerator * a.denominator);
  return difference * 2n * 10n ** BigInt(places) <= a.denominator * b.denominator;
}

/** The nearest double, also where numerator and denominator overflow one. */
export function toNumber(a: Rational): number {
  const direct = Number(a.numerator) / Number(a.denominator);
  if (Number.isFinite(direct)) return direct;
  const shift = BigInt(Math.max(0, a.denominator.toString().length - 20));
  return Number(a.numerator / 10n ** shift) / Number(a.denominator / 10n ** shift);
}

function absolute(value: bigint): bigint {
  return value < 0n ? -value : value;
}

function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  let [left, right] = [a, b];
  while (right !== 0n) [left, right] = [right, left % right];
  return left === 0n ? 1n : left;
}
