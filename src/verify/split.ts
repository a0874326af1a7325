/** 1 where brackets or an environment open at `index`, -1 where they close, else 0. */
export function nestingChange(text: string, index: number): -1 | 0 | 1 {
  switch (text[index]) {
    case '(':
    case '[':
    case '{':
    case '\u2983':
      return 1;
    case ')':
    case ']':
    case '}':
    case '\u2984':
      return -1;
    case '\\':
      if (text.startsWith('\\begin', index)) return 1;
      return text.startsWith('\\end{', index) || text.startsWith('\\end ', index) ? -1 : 0;
    default:
      return 0;
  }
}

/** Splits at commas, semicolons, "and" and "or" that stand outside all brackets. `1,234` stays whole. */
export function splitTop(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  const separator = /;|,(?!\d{3}(?!\d))|,(?=\s)|\b(?:and|or)\b/y;
  for (let index = 0; index < text.length; index++) {
    depth += nestingChange(text, index);
    if (depth !== 0) continue;
    separator.lastIndex = index;
    const found = separator.exec(text);
    if (!found) continue;
    parts.push(text.slice(start, index));
    start = index + found[0].length;
    index = start - 1;
  }
  parts.push(text.slice(start));
  return parts.map((part) => part.trim()).filter((part) => part !== '');
}

/** Splits at every comma too, also between digits: a point (37,333) is no number. */
export function splitCommas(text: string): string[] {
  return splitTop(text.replace(/,(?=\d)/g, ', '));
}
