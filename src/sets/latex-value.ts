/** The value of a LaTeX expression of constants, as MATH-Vision's rule takes it. */

/** Exact while it can be, so that 3^{1008}/3^{1009} has a value. */
type Value = { readonly over: bigint; readonly under: bigint } | { readonly real: number };

/** Digits of exact numbers beyond which no power is taken. */
const maxDigits = 20_000;
const maxLength = 2_000;
const maxDepth = 100;

/** Value of the longest beginning of `text` that is an expression: the rule's parser stops, without
 *  complaint, where nothing more fits, as at the stray brace of `\frac{1}{2}}square`.
 *  @returns null where nothing is read, or a letter makes it no number */
export function latexValue(text: string): number | null {
  if (text.length > maxLength) return null;
  try {
    const value = new LatexReader(text).read();
    const number = numberOf(value);
    return Number.isFinite(number) ? number : null;
  } catch (error) {
    if (error instanceof NoValue || error instanceof RangeError) return null;
    throw error;
  }
}

class NoValue extends Error {}

const ignored =
  /^(?:\s|\$|~|\\[,;:! ]|\\(?:left|right|big|Big|bigg|Bigg|displaystyle|textstyle|quad|qquad)(?![a-zA-Z]))+/;
const functions: Readonly<Record<string, (x: number) => number>> = {
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  cot: (x) => 1 / Math.tan(x),
  sec: (x) => 1 / Math.cos(x),
  csc: (x) => 1 / Math.sin(x),
  arcsin: Math.asin,
  arccos: Math.acos,
  arctan: Math.atan,
  ln: Math.log,
  log: Math.log10,
  exp: Math.exp,
};

class LatexReader {
  private at = 0;
  private depth = 0;
  private bars = 0;

  constructor(private readonly text: string) {}

  read(): Value {
    const value = this.sum();
    // A relation has no value, and a mark that the rule's parser doesn't know fails it.
    if (this.peek(/^(?:[<>=≤≥≠]|\\(?:leq?|geq?|lt|gt|neq?)(?![a-zA-Z])|\\[^a-zA-Z])/) !== null) {
      throw new NoValue();
    }
    return value;
  }

  private sum(): Value {
    if (++this.depth > maxDepth) throw new NoValue();
    let value = this.product(this.sign());
    for (;;) {
      const operator = this.peek(/^(?:\+|-|−)/);
      if (operator === null) break;
      const before = this.at;
      this.take(/^(?:\+|-|−)/);
      const sign = operator === '+' ? 1 : -1;
      if (!this.startsTerm()) {
        this.at = before;
        throw new NoValue();
      }
      value = add(value, this.product(sign * this.sign()));
    }
    this.depth--;
    return value;
  }

  private sign(): 1 | -1 {
    let sign: 1 | -1 = 1;
    for (;;) {
      if (this.take(/^(?:-|−)/) !== null) sign = sign === 1 ? -1 : 1;
      else if (this.take(/^\+/) === null) return sign;
    }
  }

  private product(sign: number): Value {
    let value = this.power();
    for (;;) {
      if (this.take(/^(?:\*|×|·|\\(?:cdot|times)(?![a-zA-Z]))/) !== null) {
        value = multiply(value, this.signedPower());
      } else if (this.take(/^(?:\/|:|÷|\\div(?![a-zA-Z]))/) !== null) {
        value = divide(value, this.signedPower());
      } else if (this.startsTerm() && this.peek(/^[+\-−]/) === null) {
        value = multiply(value, this.power());
      } else {
        return sign < 0 ? multiply(exact(-1n), value) : value;
      }
    }
  }

  private signedPower(): Value {
    const sign = this.sign();
    const value = this.power();
    return sign < 0 ? multiply(exact(-1n), value) : value;
  }

  private power(): Value {
    let value = this.atom();
    for (;;) {
      if (this.take(/^!/) !== null) value = factorial(value);
      else if (this.take(/^\\?%/) !== null) value = divide(value, exact(100n));
      else if (this.take(/^\^/) !== null) value = raise(value, this.exponent());
      else return value;
    }
  }

  private exponent(): Value {
    const digit = this.take(/^\d/);
    if (digit !== null) return exact(BigInt(digit));
    return this.atom();
  }

  private startsTerm(): boolean {
    // Inside bars, a bar closes.
    if (this.bars > 0 && this.peek(/^\|/) !== null) return false;
    return this.peek(/^(?:\d|\.\d|[a-zA-Z({[|]|\\(?:[dt]?frac|sqrt|pi|[a-zA-Z]+)|π|√)/) !== null;
  }

  private atom(): Value {
    const number = this.take(
      /^(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)?\.\d+|^(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)/,
    );
    if (number !== null) return decimal(number.replaceAll(',', ''));
    if (this.take(/^\\[dt]?frac(?![a-zA-Z])/) !== null) {
      const over = this.argument();
      return divide(over, this.argument());
    }
    if (this.take(/^(?:\\sqrt(?![a-zA-Z])|√)/) !== null) return this.root();
    if (this.take(/^(?:\\pi(?![a-zA-Z])|π)/) !== null) return { real: Math.PI };
    const name = this.peek(/^\\[a-zA-Z]+/)?.slice(1);
    if (name !== undefined && name in functions) {
      this.take(/^\\[a-zA-Z]+/);
      const apply = functions[name] as (x: number) => number;
      return { real: apply(numberOf(this.power())) };
    }
    return this.group();
  }

  private group(): Value {
    const pairs: readonly (readonly [RegExp, RegExp])[] = [
      [/^\(/, /^\)/],
      [/^\{/, /^\}/],
      [/^\[/, /^\]/],
      [/^\|/, /^\|/],
    ];
    for (const [open, close] of pairs) {
      const mark = this.take(open);
      if (mark === null) continue;
      if (mark === '|') this.bars++;
      const value = this.sum();
      if (mark === '|') this.bars--;
      if (this.take(close) === null) throw new NoValue();
      return mark === '|' ? magnitude(value) : value;
    }
    throw new NoValue();
  }

  /** In braces: `\frac12` is nothing that the rule's parser reads. */
  private argument(): Value {
    if (this.peek(/^\{/) === null) throw new NoValue();
    return this.group();
  }

  private root(): Value {
    let degree: Value = exact(2n);
    if (this.take(/^\[/) !== null) {
      degree = this.sum();
      if (this.take(/^\]/) === null) throw new NoValue();
    }
    const inner = this.peek(/^\d/) === null ? this.group() : exact(BigInt(this.take(/^\d/) ?? 0));
    return { real: numberOf(inner) ** (1 / numberOf(degree)) };
  }

  private peek(pattern: RegExp): string | null {
    const rest = this.text.slice(this.at);
    const skipped = ignored.exec(rest)?.[0].length ?? 0;
    const match = pattern.exec(rest.slice(skipped));
    return match?.[0] ? match[0] : null;
  }

  private take(pattern: RegExp): string | null {
    const found = this.peek(pattern);
    if (found === null) return null;
    const skipped = ignored.exec(this.text.slice(this.at))?.[0].length ?? 0;
    this.at += skipped + found.length;
    return found;
  }
}

function exact(over: bigint, under = 1n): Value {
  if (under === 0n) throw new NoValue();
  return under < 0n ? { over: -over, under: -under } : { over, under };
}

function decimal(text: string): Value {
  const [whole = '', places = ''] = text.split('.');
  return exact(BigInt(`${whole || '0'}${places}`), 10n ** BigInt(places.length));
}

function numberOf(value: Value): number {
  if ('real' in value) return value.real;
  const { over, under } = value;
  const direct = Number(over) / Number(under);
  if (Number.isFinite(direct)) return direct;
  // Both are out of a double's range: their quotient to 18 decimals.
  return Number((over * 10n ** 18n) / under) / 1e18;
}

function add(a: Value, b: Value): Value {
  if ('real' in a || 'real' in b) return { real: numberOf(a) + numberOf(b) };
  return exact(a.over * b.under + b.over * a.under, a.under * b.under);
}

function multiply(a: Value, b: Value): Value {
  if ('real' in a || 'real' in b) return { real: numberOf(a) * numberOf(b) };
  return exact(a.over * b.over, a.under * b.under);
}

function divide(a: Value, b: Value): Value {
  if ('real' in a || 'real' in b) return { real: numberOf(a) / numberOf(b) };
  return exact(a.over * b.under, a.under * b.over);
}

function raise(base: Value, exponent: Value): Value {
  const power = numberOf(exponent);
  if ('real' in base || !Number.isInteger(power)) return { real: numberOf(base) ** power };
  const digits =
    Math.abs(power) * Math.max(base.over.toString().length, base.under.toString().length);
  if (digits > maxDigits) throw new NoValue();
  const size = BigInt(Math.abs(power));
  const [over, under] = [base.over ** size, base.under ** size];
  return power < 0 ? exact(under, over) : exact(over, under);
}

function factorial(value: Value): Value {
  const n = numberOf(value);
  if (!Number.isInteger(n) || n < 0 || n > 500) throw new NoValue();
  let product = 1n;
  for (let i = 2n; i <= BigInt(n); i++) product *= i;
  return exact(product);
}

function magnitude(value: Value): Value {
  return numberOf(value) < 0 ? multiply(exact(-1n), value) : value;
}
