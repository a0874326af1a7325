/** Reads sets of real numbers: intervals, unions, differences, set builders, ℝ and ∅. */
import { solutionSet } from './inequality.js';
import { setClose, setOpen } from './latex.js';
import { readNumbers } from './number.js';
import {
  allReals,
  complement,
  emptySet,
  intersection,
  interval,
  point,
  type RealSet,
  union,
} from './real-set.js';
import { splitTop } from './split.js';
import { readStatement } from './statement.js';

const named: readonly (readonly [RegExp, RealSet])[] = [
  [/^(?:ℝ|(?:the\s+)?(?:set\s+of\s+)?(?:all\s+)?reals?(?:\s+numbers?)?)$/i, allReals],
  [
    /^ℝ\s*(?:\^\s*\{?\s*\+\s*\}?|_\s*\{?\s*(?:\+|>\s*0)\s*\}?)$/,
    interval(0, false, Infinity, false),
  ],
  [
    /^(?:∅|(?:the\s+)?empty\s+set|(?:there\s+(?:is|are)\s+)?no\s+(?:real\s+)?(?:solutions?|roots?)(?:\s+exists?)?)$/i,
    emptySet,
  ],
];

/** @param text plain notation (see `plainMath`)
 *  @returns undefined for what is no set, and for sets of anything but real numbers */
export function readSet(text: string): RealSet | undefined {
  const operation = /\\(?:cup|cap|setminus|backslash)(?![a-zA-Z])|∖|(?<=ℝ\s*)-(?=\s*\u2983)/g;
  const operators = topLevel(text, operation);
  if (operators.length > 40) return undefined;
  let set: RealSet | undefined;
  let start = 0;
  let pending = '';
  for (const found of [...operators, { index: text.length, text: '' }]) {
    const term = readTerm(text.slice(start, found.index).trim());
    if (!term) return undefined;
    if (!set) set = term;
    else if (pending === '\\cup') set = union(set, term);
    else set = intersection(set, pending === '\\cap' ? term : complement(term));
    pending = found.text;
    start = found.index + found.text.length;
  }
  return set;
}

function topLevel(text: string, pattern: RegExp): { index: number; text: string }[] {
  const found = [...text.matchAll(pattern)];
  if (found.length === 0) return [];
  const depths: number[] = [];
  let depth = 0;
  for (const character of text) {
    if (/[([{\u2983]/.test(character)) depth++;
    else if (/[)\]}\u2984]/.test(character)) depth--;
    for (let unit = 0; unit < character.length; unit++) depths.push(depth);
  }
  return found
    .filter((one) => depths[one.index] === 0)
    .map((one) => ({ index: one.index, text: one[0] }));
}

function readTerm(text: string): RealSet | undefined {
  const known = named.find(([pattern]) => pattern.test(text));
  if (known) return known[1];
  const [open, close] = [text[0], text.at(-1)];
  const inner = text.slice(1, -1).trim();
  if (open === setOpen && close === setClose) return readBuilder(inner) ?? readFinite(inner);
  if ((open === '(' || open === '[') && (close === ')' || close === ']')) {
    return (
      readInterval(inner, open === '[', close === ']') ??
      (open === '(' ? readSet(inner) : undefined)
    );
  }
  return readCondition(text);
}

function readInterval(inner: string, lowClosed: boolean, highClosed: boolean): RealSet | undefined {
  const ends = splitTop(inner);
  const [low, high] = ends.map((end) => readNumbers(end)[0]?.approximate);
  if (ends.length !== 2 || low === undefined || high === undefined || low > high) return undefined;
  return interval(low, lowClosed, high, highClosed);
}

function readFinite(inner: string): RealSet | undefined {
  if (inner === '') return emptySet;
  const values = splitTop(inner).map((item) => readNumbers(item)[0]?.approximate);
  return values.every((value) => value !== undefined) ? union(...values.map(point)) : undefined;
}

/** `x ∈ ℝ | x ≠ 0` */
function readBuilder(inner: string): RealSet | undefined {
  const parts = /^([A-Za-z])\s*(?:\\in\s*(ℝ))?\s*[|:]\s*(.+)$/s.exec(inner);
  return parts?.[3] === undefined ? undefined : readCondition(parts[3]);
}

/** One or several conditions on one unknown; "or" unites them, all else intersects. */
export function readCondition(text: string): RealSet | undefined {
  const alternatives = text.split(/\bor\b/);
  const sets = alternatives.map((alternative) => {
    const conditions = splitTop(alternative).map(conditionSet);
    return conditions.length > 0 && conditions.every((set) => set !== undefined)
      ? conditions.reduce(intersection)
      : undefined;
  });
  return sets.every((set) => set !== undefined) ? union(...sets) : undefined;
}

function conditionSet(text: string): RealSet | undefined {
  const membership = /^[A-Za-z]\s*\\in(?![a-zA-Z])\s*(.+)$/s.exec(text)?.[1];
  if (membership !== undefined) return readSet(membership.trim());
  const statement = readStatement(text);
  return statement && solutionSet(statement);
}
