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
  '≃': '≈',
  '≅': '≈',
  '…': '…',
  '⋯': '…',
  '±': '\\pm ',
  '∪': '\\cup ',
  '∈': '\\in ',
  '∩': '\\cap ',
  '∖': '\\setminus ',
  '∧': ' and ',
  '∨': ' or ',
  '∛': '\\cbrt ',
  '∠': '\\angle ',
  '△': '\\triangle ',
  θ: '\\theta ',
  α: '\\alpha ',
  β: '\\beta ',
  γ: '\\gamma ',
  λ: '\\lambda ',
  ω: '\\omega ',
  φ: '\\phi ',
  '⟨': '(',
  '⟩': ')',
  '〈': '(',
  '〉': ')',
  '：': ':',
  '∶': ':',
  '【': '[',
  '】': ']',
  '⅕': ' 1/5',
  '⅖': ' 2/5',
  '⅗': ' 3/5',
  '⅘': ' 4/5',
  '⅙': ' 1/6',
  '⅚': ' 5/6',
  '⅜': ' 3/8',
  '⅝': ' 5/8',
  '⅞': ' 7/8',
  '‐': '-',
  '‑': '-',
  '‒': '-',
  '﹣': '-',
  '，': ',',
  '；': ';',
  '。': '.',
  '、': ',',
  º: '°',
  '˚': '°',
  '“': '"',
  '”': '"',
  '’': "'",
  '\u00a0': ' ',
  '\u202f': ' ',
  '\u2009': ' ',
};

/** Raised and lowered characters, each in the place of its plain one. */
const raised = '⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿˣʸ';
const lowered = '₀₁₂₃₄₅₆₇₈₉₊₋₍₎ₙₓᵧ';
const plainOfRaised = '0123456789+-()nxy';
const raisedRun = new RegExp(`[${raised}]+`, 'g');
const loweredRun = new RegExp(`[${lowered}]+`, 'g');
const smallFraction = /([⁰¹²³⁴⁵⁶⁷⁸⁹]+)\s*[⁄/∕]\s*([₀₁₂₃₄₅₆₇₈₉]+)/g;

/** Commands that only say how something looks, with what is left of them. */
const commandRewrites: readonly (readonly [RegExp, string])[] = [
  [/\\(?:left|right|bigg?[lr]?|Bigg?[lr]?|displaystyle|limits|large)(?![a-zA-Z])/g, ''],
  [/\\(?:dfrac|tfrac|cfrac|nicefrac|sfrac|flatfrac)(?![a-zA-Z])/g, '\\frac'],
  [/\\(?:leq?|leqslant)(?![a-zA-Z])/g, '<='],
  [/\\(?:geq?|geqslant)(?![a-zA-Z])/g, '>='],
  [/\\lt(?![a-zA-Z])/g, '<'],
  [/\\gt(?![a-zA-Z])/g, '>'],
  [/\\neq?(?![a-zA-Z])/g, '!='],
  [/\\(?:approx|simeq|doteq|fallingdotseq)(?![a-zA-Z])/g, '≈'],
  [/\\(?:l|c|v)?dots[bcimo]?(?![a-zA-Z])/g, '…'],
  [/\\(?:cdot|times|ast)(?![a-zA-Z])/g, '*'],
  [/\\div(?![a-zA-Z])/g, '/'],
  [/\\(?:mid|vert|[lr]vert|lVert|rVert|Vert|\|)(?![a-zA-Z])/g, '|'],
  [/\\colon(?![a-zA-Z])/g, ':'],
  [/\\(?:langle|lbrack)(?![a-zA-Z])/g, '('],
  [/\\(?:rangle|rbrack)(?![a-zA-Z])/g, ')'],
  [/\\(?:lor|vee)(?![a-zA-Z])/g, ' or '],
  [/\\(?:land|wedge)(?![a-zA-Z])/g, ' and '],
  [/\\(?:emptyset|varnothing|O)(?![a-zA-Z])/g, '∅'],
  [/\\(?:R|reals|Reals)(?![a-zA-Z])/g, 'ℝ'],
  [/\\(?:dbinom|tbinom)(?![a-zA-Z])/g, '\\binom'],
  [/\\var(?=(?:phi|theta|epsilon|rho|sigma)(?![a-zA-Z]))/g, '\\'],
  [/\\(?:color|textcolor|colorbox)\s*\{[^{}]*\}/g, ''],
  [/(?<!\\)\bsqrt\s*(\d+(?:\.\d+)?)/g, '\\sqrt{$1}'],
  [/\\(?:phantom|hphantom|vphantom|label|tag)\s*\{[^{}]*\}/g, ''],
  [
    /\\(?:nonumber|notag|rm|bf|it|boldsymbol|mathstrut|strut|nolimits|textstyle|scriptstyle)(?![a-zA-Z])/g,
    '',
  ],
  [/\\(?:quad|qquad|enspace|thinspace|hspace\{[^{}]*\})(?![a-zA-Z])/g, ' '],
  [/\\(?:lbrace(?![a-zA-Z])|\{)/g, setOpen],
  [/\\(?:rbrace(?![a-zA-Z])|\})/g, setClose],
  [/\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z]))/g, '°'],
  // The letter in place of the ring.
  [/(?<=\d)\s*\^\s*(?:\{\s*o\s*\}|o(?![a-zA-Z]))/g, '°'],
  [/\\degrees?(?![a-zA-Z])/g, '°'],
  [/\\(?:euro|pounds|yen)(?![a-zA-Z])/g, ''],
  [/\{,\}|,\\!/g, ','],
  [/(?<=\d)\\[,;: ](?=\d{3}(?!\d))/g, ' '],
  [/\\[!,;:> ]/g, ' '],
  // A space that lines don't break at, or "about" before a number.
  [/~/g, ' '],
  // 1.6 x 10^-19
  [/(?<=\d)\s*[xX]\s*(?=10\s*\^)/g, '*'],
  [/\\%/g, '%'],
  // (0,1]U[2,3)
  [/(?<=,[^,()[\]]{0,40}[)\]])\s*U\s*(?=[[(][^,()[\]]{0,40},)/g, '\\cup '],
  // Statements that are chosen: ①③.
  [/(?<=[①-⑳])\s*(?=[①-⑳])/g, ', '],
  [/\\\$|\$/g, ' '],
  [/\\[()[\]]/g, ' '],
  [/\\&/g, '&'],
];

/** Wrappers whose braces go and whose content stays. */
const wrapper =
  /\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf|bb|cal|tt)|mbox|hbox|boxed|fbox|operatorname|bm|pmb|emph|underline)\s*\{/;

/** `\mathrm e`: a font for the next sign only. */
const bareFont = /\\(?:text|math)(?:bf|it|rm|sf|tt|normal|cal)(?=\s+[a-zA-Z\d\\]|\d)/g;

const numberSets: Readonly<Record<string, string>> = { R: 'ℝ', Z: 'ℤ', N: 'ℕ', Q: 'ℚ', C: 'ℂ' };

/** `\mathbb{R}` and `\Bbb R`, before the fonts go. */
const blackboard =
  /\\(?:mathbb|mathbf|Bbb|bf)\s*(?:\{\s*([RZNQC])\s*\}|(?<=mathbb|Bbb)\s*([RZNQC])(?![a-zA-Z]))/g;

/** Plain notation of one answer: no `$`, sizing or font commands, one spelling per sign, single spaces.
 *  Grouping braces stay; set braces become `setOpen` and `setClose`. Linear in the length of the text. */
export function plainMath(answer: string): string {
  let text = bracedBoxes(rewriteCharacters(answer))
    .replace(/\\sqrt (\d+(?:\.\d+)?)/g, (match, digits: string) =>
      answer.includes('√') ? `\\sqrt{${digits}}` : match,
    )
    // A power in calculator style; other double asterisks are bold print.
    .replace(/(?<=[\w)\]])\*\*(?=[\w(-])/g, '^')
    .replace(/\*\*|__|`/g, '');
  // JSON that was escaped twice has two backslashes before a command; in a matrix they end a row.
  if (!text.includes('\\begin')) text = text.replace(/\\\\(?=[a-zA-Z{}%,;!()[\]])/g, '\\');
  else text = text.replaceAll('\\\\', rowEnd);
  text = text.replace(
    blackboard,
    (_, braced: string, bare: string) => numberSets[braced ?? bare] ?? 'ℝ',
  );
  text = unwrap(text).replace(bareFont, ' ');
  for (const [pattern, replacement] of commandRewrites) text = text.replace(pattern, replacement);
  text = text.replace(/\s+/g, ' ').trim();
  // The dots of 0.333... are no full stops.
  text = text.replace(/(?<=\d)\s*\.{3,}$/, '…');
  text = trimPunctuation(text)
    .replace(/^(["'])([^"']+)\1$/, '$2')
    .replace(/^(?:approximately|approx\.?|about|around|roughly)\s+(?=[-+$€£\d\\.])/i, '');
  return isDollars(answer) ? text.replace(/^([+-]?)\s*(?:US)?\s*(?=[+-]?[\d.]+)/, '$1$$') : text;
}

/** An amount as a whole: `\$5`, `$5` and `US$5`, but not the formula `$5$`. */
function isDollars(answer: string): boolean {
  if (!answer.includes('$')) return false;
  const sign =
    /^[\s$({]*(?:\\text\s*\{)?[+-]?\s*(?:US\s?)?\\?\$\s?[+-]?[\d.,\s\\!{}]+[\s$)}.]*$/.test(answer);
  return sign && (answer.includes('\\$') || answer.split('$').length === 2);
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

/** `\boxed 5` and `\boxed{5}` are one. */
export function bracedBoxes(text: string): string {
  if (!text.includes('box')) return text;
  return text.replace(
    /\\(boxed|fbox)(?:\s*(-?\d+(?:[.,]\d+)*)|\s+([A-Za-z])(?![A-Za-z]))/g,
    (_, name: string, number?: string, letter?: string) => `\\${name}{${number ?? letter}}`,
  );
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
  for (const character of withoutSmallCharacters(text)) {
    const code = character.codePointAt(0) ?? 0;
    // Full-width forms of ASCII, as Chinese and Japanese texts have them.
    if (code < 0x80) out += character;
    else if (code >= 0xff01 && code <= 0xff5e) out += String.fromCodePoint(code - 0xfee0);
    else if (/\p{Nd}/u.test(character)) out += decimalDigit(code);
    else out += characterRewrites[character] ?? character;
  }
  return out;
}

/** Runs of raised characters are one power: 10²³ is 10^{23}, x⁻¹ is x^{-1}. */
function withoutSmallCharacters(text: string): string {
  if (!/\P{ASCII}/u.test(text)) return text;
  const written = (run: string, small: string) =>
    [...run].map((one) => plainOfRaised[small.indexOf(one)] ?? '').join('');
  const group = (sign: string, inner: string) =>
    inner.length === 1 ? `${sign}${inner}` : `${sign}{${inner}}`;
  return text
    .replace(
      smallFraction,
      (_, top: string, below: string) => ` ${written(top, raised)}/${written(below, lowered)}`,
    )
    .replace(raisedRun, (run) => group('^', written(run, raised)))
    .replace(loweredRun, (run) => group('_', written(run, lowered)));
}

/** Zeros of the Arabic, Persian, Devanagari, Bengali and Thai digits; each is followed by its nine. */
const zeros = [0x660, 0x6f0, 0x966, 0x9e6, 0xe50];

function decimalDigit(code: number): string {
  const zero = zeros.find((one) => code >= one && code < one + 10);
  return zero === undefined ? String.fromCodePoint(code) : String(code - zero);
}

function trimPunctuation(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && /[\s:=≈,;]/.test(text[start] ?? '')) start++;
  // `5!` is a factorial, "yes!" is not.
  const trails = () =>
    /[\s.,;:?=]/.test(text[end - 1] ?? '') ||
    /[a-z]{2}!$/i.test(text.slice(Math.max(start, end - 3), end));
  while (end > start && trails()) end--;
  return text.slice(start, end);
}
