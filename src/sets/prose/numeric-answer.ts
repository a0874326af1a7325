/** The number that a solution in prose gives as its answer. */
import { type StatedNumber, statedNumbers } from './number.js';
import { conclusion, isRefusal, plainProse, sentences } from './text.js';

const announced =
  /\b(?:final\s+|correct\s+|best\s+|my\s+|integer\s+)?answers?\b(?:[^.:=\n\d]{0,60}?)(?:\bis\b|\bare\b|\bshould be\b|\bwould be\b|=|:)\s*:?|(?:^|\n)\s*####|答案(?:是|为)?\s*[::]?/gi;

/** @param question its numbers are the less likely answers
 *  @returns null where the solution states none or declines to */
export function numericAnswer(response: string, question: string): string | null {
  const text = plainProse(response);
  const box = [...text.matchAll(/\\boxed\s*\{([^{}]{0,500})\}/g)].at(-1)?.[1];
  const boxed = box === undefined ? undefined : lastOf(statedNumbers(box));
  if (boxed) return boxed.text;
  const marked = afterMark(text);
  if (marked) return marked.text;
  const all = sentences(text);
  const given = new Set(statedNumbers(question).map(({ value }) => value));
  const final = concluding(all, given);
  return final === null ? null : final.text;
}

function afterMark(text: string): StatedNumber | undefined {
  for (const mark of [...text.matchAll(announced)].reverse()) {
    const start = mark.index + mark[0].length;
    const rest = text.slice(start, start + 2_000).replace(/^\s+/, '');
    const [clause = ''] = sentences(rest);
    if (isRefusal(clause)) continue;
    const found = best(clause, new Set(), true);
    if (found) return found;
  }
  return undefined;
}

function concluding(all: readonly string[], given: ReadonlySet<number>): StatedNumber | null {
  const holding = all.filter((one) => statedNumbers(one).length > 0 && !isRefusal(one));
  const refused = all.some((one) => isRefusal(one));
  const last = all.at(-1) ?? '';
  if (refused && (isRefusal(last) || holding.length === 0)) return null;
  const [first = ''] = all;
  if (refused && isRefusal(first) && !holding.some((one) => conclusion.test(one))) return null;
  const conclusions = holding.filter((one) => conclusion.test(one));
  const chosen = conclusions.at(-1) ?? firstOrLast(holding, given);
  return chosen === undefined ? null : (best(chosen, given, false) ?? null);
}

/** Without a conclusion: the first sentence, if it states a new number as a fact; what follows explains
 *  it then. Else the last sentence with a number. */
function firstOrLast(holding: readonly string[], given: ReadonlySet<number>): string | undefined {
  const [first] = holding;
  if (first === undefined) return undefined;
  const states = statedNumbers(first).some(
    ({ value, start }) => !given.has(value) && copula.test(first.slice(0, start)),
  );
  const computes = holding.some((one) => /[=≈]/.test(one));
  return states && !computes ? first : holding.at(-1);
}

const copula =
  /(?:=|≈|\\approx|\b(?:is|are|was|were|be|equals?|of|about|approximately|around|roughly|only|exactly|total|there are|there is|has|have|had|contain(?:s|ing)?|gives?(?: us)?|leaves|leaving|to|by|at|in))\s*(?:equal to\s*|about\s*|approximately\s*|around\s*|only\s*|exactly\s*|roughly\s*|therefore\s*|still\s*|a total of\s*)?(?:\\?\$|[€£("'])*\s*$/i;

/** The likeliest number of a clause. @param first whether the clause follows a mark: its first number
 *  answers then, unless it is computed on */
function best(
  clause: string,
  given: ReadonlySet<number>,
  first: boolean,
): StatedNumber | undefined {
  const numbers = statedNumbers(clause);
  if (numbers.length <= 1) return numbers[0];
  if (first) {
    const equals = Math.max(clause.lastIndexOf('='), clause.lastIndexOf('≈'));
    return numbers.find(({ start }) => start > equals) ?? numbers[0];
  }
  let winner = numbers[0];
  let most = Number.NEGATIVE_INFINITY;
  numbers.forEach((one, index) => {
    const before = clause.slice(0, one.start);
    const points =
      (given.has(one.value) ? -3 : 0) +
      (copula.test(before) ? 2 : 0) +
      (/(?:=|≈|\b(?:is|are|was|were|be|equals?)\s+(?:\w+\s+){0,3})$/i.test(before) ? 1 : 0) +
      (one.isWord ? -0.5 : 0) +
      (/^\s*[+×*/÷=]|^\s*[-−]\s*\d/.test(clause.slice(one.end)) ? -2 : 0) +
      index / numbers.length;
    if (points >= most) {
      most = points;
      winner = one;
    }
  });
  return winner;
}

function lastOf<T>(items: readonly T[]): T | undefined {
  return items.at(-1);
}
