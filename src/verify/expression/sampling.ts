/** Decides by values at seeded points whether two expressions are the same function.
 *
 *  Two different analytic functions agree at a random point with probability zero, so agreement at
 *  several points within the error of doubles is taken for equality, and one clear difference for
 *  its opposite. */
import { type Expression, someNode, variablesOf } from './ast.js';
import { isDefined, isReal, isZero, size, type Value } from './complex.js';
import { evaluate, evaluation } from './evaluate.js';

export type Sameness = 'equal' | 'different' | 'unknown';

/** How far two values may be apart. */
export interface Tolerance {
  /** Of the larger value. */
  readonly relative: number;
  readonly absolute: number;
}

/** Doubles whose error is larger than this share of the value tell nothing. */
const maxRelativeError = 1e-7;
const wantedPoints = 10;
const neededPoints = 4;
const maxPoints = 48;
const exactly: Tolerance = { relative: 1e-11, absolute: 0 };

/** Compares as real functions where both are real, else as complex ones. Points where one of the two
 *  has no value don't count: x²/x is x.
 *  @param tolerance more than the error of doubles, where decimals were rounded */
export function sameExpression(
  a: Expression,
  b: Expression,
  tolerance: Tolerance = exactly,
): Sameness {
  const sampled = sampleBoth(a, b, tolerance);
  return sampled === 'different' && (isTooSteep(a) || isTooSteep(b)) ? 'unknown' : sampled;
}

function sampleBoth(a: Expression, b: Expression, tolerance: Tolerance): Sameness {
  const variables = [...new Set([...variablesOf(a), ...variablesOf(b)])];
  if (variables.length > 24) return 'unknown';
  let complexAgreement = 0;
  let complexDifference = false;
  let agreement = 0;
  for (let index = 0; index < maxPoints; index++) {
    const at = samplePoint(variables, index);
    const [left, right] = [valueAt(a, at), valueAt(b, at)];
    if (left && right) {
      const agree = agrees(left.value, right.value, tolerance);
      if (left.isReal && right.isReal) {
        if (agree === false) return 'different';
        if (agree) agreement++;
      } else if (left.isReal === right.isReal || !(left.leftReals || right.leftReals)) {
        if (agree === false) complexDifference = true;
        else if (agree) complexAgreement++;
      }
    }
    if (variables.length === 0) break;
    if (agreement >= wantedPoints) return 'equal';
  }
  if (variables.length === 0) {
    if (complexDifference) return 'different';
    return agreement + complexAgreement > 0 ? 'equal' : 'unknown';
  }
  if (agreement >= neededPoints) return 'equal';
  if (agreement > 0) return 'unknown';
  if (complexDifference) return 'different';
  return complexAgreement >= neededPoints ? 'equal' : 'unknown';
}

/** Whether f = k·g with one k at all points, so that f = 0 and g = 0 say the same.
 *  @returns the sign of k where it is, 'different' where it isn't, 'unknown' where values fail */
export function proportion(a: Expression, b: Expression): 1 | -1 | 'different' | 'unknown' {
  if (isTooSteep(a) || isTooSteep(b)) return 'unknown';
  const variables = [...new Set([...variablesOf(a), ...variablesOf(b)])];
  if (variables.length > 24) return 'unknown';
  if (variables.length === 0) {
    const same = sampleBoth(a, b, exactly);
    return same === 'equal' ? 1 : same;
  }
  let factor: Value | undefined;
  let agreement = 0;
  for (let index = 0; index < maxPoints && agreement < wantedPoints; index++) {
    const at = samplePoint(variables, index);
    const [left, right] = [valueAt(a, at)?.value, valueAt(b, at)?.value];
    if (!left || !right) continue;
    if (isZero(left) !== isZero(right)) return 'different';
    if (isZero(left)) continue;
    const ratio = quotient(left, right);
    factor ??= ratio;
    if (agrees(ratio, factor, { relative: 1e-9, absolute: 0 }) === false) return 'different';
    agreement++;
  }
  if (!factor || agreement < neededPoints) return 'unknown';
  return factor.re < 0 ? -1 : 1;
}

function quotient(a: Value, b: Value): Value {
  const square = b.re * b.re + b.im * b.im;
  const error = (a.error + (size(a) / size(b)) * b.error) / size(b);
  return {
    re: (a.re * b.re + a.im * b.im) / square,
    im: (a.im * b.re - a.re * b.im) / square,
    error,
  };
}

interface PointValue {
  readonly value: Value;
  readonly isReal: boolean;
  /** Not real because of a root or logarithm, not of an `i`. */
  readonly leftReals: boolean;
}

function valueAt(node: Expression, at: ReadonlyMap<string, Value>): PointValue | undefined {
  const state = evaluation(at);
  const value = evaluate(node, state);
  if (!isDefined(value)) return undefined;
  const { leftReals } = state;
  return { value, isReal: isReal(value) && !leftReals, leftReals };
}

/** @returns undefined where the doubles are too coarse to tell */
function agrees(a: Value, b: Value, tolerance: Tolerance): boolean | undefined {
  const difference = Math.hypot(a.re - b.re, a.im - b.im);
  const scale = Math.max(size(a), size(b));
  const error = 8 * (a.error + b.error);
  const allowed = Math.max(tolerance.absolute, scale * tolerance.relative);
  if (difference > allowed + error) return false;
  // Coarser than this, agreement could be chance.
  if (error > Math.max(scale, 1e-3) * maxRelativeError) return undefined;
  return true;
}

/** Such a power, as (x+y+z+1)^{200}, may have been expanded with rounded numbers: a difference says
 *  nothing. */
export function isTooSteep(node: Expression): boolean {
  return someNode(node, (one) => {
    if (one.kind !== 'call' || one.name !== 'power') return false;
    const [base, exponent] = one.args;
    const isSum = base?.kind === 'call' && base.name === 'add' && variablesOf(base).length > 0;
    return isSum && exponent?.kind === 'number' && Math.abs(exponent.approximate) > 100;
  });
}

/** Points with all variables positive, all negative, whole and positive, with mixed signs by turns; the same for
 *  the same names, so that a comparison can be repeated. */
function samplePoint(variables: readonly string[], index: number): ReadonlyMap<string, Value> {
  const at = new Map<string, Value>();
  for (const name of variables) {
    const share = fraction(name, index);
    if (index % 4 === 2) {
      at.set(name, { re: 1 + Math.floor(share * 9), im: 0, error: 0 });
      continue;
    }
    const isNegative = index % 4 === 1 || (index % 4 === 3 && fraction(name, index + 1_000) < 0.5);
    const magnitude = 0.25 + share * 2.5;
    at.set(name, { re: isNegative ? -magnitude : magnitude, im: 0, error: 0 });
  }
  return at;
}

/** A share in [0, 1) from a name and a number (xorshift over an FNV hash). */
function fraction(name: string, index: number): number {
  let hash = 0x811c9dc5 ^ Math.imul(index + 1, 0x9e3779b1);
  for (const character of name)
    hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193);
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  hash ^= hash >>> 16;
  return (hash >>> 0) / 2 ** 32;
}
