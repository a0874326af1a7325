/** What the generator knows about the steps of a solution. For measuring reward models only:
 *  labels for training come from final answers alone. */
import type { Step } from '../../search/types.js';
import { type FigmathProblem, generateProblem } from './problem.js';
import { type FigmathSplit, figmathSplits } from './types.js';

export type StepTruthKind = 'reading' | 'arithmetic' | 'answer' | 'other';

export interface StepTruth {
  /** Whether this step and all before it are right; null from a step on that says nothing which
   *  the generator could judge. */
  readonly right: boolean | null;
  readonly kind: StepTruthKind;
}

/** Wordings from which the right calculations are collected; more bring no new ones. */
const WORDINGS = 40;

const ANSWER = /^Answer:/;
const CALCULATION = /(\d+)([-+*])(\d+)=(\d+)/g;
const REMARK = /[Ll]argest[^.]*/;
const READING =
  /\b([A-Z]|width|height|base|left|right|circles|squares|triangles|red|blue|green|orange|purple)=(\d+)/g;

/** A judge of the steps of one problem's solutions. */
export function createStepTruth(problem: FigmathProblem): (steps: readonly Step[]) => StepTruth[] {
  const wordings = Array.from({ length: WORDINGS }, (_, i) => problem.solution(i).join('\n'));
  const calculations = allowedCalculations(wordings);
  const remarks = new Set(wordings.flatMap((text) => REMARK.exec(text)?.[0].toLowerCase() ?? []));
  const readings = new Map(problem.readings.map(({ name, value }) => [name, String(value)]));

  const judge = (step: Step): StepTruth => {
    if (ANSWER.test(step)) return { right: step === `Answer: ${problem.answer}`, kind: 'answer' };
    const computed = [...step.matchAll(CALCULATION)];
    if (computed.length > 0) {
      const right = computed.every(([, a = '', op = '', b = '', c = '']) =>
        calculations.has(canonical(Number(a), op, Number(b), Number(c))),
      );
      return { right, kind: 'arithmetic' };
    }
    const remark = REMARK.exec(step)?.[0];
    if (remark !== undefined) return { right: remarks.has(remark.toLowerCase()), kind: 'reading' };
    const read = [...step.matchAll(READING)];
    if (read.length === 0) return { right: null, kind: 'other' };
    const right = read.every(([, name = '', value]) => readings.get(name) === value);
    return { right, kind: 'reading' };
  };

  return (steps) => {
    let soFar: boolean | null = true;
    return steps.map((step) => {
      const { right, kind } = judge(step);
      // What follows an error stays wrong; what follows the unknown stays unknown.
      if (soFar === true) soFar = right;
      return { right: soFar, kind };
    });
  };
}

/** The problem that a figmath id names, or null for other ids. */
export function problemOfId(id: string): FigmathProblem | null {
  const parts = /^figmath-([a-z]+)-(\d+)-(\d+)$/.exec(id);
  const split = figmathSplits.find((name) => name === parts?.[1]);
  return split
    ? generateProblem(split as FigmathSplit, Number(parts?.[2]), Number(parts?.[3]))
    : null;
}

/** Sums and products in one order of their operands. */
function canonical(a: number, operator: string, b: number, result: number): string {
  const [left, right] = operator === '-' || a <= b ? [a, b] : [b, a];
  return `${left}${operator}${right}=${result}`;
}

/** The calculations of the known wordings, and of a chain of sums every order of adding. */
function allowedCalculations(wordings: readonly string[]): Set<string> {
  const known = new Set<string>();
  const sums = new Map<number, readonly [number, number]>();
  for (const [, a, operator = '', b, c] of wordings.join('\n').matchAll(CALCULATION)) {
    known.add(canonical(Number(a), operator, Number(b), Number(c)));
    if (operator === '+') sums.set(Number(c), [Number(a), Number(b)]);
  }
  const used = new Set([...sums.values()].flat());
  const leaves = (value: number): number[] => sums.get(value)?.flatMap(leaves) ?? [value];
  for (const total of sums.keys()) {
    if (used.has(total)) continue;
    for (const [a, b] of splits(leaves(total))) known.add(canonical(a, '+', b, a + b));
  }
  return known;
}

/** Sums of any two disjoint, non-empty parts of `terms`. */
function splits(terms: readonly number[]): [number, number][] {
  const found: [number, number][] = [];
  const total = 3 ** terms.length;
  for (let code = 1; code < total; code++) {
    const sums = [0, 0, 0];
    const counts = [0, 0, 0];
    let rest = code;
    for (const term of terms) {
      const part = rest % 3;
      sums[part] = (sums[part] ?? 0) + term;
      counts[part] = (counts[part] ?? 0) + 1;
      rest = Math.floor(rest / 3);
    }
    if (counts[1] && counts[2]) found.push([sums[1] ?? 0, sums[2] ?? 0]);
  }
  return found;
}
