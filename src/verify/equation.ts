/** Whether two equations say the same: the same up to a factor, with denominators multiplied out. */
import { call, type Expression, wholeNumber } from './expression/ast.js';
import { parseExpression } from './expression/parse.js';
import { proportion, type Sameness } from './expression/sampling.js';
import type { Statement } from './statement.js';

/** `left - right` of an equation of two terms; undefined for chains and what can't be read. */
export function differenceOf({ terms }: Statement): Expression | undefined {
  const [left, right] = terms;
  if (terms.length !== 2 || left === undefined || right === undefined) return undefined;
  const [a, b] = [parseExpression(left), parseExpression(right)];
  return a && b && call('add', a, call('negate', b));
}

export function sameEquation(a: Statement, b: Statement): Sameness {
  const [left, right] = [differenceOf(a), differenceOf(b)];
  if (!left || !right) return 'unknown';
  const direct = proportion(left, right);
  if (direct === 1 || direct === -1) return 'equal';
  const cleared = proportion(fractionOf(left)[0], fractionOf(right)[0]);
  if (cleared === 1 || cleared === -1) return 'equal';
  return direct === 'different' && cleared === 'different' ? 'different' : 'unknown';
}

const one = wholeNumber(1);

/** Numerator and denominator, not reduced. */
function fractionOf(node: Expression): readonly [Expression, Expression] {
  if (node.kind !== 'call') return [node, one];
  const fractions = ['add', 'multiply', 'divide', 'negate'].includes(node.name)
    ? node.args.map(fractionOf)
    : [];
  const [first, second] = fractions;
  if (!first) return [node, one];
  switch (node.name) {
    case 'negate':
      return [call('negate', first[0]), first[1]];
    case 'divide':
      return second ? [product(first[0], second[1]), product(first[1], second[0])] : [node, one];
    case 'multiply':
      return fractions.reduce((a, b) => [product(a[0], b[0]), product(a[1], b[1])]);
    default:
      return fractions.reduce((a, b) => [
        call('add', product(a[0], b[1]), product(b[0], a[1])),
        product(a[1], b[1]),
      ]);
  }
}

function product(a: Expression, b: Expression): Expression {
  if (a === one) return b;
  return b === one ? a : call('multiply', a, b);
}
