/** Tells what only names a value (`x`, `f(x)`, `|AB|`, `\angle ABC`, `(p,q,r)`) from what computes. */
import { type Expression, someNode, variablesOf } from './expression/ast.js';
import { parseExpression } from './expression/parse.js';

export interface ValueName {
  readonly text: string;
  /** A single letter, with an index perhaps: two of these that differ name two things. */
  readonly isLetter: boolean;
  /** The x of f(x). */
  readonly argument?: string;
  /** Of a tuple of names. */
  readonly members?: readonly string[];
}

const letter = /^(?:[A-Za-z]|\\[a-zA-Z]+)(?:_\{?\w+\}?)?'*$/;

/** Whether the left side of an equation only names the right one. `a + 3z` computes: it makes the
 *  equation an answer of its own. @param text plain notation */
export function readName(text: string): ValueName | undefined {
  const name = text
    .trim()
    .replace(/^(?:hence|thus|so|then|therefore|and|we have|m(?=\\angle))\s*,?\s*/i, '');
  if (name === '' || name.length > 60) return undefined;
  if (name === '\\pi') return undefined;
  if (letter.test(name)) return { text: name.replace(/[{}]/g, ''), isLetter: true };
  const applied = /^([A-Za-z](?:_\{?\w+\}?)?'*(?:\^\{-1\})?)\s*\(\s*([A-Za-z])\s*\)$/.exec(name);
  if (applied?.[1] && applied[2]) {
    return { text: applied[1], isLetter: false, argument: applied[2] };
  }
  const tuple = /^\(((?:[^(),]+,)+[^(),]+)\)$/
    .exec(name)?.[1]
    ?.split(',')
    .map((one) => one.trim());
  if (tuple?.every((one) => letter.test(one))) {
    return { text: name.replace(/\s/g, ''), isLetter: false, members: tuple };
  }
  if (/^[|]?\s*[A-Za-z]+(?:\s*:\s*[A-Za-z]+)*\s*[|]?$/.test(name))
    return { text: name, isLetter: false };
  // Words, as in "Area of the triangle".
  if (/^[A-Za-z]{3,}(?:[ -][A-Za-z]+)*(?:\s*\([A-Za-z ]+\))?$/.test(name)) {
    return { text: name, isLetter: false };
  }
  const node = parseExpression(name);
  // f(2) names a value, whatever is in the brackets.
  if (node?.kind === 'unknown') return { text: name, isLetter: false };
  return node && isPureName(node) ? { text: name, isLetter: false } : undefined;
}

/** Letters only, no numbers and powers: NO/BO, a + b, sin θ. Sums of coordinates are curves. */
function isPureName(node: Expression): boolean {
  const computes = someNode(
    node,
    (one) => one.kind === 'number' || (one.kind === 'call' && one.name === 'power'),
  );
  if (computes) return false;
  const isCurve = variablesOf(node).some((name) => /^[xyz]$/.test(name));
  const adds = someNode(node, (one) => one.kind === 'call' && one.name === 'add');
  return !(isCurve && adds);
}
