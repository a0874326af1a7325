/** Evaluates an expression without variables, such as `3\sqrt{13}`, `\frac{9}{4}\pi` or `2^{10}-1`. */
import { someNode, variablesOf } from './expression/ast.js';
import { isDefined, isReal } from './expression/complex.js';
import { evaluate, evaluation } from './expression/evaluate.js';
import { exactValue } from './expression/exact.js';
import { parseExpression } from './expression/parse.js';
import { type Rational, toNumber } from './rational.js';

/** A real number, exact as long as only rational steps led to it. */
export interface Constant {
  readonly approximate: number;
  readonly exact?: Rational;
}

/** @param text plain notation (see `plainMath`)
 *  @returns undefined where the text holds variables, unknown commands or no finite real value. Never
 *  throws; time bounded by the limits of `parseExpression` */
export function evaluateConstant(text: string): Constant | undefined {
  const node = parseExpression(text);
  if (!node || variablesOf(node).length > 0) return undefined;
  if (someNode(node, ({ kind }) => kind === 'unknown')) return undefined;
  const exact = exactValue(node);
  if (exact) return { approximate: toNumber(exact), exact };
  const value = evaluate(node, evaluation());
  return isDefined(value) && isReal(value) ? { approximate: value.re } : undefined;
}
