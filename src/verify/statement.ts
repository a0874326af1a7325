/** Splits equations, inequalities and chains of them (`0 < x \le 1`) into their terms. */
import { nestingChange } from './split.js';

export type Operator = '=' | '!=' | '<' | '<=' | '>' | '>=';

/** `terms[i] operators[i] terms[i + 1]`; at least one operator. */
export interface Statement {
  readonly terms: readonly string[];
  readonly operators: readonly Operator[];
  /** The last operator is ≈: the last term is a rounded form of the one before. */
  readonly isRounded: boolean;
}

/** @param text plain notation (see `plainMath`)
 *  @returns undefined without an operator outside all brackets, or where a term is missing */
export function readStatement(text: string): Statement | undefined {
  if (!/[=<>≈]/.test(text)) return undefined;
  const terms: string[] = [];
  const operators: Operator[] = [];
  let depth = 0;
  let isRounded = false;
  let start = 0;
  const operator = /<=|>=|!=|==|=|≈|<|>/y;
  for (let index = 0; index < text.length; index++) {
    depth += nestingChange(text, index);
    if (depth !== 0) continue;
    operator.lastIndex = index;
    const found = operator.exec(text)?.[0];
    if (found === undefined) continue;
    terms.push(text.slice(start, index).trim());
    operators.push(found === '==' || found === '≈' ? '=' : (found as Operator));
    isRounded = found === '≈';
    start = index + found.length;
    index = start - 1;
  }
  terms.push(text.slice(start).trim());
  if (operators.length === 0 || operators.length > 20 || terms.includes('')) return undefined;
  return { terms, operators, isRounded };
}

export function isEquation({ operators }: Statement): boolean {
  return operators.every((operator) => operator === '=');
}

const flips: Readonly<Record<Operator, Operator>> = {
  '=': '=',
  '!=': '!=',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
};

export function flipped(operator: Operator): Operator {
  return flips[operator];
}
