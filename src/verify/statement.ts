/** Splits equations, inequalities and chains of them (`0 < x \le 1`) into their terms. */

export type Operator = '=' | '!=' | '<' | '<=' | '>' | '>=';

/** `terms[i] operators[i] terms[i + 1]`; at least one operator. */
export interface Statement {
  readonly terms: readonly string[];
  readonly operators: readonly Operator[];
}

/** @param text plain notation (see `plainMath`)
 *  @returns undefined without an operator outside all brackets, or where a term is missing */
export function readStatement(text: string): Statement | undefined {
  if (!/[=<>]/.test(text)) return undefined;
  const terms: string[] = [];
  const operators: Operator[] = [];
  let depth = 0;
  let start = 0;
  const operator = /<=|>=|!=|==|=|<|>/y;
  for (let index = 0; index < text.length; index++) {
    const character = text[index] ?? '';
    if (/[([{\u2983]/.test(character)) depth++;
    else if (/[)\]}\u2984]/.test(character)) depth--;
    if (depth !== 0) continue;
    operator.lastIndex = index;
    const found = operator.exec(text)?.[0];
    if (found === undefined) continue;
    terms.push(text.slice(start, index).trim());
    operators.push(found === '==' ? '=' : (found as Operator));
    start = index + found.length;
    index = start - 1;
  }
  terms.push(text.slice(start).trim());
  if (operators.length === 0 || operators.length > 20 || terms.includes('')) return undefined;
  return { terms, operators };
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
