/** Cuts plain notation (see `plainMath`) into the words of the expression grammar. */

export interface Token {
  readonly kind: 'number' | 'letter' | 'command' | 'sign';
  readonly text: string;
  /** White space stood before it. */
  readonly spaced: boolean;
}

/** Functions whose names are read as one word, also without a backslash. Longer names first. */
const wordFunctions = [
  'arcsinh',
  'arccosh',
  'arctanh',
  'arcsin',
  'arccos',
  'arctan',
  'arccot',
  'arcsec',
  'arccsc',
  'asin',
  'acos',
  'atan',
  'sinh',
  'cosh',
  'tanh',
  'coth',
  'floor',
  'ceil',
  'sqrt',
  'cbrt',
  'frac',
  'binom',
  'log',
  'exp',
  'sin',
  'cos',
  'tan',
  'cot',
  'sec',
  'csc',
  'gcd',
  'lcm',
  'max',
  'min',
  'abs',
  'mod',
  'ln',
  'lg',
  'tg',
];

const words = new Map<string, string>([
  ...wordFunctions.map((name): [string, string] => [name, name]),
  ['pi', 'pi'],
  ['infinity', 'infty'],
  ['theta', 'theta'],
  ['alpha', 'alpha'],
  ['beta', 'beta'],
  ['lambda', 'lambda'],
]);

const pattern = new RegExp(
  [
    String.raw`(?<command>\\[a-zA-Z]+)`,
    String.raw`(?<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|(?:\d+\.\d+|\.\d+|\d+)(?:[eE][+-]?\d+(?![\d.]))?)`,
    `(?<word>${[...words.keys()].join('|')})(?![a-z])`,
    String.raw`(?<letter>\p{L})`,
    String.raw`(?<sign>\*\*|<=|>=|!=|[^\s])`,
    String.raw`(?<space>\s+)`,
  ].join('|'),
  'uy',
);

/** @returns undefined where there are more than `limit` tokens */
export function tokenize(text: string, limit: number): Token[] | undefined {
  const tokens: Token[] = [];
  let spaced = false;
  pattern.lastIndex = 0;
  while (pattern.lastIndex < text.length) {
    const groups = pattern.exec(text)?.groups;
    if (!groups) return undefined;
    const { command, number, word, letter, sign } = groups;
    if (groups.space !== undefined) {
      spaced = true;
      continue;
    }
    if (tokens.length >= limit) return undefined;
    if (command !== undefined) tokens.push({ kind: 'command', text: command, spaced });
    else if (number !== undefined) {
      tokens.push({ kind: 'number', text: number.replaceAll(',', ''), spaced });
    } else if (word !== undefined) {
      tokens.push({ kind: 'command', text: `\\${words.get(word)}`, spaced });
    } else if (letter !== undefined) tokens.push({ kind: 'letter', text: letter, spaced });
    else tokens.push({ kind: 'sign', text: sign === '**' ? '^' : (sign ?? ''), spaced });
    spaced = false;
  }
  return tokens;
}
