/** What an answer can mean: a number, a letter, a collection, an inequality, words, or an expression
 *  that only computer algebra could judge. */
import { matchingBrace, plainMath, rowEnd, setClose, setOpen } from './latex.js';
import { type NumberReading, readNumbers } from './number.js';

export type Reading =
  | NumberReading
  | { readonly kind: 'letter'; readonly letter: string }
  | CollectionReading
  | {
      readonly kind: 'relation';
      readonly variable: string;
      readonly operator: '<' | '<=' | '>' | '>=' | '!=';
      readonly bound: NumberReading;
    }
  | { readonly kind: 'text'; readonly folded: string }
  | { readonly kind: 'symbolic'; readonly normal: string };

/** Brackets as written; a bare list has none. Items keep all their readings. */
export interface CollectionReading {
  readonly kind: 'collection';
  readonly open: '(' | '[' | '{' | '∪' | '';
  readonly close: ')' | ']' | '}' | '∪' | '';
  readonly items: readonly (readonly Reading[])[];
}

const maxDepth = 4;
const maxItems = 200;

/** All that `answer` can mean; empty only for an empty answer. Never throws. */
export function readAnswer(answer: string): Reading[] {
  return read(plainMath(answer), 0);
}

function read(text: string, depth: number): Reading[] {
  if (text === '') return [];
  const readings: Reading[] = [];
  const relation = readRelation(text);
  if (relation) return [relation];
  const letter = /^\(?\s*([A-Za-z])\s*[).:]?$/.exec(text)?.[1];
  if (letter) return [{ kind: 'letter', letter: letter.toUpperCase() }];
  readings.push(...readNumbers(text));
  if (depth < maxDepth) readings.push(...readParts(text, depth));
  // A sentence with a comma reads as a list too.
  const hasValue = readings.some((reading) => reading.kind !== 'collection');
  if (!hasValue && isWords(text)) readings.push({ kind: 'text', folded: foldText(text) });
  return readings.length > 0 ? readings : [{ kind: 'symbolic', normal: symbolicForm(text) }];
}

function readParts(text: string, depth: number): Reading[] {
  const value = withoutName(text);
  if (value !== undefined) return read(value, depth + 1);
  const inner = bracketed(text, '{', '}') ?? bracketed(text, '|', '|', false);
  if (inner !== undefined && text.startsWith('{')) return read(inner, depth + 1);
  return (
    readMatrix(text, depth) ??
    readUnion(text, depth) ??
    readCollection(text, depth) ??
    readPlusMinus(text, depth) ??
    []
  );
}

/** Drops what only names the value: `x =`, `f(x) =`, `(p,q,r) =`, `|AB| =`, `x \in`. A left side that
 *  computes (`a + 3z = 0`) makes an equation, which is an answer of its own. */
function withoutName(text: string): string | undefined {
  const name =
    /^\s*(?:\\(?:angle|triangle|overline|vec|hat|bar)\s*)?(?:[|({]?\s*[A-Za-z](?:[A-Za-z_']|_?\{[^{}=]{0,10}\}|\d|_\d|\([A-Za-z,]{1,5}\)|\s*[,:]\s*[A-Za-z]){0,24}\s*[|)}]?|\\[a-zA-Z]+|\\frac\s*\{[A-Za-z ]{1,8}\}\s*\{[A-Za-z ]{1,8}\})\s*(?:=|\\in(?![a-zA-Z]))\s*/.exec(
      text,
    );
  if (!name) return undefined;
  const rest = text.slice(name[0].length);
  // `x = 1, y = 2` is a list of two, and `z = 1 + 1 = 2` ends in its value.
  if (splitTop(text).length > 1 && !bracketedWhole(rest)) return undefined;
  const lastEquals = rest.lastIndexOf('=');
  return lastEquals >= 0 && !/[<>!]=/.test(rest) ? rest.slice(lastEquals + 1).trim() : rest;
}

function bracketedWhole(text: string): boolean {
  return (
    bracketed(text, '(', ')') !== undefined || bracketed(text, setOpen, setClose) !== undefined
  );
}

function readRelation(text: string): Reading | undefined {
  const match = /^(.{1,40}?)\s*(<=|>=|!=|<|>)\s*([^<>=!]{1,40})$/.exec(text);
  if (!match) return undefined;
  const [, left = '', operator = '', right = ''] = match;
  const variable = /^[A-Za-z]\w{0,3}$/;
  if (variable.test(left)) return relationOf(left, operator, right);
  if (variable.test(right)) return relationOf(right, flipped(operator), left);
  return undefined;
}

function relationOf(variable: string, operator: string, bound: string): Reading | undefined {
  const [value] = readNumbers(bound);
  const known = (['<', '<=', '>', '>=', '!='] as const).find((one) => one === operator);
  return value && known && { kind: 'relation', variable, operator: known, bound: value };
}

function flipped(operator: string): string {
  return operator.replace(/[<>]/, (sign) => (sign === '<' ? '>' : '<'));
}

function readMatrix(text: string, depth: number): Reading[] | undefined {
  const match =
    /^\(?\s*\\begin\s*\{\s*([a-z]*matrix|array)\s*\}(?:\s*\{[lcr| ]*\})?(.*?)\\end\s*\{\s*\1\s*\}\s*\)?$/s.exec(
      text,
    );
  if (!match) return undefined;
  const rows = (match[2] ?? '')
    .split(rowEnd)
    .map((row) => row.trim())
    .filter((row) => row !== '');
  const items = rows.map((row): Reading[] => [
    collection(
      '(',
      ')',
      row.split('&').map((cell) => read(plainMath(cell), depth + 1)),
    ),
  ]);
  return [collection('(', ')', items)];
}

function readUnion(text: string, depth: number): Reading[] | undefined {
  const parts = text.split(/\\cup(?![a-zA-Z])/);
  if (parts.length < 2 || parts.length > maxItems) return undefined;
  return [
    collection(
      '∪',
      '∪',
      parts.map((part) => read(part.trim(), depth + 1)),
    ),
  ];
}

const brackets = [
  ['(', ')'],
  ['[', ']'],
  [setOpen, setClose],
] as const;

function readCollection(text: string, depth: number): Reading[] | undefined {
  const bracket = outerBrackets(text);
  if (!bracket) {
    const parts = splitTop(text);
    return parts.length > 1 && parts.length <= maxItems
      ? [
          collection(
            '',
            '',
            parts.map((part) => read(part, depth + 1)),
          ),
        ]
      : undefined;
  }
  const { open, close, inner } = bracket;
  const parts = splitTop(inner);
  if (parts.length > maxItems) return undefined;
  const items = parts.map((part) => read(part, depth + 1));
  if (open === setOpen) return [collection('{', '}', items)];
  const whole = collection(open === '[' ? '[' : '(', close === ']' ? ']' : ')', items);
  // Brackets around a single value only group it.
  return parts.length === 1 ? [...(items[0] ?? [])] : [whole];
}

/** Half-open intervals mix the two kinds of brackets: [0, 1). */
function outerBrackets(text: string): { open: string; close: string; inner: string } | undefined {
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

/** `1 \pm \sqrt{19}` is the two values. */
function readPlusMinus(text: string, depth: number): Reading[] | undefined {
  const match = /\\pm(?![a-zA-Z])/.exec(text);
  if (!match) return undefined;
  const before = text.slice(0, match.index);
  const after = text.slice(match.index + match[0].length);
  return [
    collection(
      '',
      '',
      ['+', '-'].map((sign) => read(`${before}${sign}${after}`.trim(), depth + 1)),
    ),
  ];
}

function collection(
  open: CollectionReading['open'],
  close: CollectionReading['close'],
  items: readonly (readonly Reading[])[],
): CollectionReading {
  return { kind: 'collection', open, close, items };
}

const shortWords = new Set(['no', 'up', 'on', 'in', 'ok', 'am', 'pm', 'it', 'he', 'we', 'us']);

/** Words of a language, or a time of day, as against products of variables and names of segments. */
function isWords(text: string): boolean {
  if (/[\\^_=<>+*{}|]/.test(text)) return false;
  if (/^\d{1,2}:\d{2}$/.test(text)) return true;
  const words = text.match(/\p{L}+/gu) ?? [];
  return words.some(
    (word) =>
      shortWords.has(word.toLowerCase()) ||
      /[^\p{ASCII}]/u.test(word) ||
      (word.length >= 3 && !(word.length <= 4 && word === word.toUpperCase())),
  );
}

/** Case, punctuation, articles and spacing don't make words differ. */
export function foldText(text: string): string {
  return text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/\\[a-z]+/g, ' ')
    .replace(/['’]/g, '')
    .replace(/[^\p{L}\p{N}:/.%°-]+/gu, ' ')
    .replace(/(?<!\d)\.|\.(?!\d)/g, ' ')
    .replace(/\b(?:the|an|a)\b(?=\s+\S)/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}

function symbolicForm(text: string): string {
  return text
    .replace(/\s+/g, '')
    .replace(/\{([A-Za-z0-9])\}/g, '$1')
    .replace(/\*/g, '');
}
