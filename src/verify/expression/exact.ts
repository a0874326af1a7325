/** The exact value of an expression without roots and variables. */
import { add, divide, multiply, negate, type Rational, rational } from '../rational.js';
import type { Expression } from './ast.js';

/** Exactness ends before numbers grow without bound: about 3,000 decimal digits. */
const maxBits = 10_000;

/** @returns undefined where a step is not rational, divides by zero or would grow too large */
export function exactValue(node: Expression): Rational | undefined {
  if (node.kind === 'number') return node.exact;
  if (node.kind !== 'call') return undefined;
  const args: Rational[] = [];
  for (const arg of node.args) {
    const value = exactValue(arg);
    if (!value || !isSmall(value)) return undefined;
    args.push(value);
  }
  return apply(node.name, args);
}

function isSmall({ numerator, denominator }: Rational): boolean {
  const limit = 1n << BigInt(maxBits);
  return numerator < limit && numerator > -limit && denominator < limit;
}

function apply(name: string, args: readonly Rational[]): Rational | undefined {
  const [a, b] = args;
  if (!a) return undefined;
  switch (name) {
    case 'add':
      return fold(args, add);
    case 'multiply':
      return fold(args, multiply);
    case 'divide':
      return b && divide(a, b);
    case 'negate':
      return negate(a);
    case 'percent':
      return rational(a.numerator, a.denominator * 100n);
    case 'power':
      return b && power(a, b);
    case 'factorial':
      return factorial(a);
    case 'abs':
      return a.numerator < 0n ? negate(a) : a;
    case 'floor':
      return { numerator: floor(a), denominator: 1n };
    case 'ceil':
      return { numerator: -floor(negate(a)), denominator: 1n };
    case 'binomial':
      return b && binomial(a, b);
    case 'sqrt':
      return root(a);
    default:
      return undefined;
  }
}

function fold(
  args: readonly Rational[],
  operation: (a: Rational, b: Rational) => Rational | undefined,
): Rational | undefined {
  const [first, ...rest] = args;
  return rest.reduce<Rational | undefined>(
    (total, next) => (total && isSmall(total) ? operation(total, next) : undefined),
    first,
  );
}

function power(base: Rational, exponent: Rational): Rational | undefined {
  if (exponent.denominator !== 1n) return undefined;
  const count = exponent.numerator < 0n ? -exponent.numerator : exponent.numerator;
  const bits = Math.max(bitLength(base.numerator), bitLength(base.denominator));
  if (bits <= 1 && base.denominator === 1n) return signPower(base, exponent.numerator);
  if (count > maxBits || Number(count) * bits > maxBits) return undefined;
  const numerator = base.numerator ** count;
  const denominator = base.denominator ** count;
  return exponent.numerator < 0n ? rational(denominator, numerator) : { numerator, denominator };
}

/** Powers of 0, 1 and -1. */
function signPower(base: Rational, exponent: bigint): Rational | undefined {
  if (base.numerator === 0n) {
    return exponent > 0n ? base : exponent === 0n ? { numerator: 1n, denominator: 1n } : undefined;
  }
  const isOdd = exponent % 2n !== 0n;
  return { numerator: base.numerator < 0n && isOdd ? -1n : 1n, denominator: 1n };
}

function bitLength(value: bigint): number {
  return (value < 0n ? -value : value).toString(16).length * 4 - (absIsOne(value) ? 3 : 0);
}

function absIsOne(value: bigint): boolean {
  return value === 1n || value === -1n || value === 0n;
}

function factorial(a: Rational): Rational | undefined {
  if (a.denominator !== 1n || a.numerator < 0n || a.numerator > 1_000n) return undefined;
  let product = 1n;
  for (let factor = 2n; factor <= a.numerator; factor++) product *= factor;
  return { numerator: product, denominator: 1n };
}

function floor({ numerator, denominator }: Rational): bigint {
  const quotient = numerator / denominator;
  return numerator < 0n && quotient * denominator !== numerator ? quotient - 1n : quotient;
}

function binomial(n: Rational, k: Rational): Rational | undefined {
  if (n.denominator !== 1n || k.denominator !== 1n) return undefined;
  const [top, below] = [n.numerator, k.numerator];
  if (below < 0n || top < 0n || top > 3_000n) return undefined;
  if (below > top) return { numerator: 0n, denominator: 1n };
  let product = 1n;
  for (let step = 1n; step <= below; step++) product = (product * (top - step + 1n)) / step;
  return { numerator: product, denominator: 1n };
}

/** The square root of a perfect square. */
function root(a: Rational): Rational | undefined {
  const top = integerRoot(a.numerator);
  const bottom = integerRoot(a.denominator);
  return top !== undefined && bottom ? { numerator: top, denominator: bottom } : undefined;
}

function integerRoot(square: bigint): bigint | undefined {
  if (square < 0n || bitLength(square) > 1_000) return undefined;
  if (square === 0n) return 0n;
  let guess = 1n << BigInt(Math.ceil(square.toString(2).length / 2));
  for (;;) {
    const next = (guess + square / guess) >> 1n;
    if (next >= guess) return guess * guess === square ? guess : undefined;
    guess = next;
  }
}
