/** Brings an answer as people and models write it (LaTeX, Markdown, Unicode) to one plain notation. */

/** Set braces, told apart from the braces that only group. */
export const setOpen = '\u2983';
export const setClose = '\u2984';
/** End of a matrix row, `\\\\` in LaTeX. */
export const rowEnd = '\u241e';

const characterRewrites: Readonly<Record<string, string>> = {
  '−': '-',
  '–': '-',
  '—': '-',
  '×': '*',
  '·': '*',
  '⋅': '*',
  '÷': '/',
  '∕': '/',
  '⁄': '/',
  '²': '^2',
  '³': '^3',
  '½': ' 1/2',
  '⅓': ' 1/3',
  '⅔': ' 2/3',
  '¼': ' 1/4',
  '¾': ' 3/4',
  '⅛': ' 1/8',
  '√': '\\sqrt ',
  π: '\\pi ',
  '∞': '\\infty ',
  '≤': '<=',
  '≥': '>=',
  '≠': '!=',
  '≈': '=',
  '±': '\\pm ',
  '∪': '\\cup ',
  '∈': '\\in ',
  º: '°',
  '˚': '°',
  '“': '"',
  '”': '"',
  '’': "'",
  '\u00a0': ' ',
  '\u202f': ' ',
  '\u2009': ' ',
};

/** Commands that only say how something looks, with what is left of them. */
const commandRewrites: readonly (readonly [RegExp, string])[] = [
  [/\\(?:left|right|bigg?[lr]?|Bigg?[lr]?|displaystyle|limits|large)(?![a-zA-Z])/g, ''],
  [/\\(?:dfrac|tfrac|cfrac)(?![a-zA-Z])/g, '\\frac'],
  [/\\(?:leq?|leqslant)(?![a-zA-Z])/g, '<='],
  [/\\(?:geq?|geqslant)(?![a-zA-Z])/g, '>='],
  [/\\lt(?![a-zA-Z])/g, '<'],
  [/\\gt(?![a-zA-Z])/g, '>'],
  [/\\neq?(?![a-zA-Z])/g, '!='],
  [/\\approx(?![a-zA-Z])/g, '='],
  [/\\(?:cdot|times|ast)(?![a-zA-Z])/g, '*'],
  [/\\div(?![a-zA-Z])/g, '/'],
  [/\\mid(?![a-zA-Z])/g, '|'],
  [/\\(?:quad|qquad|enspace|thinspace|hspace\{[^{}]*\})(?![a-zA-Z])/g, ' '],
  [/\\(?:lbrace(?![a-zA-Z])|\{)/g, setOpen],
  [/\\(?:rbrace(?![a-zA-Z])|\})/g, setClose],
  [/\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z]))/g, '°'],
  [/\\degrees?(?![a-zA-Z])/g, '°'],
  [/\\(?:euro|pounds|yen)(?![a-zA-Z])/g, ''],
  [/\{,\}|,\\!/g, ','],
  [/\\[!,;:> ]/g, ' '],
  [/\\%/g, '%'],
  [/\\\$|\$/g, ' '],
  [/\\[()[\]]/g, ' '],
  [/\\&/g, '&'],
];

/** Wrappers whose braces go and whose content stays. */
const wrapper =
  /\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf|bb|cal|tt)|mbox|hbox|boxed|fbox|operatorname|bm|pmb|emph|underline)\s*\{/;

/** Plain notation of one answer: no `$`, sizing or font commands, one spelling per sign, single spaces.
 *  Grouping braces stay; set braces become `setOpen` and `setClose`. Linear in the length of the text. */
export function plainMath(answer: string): string {
  let text = rewriteCharacters(answer).replace(/\*\*|__|`/g, '');
  // JSON that was escaped twice has two backslashes before a command; in a matrix they end a row.
  if (!text.includes('\\begin')) text = text.replace(/\\\\(?=[a-zA-Z{}%,;!()[\]])/g, '\\');
  else text = text.replaceAll('\\\\', rowEnd);
  text = unwrap(text);
  for (const [pattern, replacement] of commandRewrites) text = text.replace(pattern, replacement);
  text = text.replace(/\s+/g, ' ').trim();
  return trimPunctuation(text);
}

/** Takes `\text{…}` and its kin off, innermost last, at most 200 of them. */
export function unwrap(text: string): string {
  let rest = text;
  for (let count = 0; count < 200; count++) {
    const match = wrapper.exec(rest);
    if (!match) return rest;
    const open = match.index + match[0].length - 1;
    const close = matchingBrace(rest, open);
    const inner = rest.slice(open + 1, close);
    rest = `${rest.slice(0, match.index)} ${inner} ${rest.slice(close + 1)}`;
  }
  return rest;
}

/** Index of the `}` that closes the `{` at `open`, or the length of the text where none does. */
export function matchingBrace(text: string, open: number): number {
  let depth = 0;
  for (let index = open; index < text.length; index++) {
    const character = text[index];
    if (character === '\\') index++;
    else if (character === '{') depth++;
    else if (character === '}') {
      depth--;
      if (depth === 0) return index;
    }
  }
  return text.length;
}

function rewriteCharacters(text: string): string {
  let out = '';
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    // Full-width forms of ASCII, as Chinese and Japanese texts have them.
    if (code >= 0xff01 && code <= 0xff5e) out += String.fromCodePoint(code - 0xfee0);
    else out += characterRewrites[character] ?? character;
  }
  return out;
}

function trimPunctuation(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && /[\s:=,;]/.test(text[start] ?? '')) start++;
  // `5!` is a factorial, "yes!" is not.
  const trails = () =>
    /[\s.,;:?=]/.test(text[end - 1] ?? '') || /[^\d)}]!$/.test(text.slice(end - 2, end));
  while (end > start && trails()) end--;
  return text.slice(start, end);
}
