/** The numeric value of an expression at a point. */
import type { Expression } from './ast.js';
import {
  add,
  imaginaryUnit,
  isReal,
  multiply,
  negate,
  power,
  real,
  size,
  type Value,
} from './complex.js';
import { exactValue } from './exact.js';
import { applyFunction } from './functions.js';

/** A point, and what was noticed on the way to the value there. */
export interface Evaluation {
  readonly at: ReadonlyMap<string, Value>;
  /** Set where a step left the real numbers without an `i`: the root of a negative number, … */
  leftReals: boolean;
  /** Terms of sums that may still be added up. */
  termsLeft: number;
}

export function evaluation(at: ReadonlyMap<string, Value> = new Map()): Evaluation {
  return { at, leftReals: false, termsLeft: 2_000 };
}

const nothing = real(Number.NaN);

/** NaN where the expression has no finite value there. Bounded by its length and `termsLeft`. */
export function evaluate(node: Expression, state: Evaluation): Value {
  switch (node.kind) {
    case 'number':
      return real(node.approximate, node.decimal || node.approximate > 2 ** 53 ? undefined : 0);
    case 'symbol':
      return state.at.get(node.name) ?? constants[node.name] ?? nothing;
    case 'unknown':
      return opaque(
        node.name,
        node.args.map((arg) => evaluate(arg, state)),
      );
    case 'range':
      return range(node, state);
    case 'call':
      return callValue(node.name, node.args, state);
  }
}

const constants: Readonly<Record<string, Value>> = {
  '\\pi': real(Math.PI),
  e: real(Math.E),
  i: imaginaryUnit,
};

function callValue(name: string, nodes: readonly Expression[], state: Evaluation): Value {
  const [base, exponent] = nodes;
  const args = nodes.map((node) => evaluate(node, state));
  if (name === 'power' && base && exponent) {
    const odd = oddRoot(args[0] ?? nothing, args[1] ?? nothing, exponent);
    if (odd) return odd;
  }
  const value = applyFunction(name, args) ?? nothing;
  if (!isReal(value) && args.every(isReal)) state.leftReals = true;
  return value;
}

/** (-8)^{1/3} is -2, as in school mathematics. */
function oddRoot(base: Value, exponent: Value, node: Expression): Value | undefined {
  if (base.im !== 0 || base.re >= 0 || Number.isInteger(exponent.re)) return undefined;
  const exact = exactValue(node);
  if (!exact || exact.denominator % 2n === 0n) return undefined;
  const positive = power(negate(base), exponent);
  return exact.numerator % 2n === 0n ? positive : negate(positive);
}

function range(node: Extract<Expression, { kind: 'range' }>, state: Evaluation): Value {
  const from = evaluate(node.from, state);
  const to = evaluate(node.to, state);
  const count = Math.round(to.re - from.re) + 1;
  const isWhole = Number.isInteger(from.re) && Number.isInteger(to.re);
  if (!isWhole || count < 0 || count > state.termsLeft) return nothing;
  state.termsLeft -= count;
  const at = new Map(state.at);
  let total = node.operator === 'add' ? real(0) : real(1);
  const combine = node.operator === 'add' ? add : multiply;
  for (let step = 0; step < count; step++) {
    at.set(node.index, real(from.re + step, 0));
    const inner: Evaluation = { at, leftReals: false, termsLeft: state.termsLeft };
    total = combine(total, evaluate(node.body, inner));
    state.termsLeft = inner.termsLeft;
    state.leftReals ||= inner.leftReals;
  }
  return total;
}

/** A function that nobody defined gets some smooth values of its own, the same for the same name. */
function opaque(name: string, args: readonly Value[]): Value {
  let seed = 7;
  for (const character of name) seed = (seed * 31 + (character.codePointAt(0) ?? 0)) % 9_973;
  let [re, im, error] = [Math.sin(seed) + 1.5, 0, 1e-15];
  args.forEach((arg, index) => {
    const rate = 0.3 + ((seed * (index + 3)) % 97) / 97;
    re += Math.sin(rate * arg.re + index + seed) + 0.5 * Math.cos(1.7 * rate * arg.re);
    im += arg.im * rate;
    error += 2 * arg.error;
  });
  return size({ re, im, error }) < 1e-3 ? real(re + 0.1) : { re, im, error };
}
