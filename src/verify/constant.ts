/** Evaluates an expression without variables, such as `3\sqrt{13}`, `\frac{9}{4}\pi` or `2^{10}-1`.
 *  Not computer algebra: it answers "which number is this", never "are these the same function". */
import {
  add,
  divide,
  multiply,
  negate,
  parseDecimal,
  type Rational,
  toNumber,
} from './rational.js';

/** A number, exact as long as only rational steps led to it. */
export interface Constant {
  readonly approximate: number;
  readonly exact?: Rational;
}

/** Expressions are short; a longer or deeper one is not an answer that rules should judge. */
const maxLength = 400;
const maxDepth = 30;

/** @param text plain notation (see `plainMath`)
 *  @returns undefined where the text holds variables, unknown commands or no finite value. Never throws;
 *  at most `maxLength` steps of the parser, no step larger than a 300-digit product */
export function evaluateConstant(text: string): Constant | undefined {
  if (text.length > maxLength) return undefined;
  const parser = new ConstantParser(tokens(text));
  const value = parser.whole();
  return value && Number.isFinite(value.approximate) ? value : undefined;
}

function tokens(text: string): string[] {
  const known = /\\[a-zA-Z]+|\d+(?:\.\d+)?|\.\d+|[-+*/^(){}[\]|!]|\s+|./gs;
  return (text.match(known) ?? []).filter((token) => token.trim() !== '');
}

class ConstantParser {
  private position = 0;
  private depth = 0;

  constructor(private readonly list: readonly string[]) {}

  whole(): Constant | undefined {
    const value = this.sum();
    return this.position === this.list.length ? value : undefined;
  }

  private peek(): string | undefined {
    return this.list[this.position];
  }

  private take(token: string): boolean {
    if (this.peek() !== token) return false;
    this.position++;
    return true;
  }

  private sum(): Constant | undefined {
    if (++this.depth > maxDepth) return undefined;
    let total = this.term();
    while (total && (this.peek() === '+' || this.peek() === '-')) {
      const minus = this.list[this.position++] === '-';
      const right = this.term();
      total = right && plus(total, minus ? minusOf(right) : right);
    }
    this.depth--;
    return total;
  }

  private term(): Constant | undefined {
    let product = this.signed();
    while (product) {
      if (this.take('*')) product = both(product, this.signed(), times);
      else if (this.take('/')) product = both(product, this.signed(), over);
      else if (this.startsFactor()) product = both(product, this.power(), times);
      else break;
    }
    return product;
  }

  /** Juxtaposition multiplies, but two numbers side by side are a slip or a list. */
  private startsFactor(): boolean {
    const token = this.peek();
    const before = this.list[this.position - 1];
    if (token === undefined) return false;
    if (/^[\d.]/.test(token)) return before === ')' || before === '}';
    return token === '(' || token === '{' || /^\\(?:pi|sqrt|frac)$/.test(token);
  }

  private signed(): Constant | undefined {
    if (this.take('-')) {
      if (++this.depth > maxDepth) return undefined;
      const value = this.signed();
      this.depth--;
      return value && minusOf(value);
    }
    this.take('+');
    return this.power();
  }

  private power(): Constant | undefined {
    let base = this.atom();
    while (base && this.take('!')) base = factorial(base);
    if (!base || !this.take('^')) return base;
    const exponent = this.argument();
    return exponent && raise(base, exponent);
  }

  private atom(): Constant | undefined {
    const token = this.list[this.position++];
    if (token === undefined) return undefined;
    if (/^[\d.]/.test(token)) return fromExact(parseDecimal(token));
    if (token === '(') return this.closed(')');
    if (token === '{') return this.closed('}');
    if (token === '[') return this.closed(']');
    if (token === '\\pi') return { approximate: Math.PI };
    if (token === '\\frac') return both(this.argument(), this.argument(), over);
    if (token === '\\sqrt') return this.root();
    return undefined;
  }

  private closed(close: string): Constant | undefined {
    const value = this.sum();
    return this.take(close) ? value : undefined;
  }

  private root(): Constant | undefined {
    const degree = this.take('[') ? this.closed(']') : fromNumber(2);
    const radicand = this.argument();
    if (!degree || !radicand) return undefined;
    return raise(radicand, both(fromNumber(1), degree, over) ?? degree);
  }

  /** What a command or `^` applies to: a group, or as in TeX a single digit or sign. */
  private argument(): Constant | undefined {
    if (this.take('{')) return this.closed('}');
    if (this.take('-')) {
      const value = this.argument();
      return value && minusOf(value);
    }
    const token = this.peek();
    if (token === undefined || !/^\d+$/.test(token) || token.length === 1) return this.atom();
    // `\frac13` is one third: split the digits that the tokenizer took together.
    (this.list as string[]).splice(this.position, 1, token.slice(0, 1), token.slice(1));
    return this.atom();
  }
}

function fromExact(exact: Rational | undefined): Constant | undefined {
  return exact && { exact, approximate: toNumber(exact) };
}

function fromNumber(value: number): Constant {
  return { exact: { numerator: BigInt(value), denominator: 1n }, approximate: value };
}

type Operation = (a: Constant, b: Constant) => Constant | undefined;

function both(
  a: Constant | undefined,
  b: Constant | undefined,
  operation: Operation,
): Constant | undefined {
  return a && b && operation(a, b);
}

function combine(
  approximate: number,
  a: Constant,
  b: Constant,
  exactly: (a: Rational, b: Rational) => Rational | undefined,
): Constant {
  const exact = a.exact && b.exact && small(a.exact) && small(b.exact) && exactly(a.exact, b.exact);
  return exact ? { approximate: toNumber(exact), exact } : { approximate };
}

/** Exactness ends before a product of products could grow without bound. */
function small(value: Rational): boolean {
  const limit = 10n ** 300n;
  return value.numerator < limit && value.numerator > -limit && value.denominator < limit;
}

function plus(a: Constant, b: Constant): Constant {
  return combine(a.approximate + b.approximate, a, b, add);
}

function times(a: Constant, b: Constant): Constant {
  return combine(a.approximate * b.approximate, a, b, multiply);
}

function over(a: Constant, b: Constant): Constant | undefined {
  if (b.approximate === 0) return undefined;
  return combine(a.approximate / b.approximate, a, b, divide);
}

function minusOf(a: Constant): Constant {
  return a.exact
    ? { approximate: -a.approximate, exact: negate(a.exact) }
    : { approximate: -a.approximate };
}

function raise(base: Constant, exponent: Constant): Constant | undefined {
  const approximate = realPower(base.approximate, exponent.approximate);
  const whole = exponent.exact?.denominator === 1n ? Number(exponent.exact.numerator) : undefined;
  if (!base.exact || whole === undefined || Math.abs(whole) > 64) return { approximate };
  if (base.approximate === 0 && whole < 0) return undefined;
  let result: Constant = fromNumber(1);
  for (let count = 0; count < Math.abs(whole); count++) result = times(result, base);
  return whole < 0 ? over(fromNumber(1), result) : result;
}

/** Odd roots of negative numbers are real here, as in school mathematics. */
function realPower(base: number, exponent: number): number {
  const inverse = 1 / exponent;
  if (base < 0 && Math.abs(inverse - Math.round(inverse)) < 1e-9 && Math.round(inverse) % 2 !== 0) {
    return -((-base) ** exponent);
  }
  return base ** exponent;
}

function factorial(value: Constant): Constant | undefined {
  const n = value.approximate;
  if (!Number.isInteger(n) || n < 0 || n > 170) return undefined;
  let exact = 1n;
  for (let factor = 2n; factor <= BigInt(n); factor++) exact *= factor;
  return fromExact({ numerator: exact, denominator: 1n });
}
