/** Mathematical expressions as trees. Built by `parseExpression`, valued by `evaluate` and
 *  `exactValue`; never simplified. */
import type { Rational } from '../rational.js';

export type Expression =
  | NumberNode
  | { readonly kind: 'symbol'; readonly name: string }
  | CallNode
  /** A function that nobody defined, as in f(x). */
  | { readonly kind: 'unknown'; readonly name: string; readonly args: readonly Expression[] }
  | RangeNode;

export interface NumberNode {
  readonly kind: 'number';
  readonly exact: Rational;
  readonly approximate: number;
  /** Written with a decimal point or exponent, so possibly rounded. */
  readonly decimal: boolean;
}

/** An operator or a known function: `add`, `power`, `sin`, … (see `functions.ts`). */
export interface CallNode {
  readonly kind: 'call';
  readonly name: string;
  readonly args: readonly Expression[];
}

/** A sum or product over whole numbers. */
export interface RangeNode {
  readonly kind: 'range';
  readonly operator: 'add' | 'multiply';
  readonly index: string;
  readonly from: Expression;
  readonly to: Expression;
  readonly body: Expression;
}

/** Symbols that name a number. */
export const constantNames: ReadonlySet<string> = new Set(['\\pi', 'e', 'i', '\\infty']);

export function call(name: string, ...args: readonly Expression[]): CallNode {
  return { kind: 'call', name, args };
}

export function wholeNumber(value: number): NumberNode {
  const exact = { numerator: BigInt(value), denominator: 1n };
  return { kind: 'number', exact, approximate: value, decimal: false };
}

export function parts(node: Expression): readonly Expression[] {
  if (node.kind === 'call' || node.kind === 'unknown') return node.args;
  return node.kind === 'range' ? [node.from, node.to, node.body] : [];
}

/** Whether any node passes the test. */
export function someNode(node: Expression, test: (node: Expression) => boolean): boolean {
  return test(node) || parts(node).some((part) => someNode(part, test));
}

/** Names of the variables, in order of appearance; the index of a sum is none. */
export function variablesOf(node: Expression): string[] {
  const names = new Set<string>();
  const visit = (one: Expression, bound: readonly string[]): void => {
    if (one.kind === 'symbol') {
      if (!constantNames.has(one.name) && !bound.includes(one.name)) names.add(one.name);
      return;
    }
    const inner = one.kind === 'range' ? [...bound, one.index] : bound;
    for (const part of parts(one)) visit(part, inner);
  };
  visit(node, []);
  return [...names];
}

/** @param names from old name to new one */
export function renamed(node: Expression, names: ReadonlyMap<string, string>): Expression {
  switch (node.kind) {
    case 'number':
      return node;
    case 'symbol':
      return { ...node, name: names.get(node.name) ?? node.name };
    case 'range':
      return {
        ...node,
        from: renamed(node.from, names),
        to: renamed(node.to, names),
        body: renamed(node.body, names),
      };
    default:
      return {
        ...node,
        name: names.get(node.name) ?? node.name,
        args: node.args.map((arg) => renamed(arg, names)),
      };
  }
}
