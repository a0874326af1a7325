/** Whether a statement denies what a yes-or-no question asks. */

const negation =
  /\b(?:not|no|isn't|doesn't|aren't|wasn't|weren't|never|neither|none|cannot|can't|false)\b|n't\b/i;

const more = 'more|greater|larger|bigger|higher|longer|taller|wider|older';
const fewer = 'fewer|less|smaller|lower|shorter|younger|narrower';
const comparison = new RegExp(
  String.raw`^(?<left>.*?)\b(?:(?<more>${more})|(?<fewer>${fewer}))\b(?<between>.*?)\bthan\b(?<right>.*)$`,
  'is',
);

/** A comparison of the same two things in another order or direction denies, so does a plain "not". */
export function denies(statement: string, question: string): boolean {
  const isNegative = negation.test(statement);
  const asked = compared(question);
  const stated = compared(statement);
  if (asked && stated && !isNegative) {
    const straight = overlap(asked.first, stated.first) + overlap(asked.second, stated.second);
    const crossed = overlap(asked.first, stated.second) + overlap(asked.second, stated.first);
    if (straight !== crossed) {
      const sameDirection = asked.isMore === stated.isMore;
      return straight > crossed ? !sameDirection : sameDirection;
    }
  }
  return isNegative;
}

interface Compared {
  readonly first: ReadonlySet<string>;
  readonly second: ReadonlySet<string>;
  readonly isMore: boolean;
}

/** "More A than B" and "A is more than B". */
function compared(sentence: string): Compared | null {
  const groups = comparison.exec(sentence.replace(/[?.!]+\s*$/, ''))?.groups;
  if (!groups) return null;
  const between = words(groups.between ?? '');
  const first = between.size > 0 ? between : words(groups.left ?? '');
  return { first, second: words(groups.right ?? ''), isMore: groups.more !== undefined };
}

const fillers = new Set(
  'the a an is are there number of in on that this image picture based than and it has have does do'.split(
    ' ',
  ),
);

function words(text: string): Set<string> {
  const all = text.toLowerCase().match(/\p{L}+/gu) ?? [];
  return new Set(all.filter((one) => !fillers.has(one)).map((one) => one.replace(/(?:es|s)$/, '')));
}

function overlap(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  return [...a].filter((one) => b.has(one)).length;
}
