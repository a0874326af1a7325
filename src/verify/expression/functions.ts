/** The known functions of one argument and of several, over complex values with error bounds. */
import {
  add,
  complex,
  divide,
  exponential,
  imaginaryUnit,
  isReal,
  logarithm,
  multiply,
  negate,
  power,
  real,
  size,
  type Value,
} from './complex.js';

const one = real(1, 0);
const two = real(2, 0);
const half = real(0.5, 0);
const nothing = real(Number.NaN);

/** Real arguments in the domain go to the exact function of the platform, others to the formula. */
function smooth(onReals: (x: number) => number, formula: (z: Value) => Value): (z: Value) => Value {
  return (z) => {
    if (z.im !== 0) return formula(z);
    const value = onReals(z.re);
    if (!Number.isFinite(value)) return formula(z);
    const step = Math.max(1e-7, Math.abs(z.re) * 1e-7);
    const nearby = onReals(z.re + step);
    const slope = Number.isFinite(nearby) ? Math.abs(nearby - value) / step : 1;
    return complex(value, 0, (slope + Math.abs(value)) * z.error + Math.abs(value) * 1e-15);
  };
}

const iTimes = (z: Value) => multiply(imaginaryUnit, z);
const sinh = (z: Value) => multiply(half, add(exponential(z), negate(exponential(negate(z)))));
const cosh = (z: Value) => multiply(half, add(exponential(z), exponential(negate(z))));
const sinFormula = (z: Value) => negate(iTimes(sinh(iTimes(z))));
const cosFormula = (z: Value) => cosh(iTimes(z));
const squareRoot = (z: Value) => power(z, half);
const oneMinusSquare = (z: Value) => add(one, negate(multiply(z, z)));

const arcSinFormula = (z: Value) =>
  negate(iTimes(logarithm(add(iTimes(z), squareRoot(oneMinusSquare(z))))));
const arcTanFormula = (z: Value) =>
  multiply(
    divide(imaginaryUnit, two),
    add(logarithm(add(one, negate(iTimes(z)))), negate(logarithm(add(one, iTimes(z))))),
  );

const sine = smooth(Math.sin, sinFormula);
const cosine = smooth(Math.cos, cosFormula);
const tangent = (z: Value) => divide(sine(z), cosine(z));
const arcSine = smooth(Math.asin, arcSinFormula);
const arcCosine = smooth(Math.acos, (z) => add(real(Math.PI / 2), negate(arcSinFormula(z))));
const arcTangent = smooth(Math.atan, arcTanFormula);
const hyperbolicSine = smooth(Math.sinh, sinh);
const hyperbolicCosine = smooth(Math.cosh, cosh);
const reciprocalOf = (f: (z: Value) => Value) => (z: Value) => divide(one, f(z));
const ofReciprocal = (f: (z: Value) => Value) => (z: Value) => f(divide(one, z));

/** A step function has no value where the argument may lie on either side of a step. */
function stepwise(f: (x: number) => number): (z: Value) => Value {
  return (z) => {
    if (!isReal(z)) return nothing;
    const nearest = Math.round(z.re);
    if (Math.abs(nearest - z.re) <= z.error) return real(f(nearest), 0);
    return real(f(z.re), 0);
  };
}

function whole(z: Value): number | undefined {
  const nearest = Math.round(z.re);
  const isWhole = isReal(z) && Math.abs(nearest - z.re) <= z.error + Math.abs(nearest) * 1e-15;
  return isWhole && Math.abs(nearest) < 1e15 ? nearest : undefined;
}

function factorial(z: Value): Value {
  const n = whole(z);
  if (n === undefined) return gamma(add(z, one));
  if (n < 0 || n > 170) return nothing;
  let product = 1;
  for (let factor = 2; factor <= n; factor++) product *= factor;
  return real(product, product * n * 1e-16);
}

/** Lanczos' approximation (g = 7, nine terms), good to 1e-13. */
const lanczos = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313,
  -176.61502916214059, 12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6,
  1.5056327351493116e-7,
];

function gamma(z: Value): Value {
  if (!isReal(z)) return nothing;
  const x = z.re;
  if (x < 0.5) {
    const sineOf = Math.sin(Math.PI * x);
    return divide(real(Math.PI / sineOf), gamma(real(1 - x, z.error)));
  }
  const base = x - 1;
  const series = lanczos.reduce((sum, c, k) => (k === 0 ? c : sum + c / (base + k)), 0);
  const shifted = base + 7.5;
  const value = Math.sqrt(2 * Math.PI) * shifted ** (base + 0.5) * Math.exp(-shifted) * series;
  return real(value, Math.abs(value) * (1e-12 + z.error * (1 + Math.abs(x))));
}

function binomial(n: Value, k: Value): Value {
  const count = whole(k);
  if (count === undefined) {
    return divide(factorial(n), multiply(factorial(k), factorial(add(n, negate(k)))));
  }
  if (count < 0 || count > 1_000) return count < 0 ? real(0) : nothing;
  let product = one;
  for (let step = 0; step < count; step++) {
    const factor = divide(add(n, real(-step, 0)), real(step + 1, 0));
    product = multiply(product, factor);
  }
  return product;
}

function greatestCommonDivisor(a: number, b: number): number {
  let [left, right] = [Math.abs(a), Math.abs(b)];
  while (right !== 0) [left, right] = [right, left % right];
  return left;
}

function onWholes(f: (a: number, b: number) => number): (args: readonly Value[]) => Value {
  return (args) => {
    const numbers = args.map(whole);
    if (numbers.length === 0 || numbers.some((n) => n === undefined)) return nothing;
    return real((numbers as number[]).reduce(f));
  };
}

function extreme(f: (...values: number[]) => number): (args: readonly Value[]) => Value {
  return (args) =>
    args.length > 0 && args.every(isReal)
      ? real(f(...args.map((z) => z.re)), Math.max(...args.map((z) => z.error)))
      : nothing;
}

const unary: Readonly<Record<string, (z: Value) => Value>> = {
  negate,
  sqrt: squareRoot,
  cbrt: smooth(Math.cbrt, (z) => power(z, divide(one, real(3, 0)))),
  exp: exponential,
  ln: logarithm,
  lg: (z) => divide(logarithm(z), real(Math.LN10)),
  sin: sine,
  cos: cosine,
  tan: tangent,
  tg: tangent,
  cot: (z) => divide(cosine(z), sine(z)),
  sec: reciprocalOf(cosine),
  csc: reciprocalOf(sine),
  arcsin: arcSine,
  asin: arcSine,
  arccos: arcCosine,
  acos: arcCosine,
  arctan: arcTangent,
  atan: arcTangent,
  arccot: (z) => add(real(Math.PI / 2), negate(arcTangent(z))),
  arcsec: ofReciprocal(arcCosine),
  arccsc: ofReciprocal(arcSine),
  sinh: hyperbolicSine,
  cosh: hyperbolicCosine,
  tanh: (z) => divide(hyperbolicSine(z), hyperbolicCosine(z)),
  coth: (z) => divide(hyperbolicCosine(z), hyperbolicSine(z)),
  arcsinh: smooth(Math.asinh, (z) => logarithm(add(z, squareRoot(add(multiply(z, z), one))))),
  arccosh: smooth(Math.acosh, (z) =>
    logarithm(add(z, squareRoot(add(multiply(z, z), negate(one))))),
  ),
  arctanh: smooth(Math.atanh, (z) =>
    multiply(half, logarithm(divide(add(one, z), add(one, negate(z))))),
  ),
  abs: (z) => real(size(z), z.error),
  floor: stepwise(Math.floor),
  ceil: stepwise(Math.ceil),
  factorial,
  degrees: (z) => multiply(z, real(Math.PI / 180)),
  percent: (z) => divide(z, real(100, 0)),
  real: (z) => real(z.re, z.error),
  imaginary: (z) => real(z.im, z.error),
};

const several: Readonly<Record<string, (args: readonly Value[]) => Value>> = {
  add: (args) => args.reduce(add),
  multiply: (args) => args.reduce(multiply),
  divide: ([a = nothing, b = nothing]) => divide(a, b),
  power: ([a = nothing, b = nothing]) => power(a, b),
  root: ([a = nothing, degree = nothing]) => rootOf(a, degree),
  log: ([a = nothing, base]) => divide(logarithm(a), base ? logarithm(base) : real(Math.LN10)),
  binomial: ([n = nothing, k = nothing]) => binomial(n, k),
  gcd: onWholes(greatestCommonDivisor),
  lcm: onWholes((a, b) => (a === 0 ? 0 : Math.abs(a / greatestCommonDivisor(a, b)) * Math.abs(b))),
  mod: onWholes((a, b) => (b === 0 ? Number.NaN : ((a % b) + Math.abs(b)) % Math.abs(b))),
  max: extreme(Math.max),
  min: extreme(Math.min),
};

/** Odd roots of negative numbers are real, as in school mathematics. */
function rootOf(a: Value, degree: Value): Value {
  const n = whole(degree);
  const isOdd = n !== undefined && Math.abs(n) % 2 === 1;
  const exponent = divide(one, degree);
  if (!isOdd || a.im !== 0 || a.re >= 0) return power(a, exponent);
  return negate(power(negate(a), exponent));
}

/** @returns undefined where no function has this name */
export function applyFunction(name: string, args: readonly Value[]): Value | undefined {
  const simple = Object.hasOwn(unary, name) ? unary[name] : undefined;
  if (simple) return args.length === 1 && args[0] ? simple(args[0]) : undefined;
  return Object.hasOwn(several, name) ? several[name]?.(args) : undefined;
}

/** Commands such as `\sin` that take one argument, with or without brackets. */
export function isNamedFunction(name: string): boolean {
  const internal = ['negate', 'factorial', 'degrees', 'percent', 'real', 'imaginary', 'sqrt'];
  return Object.hasOwn(unary, name) && !internal.includes(name);
}
