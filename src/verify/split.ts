/** Splits at commas, semicolons, "and" and "or" that stand outside all brackets. `1,234` stays whole. */
export function splitTop(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  const separator = /;|,(?!\d{3}(?!\d))|,(?=\s)|\b(?:and|or)\b/y;
  for (let index = 0; index < text.length; index++) {
    const character = text[index] ?? '';
    if (/[([{\u2983]/.test(character)) depth++;
    else if (/[)\]}\u2984]/.test(character)) depth--;
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
