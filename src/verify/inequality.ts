/** Solves inequalities in one unknown, and compares those in several. */
import { call, type Expression, someNode, variablesOf } from './expression/ast.js';
import { isDefined, isReal, real, type Value } from './expression/complex.js';
import { evaluate, evaluation } from './expression/evaluate.js';
import { parseExpression } from './expression/parse.js';
import { proportion, type Sameness } from './expression/sampling.js';
import {
  complement,
  emptySet,
  intersection,
  interval,
  point,
  type RealSet,
  sameSet,
  union,
} from './real-set.js';
import { flipped, type Operator, type Statement } from './statement.js';

interface Pair {
  readonly left: Expression;
  readonly right: Expression;
  readonly operator: Operator;
}

/** @returns undefined where a term can't be read */
function pairsOf({ terms, operators }: Statement): Pair[] | undefined {
  const read = terms.map((term) => parseExpression(term) ?? infinite(term));
  return operators.reduce<Pair[] | undefined>((pairs, operator, index) => {
    const [left, right] = [read[index], read[index + 1]];
    if (left && right) pairs?.push({ left, right, operator });
    return left && right ? pairs : undefined;
  }, []);
}

function infinite(term: string): Expression | undefined {
  return /^[+-]?\s*\\infty$/.test(term) ? { kind: 'symbol', name: '\\infty' } : undefined;
}

/** The real numbers that satisfy a statement in one unknown: a variable, or f(x) of an undefined f.
 *  @returns undefined for several unknowns, none, or what can't be solved */
export function solutionSet(statement: Statement): RealSet | undefined {
  const pairs = pairsOf(statement);
  if (!pairs || statement.terms.some((term) => term.length > maxTermLength)) return undefined;
  const replaced = pairs.map(({ left, right, operator }) => ({
    left: withoutOpaque(left),
    right: withoutOpaque(right),
    operator,
  }));
  const names = new Set(
    replaced.flatMap(({ left, right }) => [...variablesOf(left), ...variablesOf(right)]),
  );
  const [unknown] = names;
  if (names.size !== 1 || unknown === undefined) return undefined;
  let solution: RealSet | undefined;
  for (const pair of replaced) {
    const set = solvePair(pair, unknown);
    if (!set) return undefined;
    solution = solution ? intersection(solution, set) : set;
  }
  return solution;
}

/** f(x) counts as one unknown. */
function withoutOpaque(node: Expression): Expression {
  if (node.kind === 'unknown') {
    return { kind: 'symbol', name: `${node.name}(${node.args.flatMap(variablesOf).join()})` };
  }
  if (node.kind !== 'call') return node;
  return { ...node, args: node.args.map(withoutOpaque) };
}

/** A term is evaluated a thousand times. In UTF-16 units. */
const maxTermLength = 100;
const maxReach = 1e5;

function solvePair({ left, right, operator }: Pair, unknown: string): RealSet | undefined {
  if ([left, right].some((side) => someNode(side, isInfinite))) {
    return infiniteBound(left, right, operator);
  }
  const valueAt = (x: number): Value => {
    const state = evaluation(new Map([[unknown, { re: x, im: 0, error: 0 }]]));
    const difference = evaluate(call('add', left, call('negate', right)), state);
    return state.leftReals ? real(Number.NaN) : difference;
  };
  const borders = linearRoot(valueAt) ?? bordersOf(valueAt);
  return borders && cells(valueAt, borders, operator);
}

function isInfinite(node: Expression): boolean {
  return node.kind === 'symbol' && node.name === '\\infty';
}

/** `x < \infty` says nothing. */
function infiniteBound(left: Expression, right: Expression, operator: Operator) {
  const isLess = operator === '<' || operator === '<=';
  const isUpper = isLess ? isInfinite(right) : isInfinite(left);
  const isLower = isLess ? !isInfinite(left) : !isInfinite(right);
  return isUpper || isLower ? complement(emptySet) : undefined;
}

/** The root of a straight line, exactly. @returns [] where it has none, undefined for other curves */
function linearRoot(valueAt: (x: number) => Value): number[] | undefined {
  const values = [0, 1, 2, -3, 7.5].map(valueAt);
  if (!values.every((value) => isDefined(value) && isReal(value))) return undefined;
  const [zero = 0, one = 0, ...rest] = values.map((value) => value.re);
  const slope = one - zero;
  const isLine = [2, -3, 7.5].every((x, index) => {
    const expected = zero + slope * x;
    return Math.abs((rest[index] ?? 0) - expected) <= 1e-9 * (1 + Math.abs(expected));
  });
  if (!isLine) return undefined;
  return slope === 0 ? [] : [-zero / slope];
}

/** Where the sign changes or the curve touches zero or breaks, found on a grid that is fine near
 *  zero and coarse far away. @returns undefined where there are too many to be trusted */
function bordersOf(valueAt: (x: number) => Value): number[] | undefined {
  const grid: number[] = [];
  for (let x = -20; x <= 20; x += 0.0625) grid.push(x + 0.0137);
  for (let x = 20.1; x < maxReach; x *= 1.07) grid.push(x, -x);
  grid.sort((a, b) => a - b);
  const signs = grid.map((x) => signOf(valueAt(x)));
  const borders: number[] = [];
  for (let index = 1; index < grid.length; index++) {
    const [low = 0, high = 0] = [grid[index - 1], grid[index]];
    if (signs[index] !== signs[index - 1]) {
      borders.push(snapped(bisected(valueAt, low, high, signs[index - 1] ?? 0), valueAt));
    } else {
      const touch = touchPoint(valueAt, low, high, grid[index + 1]);
      if (touch !== undefined) borders.push(touch);
    }
    if (borders.length > 12) return undefined;
  }
  return [...new Set(borders)];
}

/** NaN is a sign of its own: there the statement is not defined. */
function signOf(value: Value): number {
  return isDefined(value) && isReal(value) ? Math.sign(value.re) : 2;
}

function bisected(valueAt: (x: number) => Value, low: number, high: number, sign: number): number {
  let [a, b] = [low, high];
  for (let step = 0; step < 60; step++) {
    const middle = (a + b) / 2;
    if (signOf(valueAt(middle)) === sign) a = middle;
    else b = middle;
  }
  return (a + b) / 2;
}

/** The bottom of a dip to zero between `low` and the grid point after next: (x - 1)² touches at 1. */
function touchPoint(
  valueAt: (x: number) => Value,
  low: number,
  middle: number,
  high: number | undefined,
): number | undefined {
  if (high === undefined) return undefined;
  const sizeAt = (x: number) => {
    const value = valueAt(x);
    return isDefined(value) ? Math.abs(value.re) : Number.POSITIVE_INFINITY;
  };
  const center = sizeAt(middle);
  if (center > sizeAt(low) || center > sizeAt(high) || center > 1) return undefined;
  let [a, b] = [low, high];
  for (let step = 0; step < 80; step++) {
    const [left, right] = [a + (b - a) / 3, b - (b - a) / 3];
    if (sizeAt(left) < sizeAt(right)) b = right;
    else a = left;
  }
  const bottom = snapped((a + b) / 2, valueAt);
  return sizeAt(bottom) < 1e-12 ? bottom : undefined;
}

/** A simple fraction nearby, where the curve is nearer to zero or undefined there. */
function snapped(x: number, valueAt: (x: number) => Value): number {
  for (let denominator = 1; denominator <= 60; denominator++) {
    const candidate = Math.round(x * denominator) / denominator;
    if (Math.abs(candidate - x) > 1e-6 * Math.max(1, Math.abs(x))) continue;
    const value = valueAt(candidate);
    if (!isDefined(value) || Math.abs(value.re) <= value.error * 4 + 1e-15) return candidate;
  }
  return x;
}

/** Tests every open cell between borders, and every border by itself. */
function cells(
  valueAt: (x: number) => Value,
  borders: readonly number[],
  operator: Operator,
): RealSet {
  const sorted = [...borders].sort((a, b) => a - b);
  const sets: RealSet[] = [];
  for (let index = 0; index <= sorted.length; index++) {
    const low = sorted[index - 1] ?? -Infinity;
    const high = sorted[index] ?? Infinity;
    if (holds(signOf(valueAt(between(low, high))), operator)) {
      sets.push(interval(low, false, high, false));
    }
    if (index < sorted.length && holdsAtBorder(valueAt, high, operator)) sets.push(point(high));
  }
  return union(...sets);
}

/** No round number, where functions often have their gaps. */
function between(low: number, high: number): number {
  if (low === -Infinity && high === Infinity) return 0.637;
  if (low === -Infinity) return high - 1.137 - Math.abs(high) * 0.1;
  if (high === Infinity) return low + 1.137 + Math.abs(low) * 0.1;
  return low + (high - low) * 0.4637;
}

function holdsAtBorder(valueAt: (x: number) => Value, x: number, operator: Operator): boolean {
  const value = valueAt(x);
  // A pole or the edge of the domain: not defined there.
  if (!isDefined(value) || !isReal(value)) return false;
  const isRoot = Math.abs(value.re) <= Math.max(1e-9, 4 * value.error);
  return holds(isRoot ? 0 : Math.sign(value.re), operator);
}

function holds(sign: number, operator: Operator): boolean {
  switch (operator) {
    case '<':
      return sign === -1;
    case '<=':
      return sign === -1 || sign === 0;
    case '>':
      return sign === 1;
    case '>=':
      return sign === 1 || sign === 0;
    case '=':
      return sign === 0;
    case '!=':
      return sign === 1 || sign === -1;
  }
}

/** Same solutions, or the same up to a factor, or the same chain forwards or backwards.
 *  @param tolerance of the endpoints, where decimals were rounded */
export function sameInequality(a: Statement, b: Statement, tolerance: number): Sameness {
  const [left, right] = [pairsOf(a), pairsOf(b)];
  if (!left || !right) return 'unknown';
  if (sameUnknowns(left, right)) {
    const [one, two] = [solutionSet(a), solutionSet(b)];
    if (one && two) return sameSet(one, two, tolerance) ? 'equal' : 'different';
  }
  if (left.length !== right.length) return 'unknown';
  const forwards = allSame(left, right);
  if (forwards === 'equal' || left.length === 1) return forwards;
  const backwards = allSame(left, [...right].reverse().map(turned));
  if (backwards === 'equal') return 'equal';
  return forwards === 'different' && backwards === 'different' ? 'different' : 'unknown';
}

function sameUnknowns(a: readonly Pair[], b: readonly Pair[]): boolean {
  const names = (pairs: readonly Pair[]) =>
    [...new Set(pairs.flatMap(({ left, right }) => [...variablesOf(left), ...variablesOf(right)]))]
      .sort()
      .join(' ');
  return names(a) === names(b);
}

function turned({ left, right, operator }: Pair): Pair {
  return { left: right, right: left, operator: flipped(operator) };
}

function allSame(a: readonly Pair[], b: readonly Pair[]): Sameness {
  let outcome: Sameness = 'equal';
  for (const [index, one] of a.entries()) {
    const other = b[index];
    const same = other ? samePair(one, other) : 'different';
    if (same === 'different') return 'different';
    if (same === 'unknown') outcome = 'unknown';
  }
  return outcome;
}

/** f < 0 and k·f < 0 are the same for k > 0, and f > 0 for k < 0. */
function samePair(a: Pair, b: Pair): Sameness {
  const difference = ({ left, right }: Pair) => call('add', left, call('negate', right));
  const sign = proportion(difference(a), difference(b));
  if (sign === 'different' || sign === 'unknown') return sign;
  return a.operator === (sign === 1 ? b.operator : flipped(b.operator)) ? 'equal' : 'different';
}
