/** When two numbers of answers are the same. */
import type { NumberReading } from './number.js';
import { sameRational, withinHalfUnit } from './rational.js';
import type { Rules } from './rules.js';

/** Relative difference that writing a decimal may cause, where no precision is asked for. */
const decimalTolerance = 1e-6;
/** Relative error of evaluating an expression such as \sqrt{117} in doubles. */
const evaluationTolerance = 1e-11;

/** A percentage agrees with its number and with its share; units must be of one dimension where both
 *  name one; 3:30 may be a time and then equals no ratio but itself; 20-29 may be a range. */
export function sameNumber(gold: NumberReading, predicted: NumberReading, rules: Rules): boolean {
  const { precision } = rules;
  if (gold.base !== predicted.base && (gold.base === undefined || predicted.base === undefined)) {
    return false;
  }
  if (!sameRatioKind(gold, predicted) || !compatibleUnits(gold, predicted)) return false;
  const asChain = sameChain(gold, predicted);
  if (asChain !== undefined) return asChain;
  if (gold.percent === predicted.percent) {
    return sameValue(gold, predicted, unitRatio(gold, predicted), precision);
  }
  const [percent, plain] = gold.percent ? [gold, predicted] : [predicted, gold];
  const asFraction = sameValue(percent, plain, 0.01, precision);
  // A gold answer up to 1 is a share: "0.28" is not met by "0.28 %".
  const asWritten = gold.percent || Math.abs(gold.approximate) > 1;
  return asFraction || (asWritten && sameValue(percent, plain, 1, precision));
}

/** 20-29 is 20-29 and 20 to 29, but neither 30-39 nor -9. @returns undefined where values decide, as
 *  they do on 10-3 beside 7 */
function sameChain(a: NumberReading, b: NumberReading): boolean | undefined {
  if (a.ratio && b.ratio) return undefined;
  if (a.chain && b.chain) return a.chain.join() === b.chain.join();
  return isDifference(a) && isDifference(b) ? undefined : false;
}

function isDifference({ chain, ratio }: NumberReading): boolean {
  if (!chain || ratio) return true;
  const [first = 0, second = 0] = chain;
  return chain.length === 2 && first >= second;
}

/** What may be a time of day is a ratio only beside one that can't be. */
function sameRatioKind(a: NumberReading, b: NumberReading): boolean {
  if (a.ratio !== 'clock' && b.ratio !== 'clock') return true;
  // 3:30 and 03:30, which is no 1:10.
  if (a.ratio === b.ratio) return a.chain?.join() === b.chain?.join();
  return a.ratio === 'ratio' || b.ratio === 'ratio';
}

/** A unit on one side only is taken for the unit of both. */
function compatibleUnits(a: NumberReading, b: NumberReading): boolean {
  if (a.direction && b.direction && a.direction !== b.direction) return false;
  const [one, other] = [dimensionOf(a), dimensionOf(b)];
  if (!one || !other || one === other) return true;
  const pair = `${one} ${other}`;
  return /\bcount\b/.test(pair) || loosePairs.has(pair) || loosePairs.has(`${other} ${one}`);
}

/** 25° may be a temperature. */
const loosePairs = new Set(['angle radian', 'angle temperature', 'angle fahrenheit']);

function dimensionOf({ unit, percent }: NumberReading): string | undefined {
  return unit?.dimension ?? (percent ? 'percent' : undefined);
}

/** Factor that turns the gold unit into the predicted one; 1 unless both name the same dimension.
 *  Beside degrees a multiple of π is in radians: 90° is π/2. */
function unitRatio(gold: NumberReading, predicted: NumberReading): number {
  if (isDegrees(gold) && isRadians(predicted)) return Math.PI / 180;
  if (isRadians(gold) && isDegrees(predicted)) return 180 / Math.PI;
  if (!gold.unit || !predicted.unit || gold.unit.dimension !== predicted.unit.dimension) return 1;
  return gold.unit.factor / predicted.unit.factor;
}

function isDegrees({ unit }: NumberReading): boolean {
  return unit?.dimension === 'angle';
}

function isRadians({ unit, isOfPi }: NumberReading): boolean {
  return unit?.dimension === 'radian' || isOfPi === true;
}

/** Whether a·ratio = b. */
function sameValue(
  a: NumberReading,
  b: NumberReading,
  ratio: number,
  precision: number | undefined,
): boolean {
  if (Math.abs(a.approximate) === Infinity && !a.exact)
    return a.approximate === b.approximate && !b.exact;
  const rounded = a.decimal || b.decimal;
  if (ratio === 1 && a.exact && b.exact) {
    if (sameRational(a.exact, b.exact)) return true;
    if (!rounded) return false;
    if (precision !== undefined) return withinHalfUnit(a.exact, b.exact, precision);
  }
  const left = a.approximate * ratio;
  const right = b.approximate;
  const size = Math.max(Math.abs(left), Math.abs(right));
  if (size === Infinity) return false;
  const difference = Math.abs(left - right);
  if (difference <= size * evaluationTolerance) return true;
  if (!rounded) return false;
  if (precision !== undefined) return difference <= 0.5 * 10 ** -precision * (1 + 1e-9);
  return difference <= size * decimalTolerance;
}
