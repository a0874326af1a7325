/** What an answer can mean: a number, a letter, a collection, an equation, a set, words, or an
 *  expression in variables. */
import { sameNumber } from './compare-numbers.js';
import { evaluateConstant } from './constant.js';
import type { Expression } from './expression/ast.js';
import { parseExpression } from './expression/parse.js';
import { matchingBrace, plainMath, rowEnd, setClose, setOpen } from './latex.js';
import { readName, type ValueName } from './names.js';
import { type NumberReading, readNumbers } from './number.js';
import type { RealSet } from './real-set.js';
import { readSet } from './set-reading.js';
import { splitCommas, splitTop } from './split.js';
import { isEquation, readStatement, type Statement } from './statement.js';
import { foldText, isClock, isWords } from './words.js';

export type Reading =
  | NumberReading
  | { readonly kind: 'letter'; readonly letter: string; readonly written: string }
  | CollectionReading
  | AssignmentReading
  | { readonly kind: 'equation'; readonly statement: Statement }
  /** Has an operator that is no equals sign. */
  | { readonly kind: 'relation'; readonly statement: Statement }
  /** Of real numbers; `items` of a collection are read as one where they can be. */
  | { readonly kind: 'set'; readonly set: RealSet }
  /** A set of numbers that are not all real numbers or an interval of them: ℤ. */
  | { readonly kind: 'domain'; readonly name: string }
  /** Of three and more: 1:2:3. */
  | { readonly kind: 'ratio'; readonly terms: readonly number[] }
  /** x ≡ 2 (mod 5); the residue in [0, modulus). */
  | {
      readonly kind: 'congruence';
      readonly name: string;
      readonly residue: bigint;
      readonly modulus: bigint;
    }
  | { readonly kind: 'text'; readonly folded: string }
  | SymbolicReading;

/** Brackets as written; a bare list has none. Items keep all their readings. */
export interface CollectionReading {
  readonly kind: 'collection';
  readonly open: '(' | '[' | '{' | '∪' | '';
  readonly close: ')' | ']' | '}' | '∪' | '';
  readonly items: readonly (readonly Reading[])[];
  /** Braces that TeX does not print: `{1,2}`. */
  readonly looseBraces?: boolean;
  readonly text: string;
}

/** `x = 5`, `f(x) = x^2`, `|AB| = 1`: a value and what it is called. */
export interface AssignmentReading {
  readonly kind: 'assignment';
  readonly name: ValueName;
  readonly value: readonly Reading[];
  readonly statement: Statement;
}

export interface SymbolicReading {
  readonly kind: 'symbolic';
  readonly text: string;
  /** Without white space and grouping. */
  readonly normal: string;
  /** Parsed when first asked for; undefined for what is beyond the parser, such as integrals. */
  expression(): Expression | undefined;
}

const maxDepth = 4;
const maxItems = 200;

/** All that `answer` can mean; empty only for an empty answer. Never throws. */
export function readAnswer(answer: string): Reading[] {
  return read(plainMath(answer), 0);
}

function read(text: string, depth: number): Reading[] {
  if (text === '') return [];
  const letter = /^(?:(?:[Oo]ption|[Cc]hoice)\s+)?\(?\s*([A-Za-z])\s*[).:]?$/.exec(text)?.[1];
  if (letter) return [{ kind: 'letter', letter: letter.toUpperCase(), written: letter }];
  // "B. 5 cm" is the letter and its text.
  const lettered =
    depth === 0 ? /^(?:\(([A-Z])\)|([A-Z])[).:])\s+(?!and\b|or\b|\()(\S.*)$/s.exec(text) : null;
  if (lettered) {
    const written = lettered[1] ?? lettered[2] ?? '';
    return [{ kind: 'letter', letter: written, written }, ...read(lettered[3] ?? '', depth + 1)];
  }
  const stated = depth === 0 ? withoutRestatement(text) : undefined;
  if (stated !== undefined) return read(stated, depth + 1);
  const numbers = readNumbers(text);
  if (numbers.length > 0 && !/[,;:]|\b(?:and|or)\b/.test(text)) return numbers;
  const readings: Reading[] = [...numbers];
  if (depth < maxDepth) readings.push(...readParts(text, depth));
  // A sentence with a comma reads as a list too.
  const hasValue = readings.some((reading) => reading.kind !== 'collection');
  if (!hasValue && isWords(text)) {
    readings.push({ kind: 'text', folded: foldText(text) });
    if (isLetterProduct(text)) readings.push(symbolic(text));
  }
  if (readings.length > 0) return readings;
  // YES is a word, ABE a triangle.
  const isCapitals = /^[A-Z]{2,}(?: [A-Z\d]+)*$/.test(text) && /[AEIOU]/.test(text);
  if (isCapitals) readings.push({ kind: 'text', folded: foldText(text) });
  return [symbolic(text), ...readings, ...chosenLetters(text)];
}

/** The choices of `ABD`, in their order; `DBA` is a product or an angle. */
function chosenLetters(text: string): Reading[] {
  const letters = /^[A-H]{2,8}$/.test(text) ? [...text] : [];
  const isAscending = letters.every(
    (one, index) => index === 0 || one > (letters[index - 1] ?? ''),
  );
  if (letters.length === 0 || !isAscending) return [];
  const items = letters.map((letter): Reading[] => [{ kind: 'letter', letter, written: letter }]);
  return [collection('', '', items, text)];
}

/** "3/5 (or 0.6)", "four (4)" and "2.5 h (2 h 30 min)" say their value twice. */
function withoutRestatement(text: string): string | undefined {
  const [, first = '', second = ''] = /^([^()]{1,80}?)\s+\(([^()]{1,80})\)$/.exec(text) ?? [];
  if (first === '') return undefined;
  if (/^(?:or|≈|i\.e\.|that is|about|approximately|approx\.)[\s\d\\]/i.test(second)) return first;
  if (!/[a-z]{2}|°/i.test(first)) return undefined;
  const [values, others] = [readNumbers(first), readNumbers(second)];
  return values.some((one) => others.some((two) => sameNumber(one, two, {}))) ? first : undefined;
}

/** Letters of variables side by side: `xyz` may be a product. */
function isLetterProduct(text: string): boolean {
  return /^(?:[a-d]{2,4}|[b-df-hj-np-tv-z]{2,4})$/.test(text);
}

function symbolic(text: string): SymbolicReading {
  let parsed: { expression: Expression | undefined } | undefined;
  return {
    kind: 'symbolic',
    text,
    normal: symbolicForm(text),
    expression: () => {
      parsed ??= { expression: parseExpression(text) };
      return parsed.expression;
    },
  };
}

function symbolicForm(text: string): string {
  return text
    .replace(/\s+/g, '')
    .replace(/\{([A-Za-z0-9])\}/g, '$1')
    .replace(/\*/g, '');
}

function readParts(text: string, depth: number): Reading[] {
  const domain = /^[ℤℕℚℂ](?:\^\+|\^\{\+\})?$/.exec(text)?.[0];
  if (domain) return [{ kind: 'domain', name: domain }];
  const special = readRatio(text) ?? readCongruence(text);
  if (special) return [special];
  if (splitTop(text).length === 1) {
    const member = /^[^=<>([{\u2983]{1,30}?\\in(?![a-zA-Z])\s*/.exec(text)?.[0];
    if (member) return read(text.slice(member.length), depth + 1);
    const statement = readStatement(text);
    if (statement) return readRelated(statement, depth);
  }
  const inner = bracketed(text, '{', '}') ?? bracketed(text, '|', '|', false);
  if (inner !== undefined && text.startsWith('{')) return readBraced(inner, depth);
  const matrix = readMatrix(text, depth);
  if (matrix) return matrix;
  const vector = /^<([^<>]+,[^<>]+)>$/.exec(text)?.[1];
  if (vector !== undefined) return read(`(${vector})`, depth + 1);
  const point = readPoint(text, depth);
  if (point) return [point];
  const union = readUnion(text, depth);
  if (union) return union;
  const collections = readCollections(text, depth);
  // A set builder is no list, and ∅ has no items.
  const set = collections.length === 0 || text[0] === setOpen ? readSet(text) : undefined;
  if (set) return [...collections, { kind: 'set', set }];
  return collections.length > 0 ? collections : (readPlusMinus(text, depth) ?? []);
}

/** `A(1, 2)` is the point (1, 2) and its name. */
function readPoint(text: string, depth: number): Reading | undefined {
  const [, name, rest = ''] = /^([A-Z]'?(?:_\{?\w\}?)?)\s*(\(.+,.+\))$/.exec(text) ?? [];
  if (name === undefined || bracketed(rest, '(', ')') === undefined) return undefined;
  const value = read(rest, depth + 1);
  const statement: Statement = { terms: [name, rest], operators: ['='], isRounded: false };
  return { kind: 'assignment', name: { text: name, isLetter: true }, value, statement };
}

function readRatio(text: string): Reading | undefined {
  const parts = text.split(':');
  if (parts.length < 3 || parts.length > 20 || isClock(text)) return undefined;
  const terms = parts.map((part) => evaluateConstant(part)?.approximate ?? Number.NaN);
  return terms.some(Number.isNaN) ? undefined : { kind: 'ratio', terms };
}

function readCongruence(text: string): Reading | undefined {
  const match =
    /^(.{1,40}?)\s*\\equiv\s*(-?\d{1,30})\s*(?:\\pmod|\(\s*\\?mod)\s*\{?\s*(\d{1,30})\s*\}?\s*\)?$/.exec(
      text,
    );
  if (!match) return undefined;
  const modulus = BigInt(match[3] ?? '0');
  if (modulus === 0n) return undefined;
  const residue = ((BigInt(match[2] ?? '0') % modulus) + modulus) % modulus;
  return { kind: 'congruence', name: symbolicForm(match[1] ?? ''), residue, modulus };
}

/** `{1,2}` is most often a set whose backslashes got lost. */
function readBraced(inner: string, depth: number): Reading[] {
  return read(inner, depth + 1).map((reading) =>
    reading.kind === 'collection' && reading.open === ''
      ? { ...reading, looseBraces: true }
      : reading,
  );
}

function readRelated(statement: Statement, depth: number): Reading[] {
  if (!isEquation(statement)) return [{ kind: 'relation', statement }];
  const { terms } = statement;
  const [first = '', last = ''] = [terms[0], terms.at(-1)];
  if (statement.isRounded) return readRounded(statement, depth);
  const name = readName(first);
  // A chain such as z = 1 + 1 = 2 ends in its value.
  if (name || terms.length > 2) {
    const value = read(last, depth + 1);
    return assignments(name ?? { text: '', isLetter: false }, value, statement);
  }
  // Of a left side that nobody can read, a limit or an intersection, the value is on the right.
  if (!parseExpression(first)) {
    return assignments({ text: first, isLetter: false }, read(last, depth + 1), statement);
  }
  const nameAtEnd = readName(last);
  if (nameAtEnd?.isLetter && readNumbers(first).length > 0) {
    return assignments(nameAtEnd, read(first, depth + 1), statement);
  }
  // 2 + 2 = 4 says 4.
  const isWorking = readNumbers(first).length > 0 && readNumbers(last).length > 0;
  return isWorking ? read(last, depth + 1) : [{ kind: 'equation', statement }];
}

/** `x = 70/9 ≈ 7.78` says both values. */
function readRounded({ terms, operators }: Statement, depth: number): Reading[] {
  const exact = terms.slice(0, -1);
  const [only = ''] = exact;
  const rounded = read(terms.at(-1) ?? '', depth + 1);
  if (exact.length > 1) {
    const statement = { terms: exact, operators: operators.slice(0, -1), isRounded: false };
    return [...readRelated(statement, depth), ...rounded];
  }
  return readName(only)?.isLetter ? rounded : [...read(only, depth + 1), ...rounded];
}

/** `(x, y) = (1, 2)` names two values. */
function assignments(name: ValueName, value: readonly Reading[], statement: Statement): Reading[] {
  const whole: Reading = { kind: 'assignment', name, value, statement };
  const { members } = name;
  const tuple = value.find((one) => one.kind === 'collection' && one.open === '(');
  if (!members || tuple?.kind !== 'collection' || tuple.items.length !== members.length) {
    return [whole];
  }
  const items = tuple.items.map((item, index): Reading[] => [
    {
      kind: 'assignment',
      name: { text: members[index] ?? '', isLetter: true },
      value: item,
      statement,
    },
  ]);
  return [whole, collection('', '', items, tuple.text)];
}

const environment =
  /^(.*?)\(?\s*\\begin\s*\{\s*([a-z]*matrix|array|cases|aligned|gathered)\s*\}(?:\s*\{[lcr| ]*\})?(.*?)\\end\s*\{\s*\2\s*\}\s*\)?$/s;

/** A matrix is a tuple of rows, a column a tuple; a factor in front multiplies every cell. Rows of
 *  `cases` are a list. */
function readMatrix(text: string, depth: number): Reading[] | undefined {
  const match = environment.exec(text);
  if (!match) return undefined;
  const [, before = '', name = '', body = ''] = match;
  const isSystem = name === 'array' && before.trim() === setOpen;
  if (isSystem) return readMatrix(text.replace(before, '').replaceAll('array', 'cases'), depth);
  const factor = before
    .trim()
    .replace(/[[({*|]+$/, '')
    .trim();
  if (name === 'vmatrix' || factor === '\\det') return readDeterminant(body, depth);
  if (factor !== '' && !/matrix|array/.test(name)) return undefined;
  const rows = body
    .split(rowEnd)
    .map((row) => row.trim().replace(/^\[[^\]]*\]\s*/, ''))
    .filter((row) => row !== '' && row !== '\\hline');
  if (rows.length > maxItems) return undefined;
  const cell = (content: string) => {
    const plain = plainMath(content);
    return read(factor === '' ? plain : `(${factor})*(${plain})`, depth + 1);
  };
  if (!/matrix|array/.test(name)) {
    const items = rows.map((row): Reading[] => {
      const cells = row.split('&').map((one) => one.trim());
      if (name !== 'cases') return read(plainMath(cells.join(' ')), depth + 1);
      const read_ = cells.filter((one) => one !== '').map((one) => read(condition(one), depth + 1));
      return read_.length === 1 ? [...(read_[0] ?? [])] : [collection('(', ')', read_, row)];
    });
    return [collection('', '', items, text)];
  }
  const items = rows.map((row): Reading[] => {
    const cells = row.split('&').map(cell);
    return cells.length === 1 ? [...(cells[0] ?? [])] : [collection('(', ')', cells, row)];
  });
  return [collection('(', ')', items, text)];
}

/** Up to three rows, written out. */
function readDeterminant(body: string, depth: number): Reading[] | undefined {
  const cells = body
    .split(rowEnd)
    .filter((row) => row.trim() !== '')
    .map((row) => row.split('&').map((cell) => `(${plainMath(cell)})`));
  if (cells.length > 3 || cells.some((row) => row.length !== cells.length)) return undefined;
  return read(determinant(cells), depth + 1);
}

function determinant(cells: readonly (readonly string[])[]): string {
  const [first = [], ...rest] = cells;
  if (rest.length === 0) return first[0] ?? '0';
  const terms = first.map((cell, column) => {
    const minor = rest.map((row) => row.filter((_, index) => index !== column));
    return `${column % 2 === 0 ? '+' : '-'}${cell}*(${determinant(minor)})`;
  });
  return terms.join('');
}

/** `if x > 0,` without its words. */
function condition(text: string): string {
  return plainMath(text)
    .replace(/^(?:if|for|when|where)\b\s*/i, '')
    .replace(/[,.]$/, '')
    .trim();
}

function readUnion(text: string, depth: number): Reading[] | undefined {
  const parts = splitAtUnions(text);
  if (parts.length < 2 || parts.length > maxItems) return undefined;
  const items = parts.map((part) => read(part.trim(), depth + 1));
  return [collection('∪', '∪', items, text)];
}

function splitAtUnions(text: string): string[] {
  return /\\(?:cap|setminus|backslash)(?![a-zA-Z])|∖|\||ℝ\s*-/.test(text)
    ? [text]
    : text.split(/\\cup(?![a-zA-Z])/);
}

const brackets = [
  ['(', ')'],
  ['[', ']'],
  [setOpen, setClose],
] as const;

/** Usually one; two where a comma may part digits or items: (1,234). */
function readCollections(text: string, depth: number): Reading[] {
  const bracket = outerBrackets(text);
  const inner = bracket?.inner ?? text;
  const ways = [splitTop(inner)];
  const eager = splitCommas(inner);
  if (eager.length !== ways[0]?.length) ways.push(eager);
  return ways.flatMap((parts) => readCollection(text, bracket, parts, depth));
}

function readCollection(
  text: string,
  bracket: Brackets | undefined,
  parts: readonly string[],
  depth: number,
): Reading[] {
  if (parts.length > maxItems) return [];
  if (!bracket && parts.length < 2) return [];
  const items = parts.map((part) => read(part, depth + 1));
  if (!bracket) return [collection('', '', items, text)];
  const { open, close } = bracket;
  if (open === setOpen) {
    return /[|:]/.test(bracket.inner) && parts.length === 1
      ? []
      : [collection('{', '}', items, text)];
  }
  const rows = open === '[' && close === ']' ? rowsOf(items) : undefined;
  if (rows) return [collection('(', ')', rows, text)];
  const whole = collection(open === '[' ? '[' : '(', close === ']' ? ']' : ')', items, text);
  // Brackets around a single value only group it.
  return parts.length === 1 ? [...(items[0] ?? [])] : [whole];
}

/** `[[1, 2], [3, 4]]` is a matrix, whose rows are tuples here. */
function rowsOf(items: readonly (readonly Reading[])[]): Reading[][] | undefined {
  const rows = items.flatMap((item) =>
    item.flatMap((one) =>
      one.kind === 'collection' && one.open === '[' && one.close === ']'
        ? [[{ ...one, open: '(', close: ')' } as const]]
        : [],
    ),
  );
  return rows.length === items.length && rows.length > 1 ? rows : undefined;
}

interface Brackets {
  readonly open: string;
  readonly close: string;
  readonly inner: string;
}

/** Half-open intervals mix the two kinds of brackets: [0, 1). */
function outerBrackets(text: string): Brackets | undefined {
  for (const [open] of brackets) {
    for (const [, close] of brackets) {
      if ((open === setOpen) !== (close === setClose)) continue;
      const inner = bracketed(text, open, close);
      if (inner !== undefined) return { open, close, inner };
    }
  }
  return undefined;
}

/** The inside, if the first character opens what the last one closes. */
function bracketed(text: string, open: string, close: string, nesting = true): string | undefined {
  if (text.length < 2 || text[0] !== open || text.at(-1) !== close) return undefined;
  if (!nesting) return text.slice(1, -1);
  if (open === '{')
    return matchingBrace(text, 0) === text.length - 1 ? text.slice(1, -1) : undefined;
  let depth = 0;
  for (let index = 0; index < text.length; index++) {
    if (/[([\u2983]/.test(text[index] ?? '')) depth++;
    else if (/[)\]\u2984]/.test(text[index] ?? '')) depth--;
    if (depth === 0 && index < text.length - 1) return undefined;
  }
  return text.slice(1, -1).trim();
}

/** `1 \pm \sqrt{19}` is the two values; a `\mp` beside it takes the other sign. */
function readPlusMinus(text: string, depth: number): Reading[] | undefined {
  if (!/\\(?:pm|mp)(?![a-zA-Z])/.test(text)) return undefined;
  const variants = [
    ['+', '-'],
    ['-', '+'],
  ].map(([pm = '', mp = '']) =>
    text
      .replace(/\\pm(?![a-zA-Z])/g, pm)
      .replace(/\\mp(?![a-zA-Z])/g, mp)
      .trim(),
  );
  return [
    collection(
      '',
      '',
      variants.map((variant) => read(variant, depth + 1)),
      text,
    ),
  ];
}

function collection(
  open: CollectionReading['open'],
  close: CollectionReading['close'],
  items: readonly (readonly Reading[])[],
  text: string,
): CollectionReading {
  return { kind: 'collection', open, close, items, text };
}
