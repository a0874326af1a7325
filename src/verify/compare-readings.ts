/** Compares what two answers can mean. */
import { compareCollections } from './compare-collections.js';
import { sameNumber } from './compare-numbers.js';
import { sameEquation } from './equation.js';
import { type Expression, renamed, someNode, variablesOf } from './expression/ast.js';
import { type Sameness, sameExpression, type Tolerance } from './expression/sampling.js';
import { sameInequality } from './inequality.js';
import type { NumberReading } from './number.js';
import type { AssignmentReading, Reading } from './reading.js';
import { sameSet } from './real-set.js';
import type { Rules } from './rules.js';
import { asRealSet, isSetLike } from './set-like.js';

/** Equal if any two readings are; unknown if none is but some pair can't be decided. */
export function compareReadings(
  gold: readonly Reading[],
  predicted: readonly Reading[],
  rules: Rules,
): Sameness {
  let outcome: Sameness = 'different';
  for (const left of gold) {
    for (const right of predicted) {
      const one = compareReading(left, right, rules);
      if (one === 'equal') return 'equal';
      if (one === 'unknown') outcome = 'unknown';
    }
  }
  return outcome;
}

function compareReading(gold: Reading, predicted: Reading, rules: Rules): Sameness {
  const same = compareByKind(gold, predicted, rules);
  if (same === 'equal' && isJoinedOtherwise(gold, predicted)) return 'different';
  // Inequalities in other unknowns have the same solutions and say something else.
  const bothRelations = gold.kind === 'relation' && predicted.kind === 'relation';
  if (same === 'equal' || bothRelations) return same;
  if (!isSetLike(gold) && !isSetLike(predicted)) return same;
  return compareAsRealSets(gold, predicted, rules) ?? same;
}

/** "x > 1 and x < 5" is not "x > 1 or x < 5". Where "and" would leave nothing, "or" was meant. */
function isJoinedOtherwise(gold: Reading, predicted: Reading): boolean {
  if (!isListOfRelations(gold) || !isListOfRelations(predicted)) return false;
  const [left, right] = [asRealSet(gold)[0], asRealSet(predicted)[0]];
  return Boolean(left?.length && right?.length && !sameSet(left, right, 1e-3));
}

function compareByKind(gold: Reading, predicted: Reading, rules: Rules): Sameness {
  if (gold.kind === 'assignment' || predicted.kind === 'assignment') {
    return compareAssigned(gold, predicted, rules);
  }
  if (gold.kind === 'number' && predicted.kind === 'number') {
    return verdict(sameNumber(gold, predicted, rules));
  }
  if (gold.kind === 'collection' && predicted.kind === 'collection') {
    return compareCollections(gold, predicted, rules, compareReadings);
  }
  if (gold.kind === 'letter' && predicted.kind === 'letter') {
    if (rules.strict === false) return 'equal';
    return verdict(
      rules.strict ? gold.written === predicted.written : gold.letter === predicted.letter,
    );
  }
  if (gold.kind === 'text' && predicted.kind === 'text') {
    return compareWords(gold.folded, predicted.folded);
  }
  if (gold.kind === 'domain' && predicted.kind === 'domain') {
    return verdict(gold.name === predicted.name);
  }
  if (gold.kind === 'congruence' && predicted.kind === 'congruence') {
    const { name, residue, modulus } = predicted;
    return verdict(gold.name === name && gold.residue === residue && gold.modulus === modulus);
  }
  if (gold.kind === 'ratio' && predicted.kind === 'ratio') {
    return verdict(sameRatio(gold.terms, predicted.terms));
  }
  if (gold.kind === 'equation' && predicted.kind === 'equation') {
    return sameEquation(gold.statement, predicted.statement);
  }
  if (gold.kind === 'relation' && predicted.kind === 'relation') {
    return sameInequality(gold.statement, predicted.statement, endpointTolerance(rules));
  }
  if (gold.kind === 'collection' && gold.open === '{' && gold.items.length === 1) {
    return compareReadings(gold.items[0] ?? [], [predicted], rules);
  }
  if (predicted.kind === 'collection' && predicted.open === '{' && predicted.items.length === 1) {
    return compareReadings([gold], predicted.items[0] ?? [], rules);
  }
  if (
    gold.kind === 'symbolic' &&
    predicted.kind === 'symbolic' &&
    gold.normal === predicted.normal
  ) {
    return 'equal';
  }
  return compareAsExpressions(gold, predicted, rules);
}

function verdict(same: boolean): Sameness {
  return same ? 'equal' : 'different';
}

function sameRatio(a: readonly number[], b: readonly number[]): boolean {
  const factor = (a[0] ?? 0) / (b[0] ?? 0);
  return (
    a.length === b.length &&
    a.every((term, index) => Math.abs(term - factor * (b[index] ?? 0)) <= 1e-11 * Math.abs(term))
  );
}

function compareWords(gold: string, predicted: string): Sameness {
  if (gold === predicted) return 'equal';
  // "Yes, because …" answers a yes/no question.
  const [first, ...rest] = predicted.split(' ');
  const other = gold === 'yes' ? 'no' : 'yes';
  const answersYesNo = /^(?:yes|no)$/.test(gold) && first === gold && !rest.includes(other);
  return verdict(answersYesNo);
}

/** A value equals its value with a name. Two names must be one if both are single letters; an equation
 *  that is not solved for the letter answers a gold value only if the gold answer is a curve. */
function compareAssigned(gold: Reading, predicted: Reading, rules: Rules): Sameness {
  if (gold.kind === 'assignment' && predicted.kind === 'assignment') {
    return compareAssignments(gold, predicted, rules);
  }
  if (gold.kind === 'assignment') {
    if (predicted.kind !== 'equation') return compareReadings(gold.value, [predicted], rules);
    return isSolved(gold) ? 'different' : sameEquation(gold.statement, predicted.statement);
  }
  if (predicted.kind !== 'assignment') return 'different';
  if (gold.kind !== 'equation') return compareReadings([gold], predicted.value, rules);
  return sameEquation(gold.statement, predicted.statement);
}

function compareAssignments(
  gold: AssignmentReading,
  predicted: AssignmentReading,
  rules: Rules,
): Sameness {
  const [a, b] = [gold.name, predicted.name];
  const namesDiffer = a.isLetter && b.isLetter && a.text !== b.text && rules.strict !== false;
  if (!namesDiffer) {
    const value = withArgument(predicted.value, b.argument, a.argument);
    const same = compareReadings(gold.value, value, rules);
    if (same !== 'different') return same;
  }
  if (isSolved(gold) || isSolved(predicted)) return 'different';
  // y = x - 1 and x = y + 1 are one line.
  return sameEquation(gold.statement, predicted.statement);
}

/** x = 3, as against curves such as xy = 3. */
function isSolved({ name, value }: AssignmentReading): boolean {
  if (!name.isLetter) return false;
  return value.every((one) => one.kind === 'number' || one.kind === 'collection');
}

/** f(t) = t² is f(x) = x². */
function withArgument(
  value: readonly Reading[],
  from: string | undefined,
  to: string | undefined,
): readonly Reading[] {
  if (from === undefined || to === undefined || from === to) return value;
  const names = new Map([[from, to]]);
  return value.map((one): Reading => {
    const node = expressionOf(one);
    return node && variablesOf(node).includes(from)
      ? { kind: 'symbolic', text: '', normal: '', expression: () => renamed(node, names) }
      : one;
  });
}

function expressionOf(reading: Reading): Expression | undefined {
  switch (reading.kind) {
    case 'symbolic':
      return reading.expression();
    case 'letter':
      return { kind: 'symbol', name: reading.written };
    case 'number':
      return numberExpression(reading);
    default:
      return undefined;
  }
}

function numberExpression({ exact, approximate, decimal }: NumberReading): Expression | undefined {
  if (!Number.isFinite(approximate)) return undefined;
  const rational = exact ?? { numerator: 0n, denominator: 1n };
  return { kind: 'number', exact: rational, approximate, decimal };
}

/** Numbers, letters and expressions by sampling; unknown where one of them is beyond the parser. */
function compareAsExpressions(gold: Reading, predicted: Reading, rules: Rules): Sameness {
  const kinds = [gold.kind, predicted.kind];
  const open = kinds.includes('symbolic');
  if (!open || kinds.includes('text')) return 'different';
  const [left, right] = [expressionOf(gold), expressionOf(predicted)];
  if (!left || !right) return compareUnread(gold, predicted);
  const named = rules.strict === false ? matchedByPosition(left, right) : right;
  return sameExpression(left, named, expressionTolerance(left, named, rules));
}

/** What is mathematics beyond the parser may be anything. What is none, such as `-[0,1)` or
 *  `AB \perp CD`, is compared as a text. */
function compareUnread(gold: Reading, predicted: Reading): Sameness {
  const unread = [gold, predicted].filter(
    (reading) => reading.kind === 'symbolic' && reading.expression() === undefined,
  );
  const beyond = unread.some(
    (reading) => reading.kind === 'symbolic' && mayHoldValue(reading.text),
  );
  return beyond ? 'unknown' : 'different';
}

const calculus =
  /\\(?:int|iint|oint|lim|sum|prod|partial|det|begin|sup|inf|arg|bigcup)(?![a-z])|\\frac\{?d|\^.*\^.*\^/;

/** Calculus and towers of powers, or longer or deeper than the parser goes. */
function mayHoldValue(text: string): boolean {
  if (text.length > 400 || calculus.test(text)) return true;
  let depth = 0;
  for (const character of text) {
    if (/[([{]/.test(character)) depth++;
    else if (/[)\]}]/.test(character)) depth--;
    if (depth > 20) return true;
  }
  return false;
}

function matchedByPosition(gold: Expression, predicted: Expression): Expression {
  const [to, from] = [variablesOf(gold), variablesOf(predicted)];
  if (to.length !== from.length) return predicted;
  return renamed(predicted, new Map(from.map((name, index) => [name, to[index] ?? name])));
}

/** Decimals may be rounded; all else must agree as far as doubles do. */
function expressionTolerance(a: Expression, b: Expression, rules: Rules): Tolerance | undefined {
  const isDecimal = (node: Expression) => node.kind === 'number' && node.decimal;
  if (!someNode(a, isDecimal) && !someNode(b, isDecimal)) return undefined;
  return rules.precision === undefined
    ? { relative: 1e-6, absolute: 0 }
    : { relative: 1e-9, absolute: 0.5 * 10 ** -rules.precision };
}

function endpointTolerance({ precision }: Rules): number {
  return precision === undefined ? 0 : 0.5 * 10 ** -precision;
}

/** @returns undefined where one of them is no set of real numbers */
function compareAsRealSets(gold: Reading, predicted: Reading, rules: Rules): Sameness | undefined {
  const [left, right] = [asRealSet(gold), asRealSet(predicted)];
  if (left.length === 0 || right.length === 0) return undefined;
  const isRelation = (reading: Reading) =>
    reading.kind === 'relation' || isListOfRelations(reading);
  const isRefused = !rules.allowSetRelation && !isRelation(gold) && isRelation(predicted);
  if (isRefused) return 'different';
  const tolerance = endpointTolerance(rules);
  return verdict(left.some((a) => right.some((b) => sameSet(a, b, tolerance))));
}

function isListOfRelations(reading: Reading): boolean {
  return (
    reading.kind === 'collection' &&
    reading.open === '' &&
    reading.items.some((item) => item.some((one) => one.kind === 'relation'))
  );
}
