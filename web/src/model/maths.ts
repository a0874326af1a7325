/** Finds formulas in texts of models. */

export type MathsPart =
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'formula';
      readonly text: string;
      /** As it was written, with its delimiters. */
      readonly source: string;
      readonly display: boolean;
    };

/** Longer formulas are left as text. */
const MAX_FORMULA = 4_000;

const DELIMITED =
  /\$\$([\s\S]+?)\$\$|\\\[([\s\S]+?)\\\]|\\\(([\s\S]+?)\\\)|(?<![\\$\d])\$(?!\s)((?:\\.|[^$\\\n])+?)(?<!\s)\$(?![\d$])/g;

/** Parts in `$$…$$`, `\[…\]`, `\(…\)` and `$…$`, and bare `\boxed{…}`. A dollar sign before a digit
 *  that has no partner, or with spaces inside, is money. */
export function splitMaths(text: string): MathsPart[] {
  const parts: MathsPart[] = [];
  let at = 0;
  for (const match of text.matchAll(DELIMITED)) {
    const [source, dollars, brackets, parentheses, dollar] = match;
    const formula = dollars ?? brackets ?? parentheses ?? dollar ?? '';
    if (formula.length > MAX_FORMULA) continue;
    parts.push(...boxes(text.slice(at, match.index)));
    const display = dollars !== undefined || brackets !== undefined;
    parts.push({ kind: 'formula', text: formula, source, display });
    at = match.index + source.length;
  }
  parts.push(...boxes(text.slice(at)));
  return parts;
}

/** Models often box their answer without saying that it is a formula. */
function boxes(text: string): MathsPart[] {
  const parts: MathsPart[] = [];
  let at = 0;
  for (let start = text.indexOf('\\boxed{'); start >= 0; start = text.indexOf('\\boxed{', at)) {
    const end = closingBrace(text, start + '\\boxed'.length);
    if (end === null) break;
    if (start > at) parts.push({ kind: 'text', text: text.slice(at, start) });
    const source = text.slice(start, end + 1);
    parts.push({ kind: 'formula', text: source, source, display: false });
    at = end + 1;
  }
  if (at < text.length) parts.push({ kind: 'text', text: text.slice(at) });
  return parts;
}

function closingBrace(text: string, open: number): number | null {
  let depth = 0;
  for (let i = open; i < text.length && i - open < MAX_FORMULA; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '{') depth++;
    else if (text[i] === '}' && --depth === 0) return i;
  }
  return null;
}

/** One line for the canvas: delimiters away, the commonest commands as signs. */
export function plainLine(text: string): string {
  return text
    .replace(/\\boxed\{([^{}]*)\}/g, '[$1]')
    .replace(/\\(?:dfrac|tfrac|frac)\{([^{}]*)\}\{([^{}]*)\}/g, '$1/$2')
    .replace(/\\sqrt\{([^{}]*)\}/g, '√($1)')
    .replace(/\\(?:text|mathrm|mathbf|textbf)\{([^{}]*)\}/g, '$1')
    .replace(/\\([a-zA-Z]+)/g, (whole, name: string) => SIGNS[name] ?? whole)
    .replace(/\\[()[\]]|\$+/g, '')
    .replace(/\s+/g, ' ')
    .trim();
}

const SIGNS: Readonly<Record<string, string>> = {
  times: '×',
  cdot: '·',
  div: '÷',
  pm: '±',
  leq: '≤',
  le: '≤',
  geq: '≥',
  ge: '≥',
  neq: '≠',
  approx: '≈',
  pi: 'π',
  theta: 'θ',
  alpha: 'α',
  beta: 'β',
  angle: '∠',
  triangle: '△',
  circ: '°',
  sqrt: '√',
  left: '',
  right: '',
  quad: ' ',
  Rightarrow: '⇒',
  rightarrow: '→',
  to: '→',
  infty: '∞',
};
