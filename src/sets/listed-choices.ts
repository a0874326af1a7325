/** Choices that stand in the text of a question: "A: 30°", "(B) 45°" or "C. 60°", one a line or in a
 *  row, from A on without a gap. Empty where there are fewer than two. */
export function listedChoices(question: string): string[] {
  const marks = [...question.matchAll(/(?:^|[\s;,])\(?([A-J])\s?[:.)]\s*/g)];
  for (let from = marks.length - 1; from >= 0; from--) {
    if (marks[from]?.[1] !== 'A') continue;
    const run: RegExpExecArray[] = [];
    for (let at = from; marks[at]?.[1] === String.fromCharCode(65 + at - from); at++) {
      run.push(marks[at] as RegExpExecArray);
    }
    if (run.length < 2) continue;
    return run.map((mark, index) => {
      const start = mark.index + mark[0].length;
      const end = run[index + 1]?.index ?? question.length;
      return (question.slice(start, end).split('\n', 1)[0] ?? '').replace(/[;,]\s*$/, '').trim();
    });
  }
  return [];
}
