/** Reads one expression in plain notation (see `plainMath`): LaTeX, calculator style or a mix. */
import { parseDecimal } from '../rational.js';
import { call, type Expression, wholeNumber } from './ast.js';
import { isNamedFunction } from './functions.js';
import { type Token, tokenize } from './tokens.js';

/** Longer or deeper expressions are no answers that rules should judge. */
const maxTokens = 1_000;
const maxDepth = 40;

/** Letters that stand for functions where brackets follow. */
const functionLetters = /^[fghFGHPQ]$/;

/** Commands that build something else than an expression. */
const foreign = new Set(
  'int iint oint lim limsup liminf begin end cup cap in notin subset subseteq setminus to mapsto rightarrow Rightarrow implies iff forall exists land lor lnot neg equiv cong sim perp parallel partial nabla ldots dots cdots dotsc dotsb vdots emptyset varnothing pm mp pmod pmatrix oplus otimes wedge vee bigcup bigcap text circ'
    .split(' ')
    .map((name) => `\\${name}`),
);

/** Commands that end a factor. */
const separators = new Set(['\\mod', '\\bmod', '\\choose', '\\over', '\\rfloor', '\\rceil']);

/** Decorations of a symbol: they are part of its name. */
const decorations = new Set(
  'vec hat bar tilde dot ddot overline underline overrightarrow overleftrightarrow widehat widetilde overset'
    .split(' ')
    .map((name) => `\\${name}`),
);

const plainSymbols: Readonly<Record<string, string>> = {
  '\\infinity': '\\infty',
  '\\imath': 'i',
};

/** @returns undefined for what is no single expression: relations, lists, words, calculus.
 *  Never throws; time linear in the length */
export function parseExpression(text: string): Expression | undefined {
  if (text.length > 4 * maxTokens) return undefined;
  const tokens = tokenize(text, maxTokens);
  if (!tokens || tokens.length === 0) return undefined;
  try {
    return new ExpressionParser(tokens).whole();
  } catch (error) {
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
}

class Unreadable extends Error {}

class ExpressionParser {
  private position = 0;
  private depth = 0;
  /** Absolute values that are open: a bar then closes one. */
  private bars = 0;

  constructor(private readonly tokens: Token[]) {}

  whole(): Expression {
    const top = this.sum();
    const expression = this.take('\\over') ? call('divide', top, this.sum()) : top;
    if (this.position < this.tokens.length) throw new Unreadable();
    return expression;
  }

  private peek(offset = 0): string | undefined {
    return this.tokens[this.position + offset]?.text;
  }

  private take(text: string): boolean {
    if (this.peek() !== text) return false;
    this.position++;
    return true;
  }

  private expect(text: string): void {
    if (!this.take(text)) throw new Unreadable();
  }

  private nested<T>(read: () => T): T {
    if (++this.depth > maxDepth) throw new Unreadable();
    const result = read();
    this.depth--;
    return result;
  }

  /** A part in brackets: bars outside don't end in there. */
  private enclosed(close: string): Expression {
    const { bars } = this;
    this.bars = 0;
    const inner = this.sum();
    this.expect(close);
    this.bars = bars;
    return inner;
  }

  private sum(): Expression {
    return this.nested(() => {
      const terms = [this.product()];
      for (;;) {
        if (this.take('+')) terms.push(this.product());
        else if (this.take('-')) terms.push(call('negate', this.product()));
        else break;
      }
      const [first] = terms;
      return terms.length === 1 && first ? first : call('add', ...terms);
    });
  }

  private product(): Expression {
    let product = this.signed();
    for (;;) {
      if (this.take('*')) product = call('multiply', product, this.signed());
      else if (this.take('/')) product = call('divide', product, this.signed());
      else if (this.take('\\mod') || this.take('\\bmod')) {
        product = call('mod', product, this.signed());
      } else if (this.startsFactor()) product = this.juxtaposed(product);
      else return product;
    }
  }

  /** `2x` multiplies; `2\frac{1}{3}` is two and a third. */
  private juxtaposed(left: Expression): Expression {
    const mixed = left.kind === 'number' && !left.decimal && this.peek() === '\\frac';
    const right = this.power();
    return call(mixed && isProperFraction(right) ? 'add' : 'multiply', left, right);
  }

  private startsFactor(): boolean {
    const token = this.tokens[this.position];
    if (!token) return false;
    const before = this.tokens[this.position - 1];
    // Two numbers side by side are a slip or a list.
    if (token.kind === 'number') return before?.kind === 'sign';
    if (token.kind === 'letter') return true;
    if (token.kind === 'command') {
      return !foreign.has(token.text) && !separators.has(token.text);
    }
    if (token.text === '|') return this.bars === 0;
    return token.text === '(' || token.text === '{' || token.text === '[';
  }

  private signed(): Expression {
    if (this.take('-')) return this.nested(() => call('negate', this.signed()));
    if (this.take('+')) return this.nested(() => this.signed());
    return this.power();
  }

  private power(): Expression {
    let base = this.postfix(this.atom());
    if (this.take('^')) base = this.raised(base);
    return base;
  }

  private raised(base: Expression): Expression {
    const exponent = this.nested(() => this.argument());
    const whole = this.take('^') ? this.raised(exponent) : exponent;
    return this.postfix(call('power', base, whole));
  }

  private postfix(base: Expression): Expression {
    let value = base;
    for (;;) {
      if (this.take('!')) value = call('factorial', value);
      else if (this.take('°')) value = call('degrees', value);
      else if (this.take('%')) value = call('percent', value);
      else return value;
    }
  }

  private atom(): Expression {
    const token = this.tokens[this.position++];
    if (!token) throw new Unreadable();
    if (token.kind === 'number') return numberNode(token.text);
    if (token.kind === 'letter') return this.symbol(token.text);
    if (token.kind === 'command') return this.command(token.text);
    switch (token.text) {
      case '(':
        return this.enclosed(')');
      case '[':
        return this.enclosed(']');
      case '{':
        return this.group();
      case '|':
        return this.absolute();
      default:
        throw new Unreadable();
    }
  }

  /** `{…}`, which may hold TeX's `a \choose b` or `a \over b`. */
  private group(): Expression {
    const { bars } = this;
    this.bars = 0;
    let inner = this.sum();
    if (this.take('\\choose')) inner = call('binomial', inner, this.sum());
    else if (this.take('\\over')) inner = call('divide', inner, this.sum());
    this.expect('}');
    this.bars = bars;
    return inner;
  }

  private absolute(): Expression {
    this.bars++;
    const inner = this.sum();
    this.expect('|');
    this.bars--;
    return call('abs', inner);
  }

  private symbol(letter: string): Expression {
    const name = `${letter}${this.primes()}${this.subscript()}${this.primes()}`;
    const isFunction = functionLetters.test(letter) && this.peek() === '(';
    if (!isFunction) return { kind: 'symbol', name };
    this.position++;
    return { kind: 'unknown', name, args: this.list(')') };
  }

  private primes(): string {
    let marks = '';
    while (this.take("'")) marks += "'";
    return marks;
  }

  /** As part of the name: `x_1` and `x_{1}` are one, white space apart. */
  private subscript(): string {
    if (!this.take('_')) return '';
    if (!this.take('{')) {
      const token = this.tokens[this.position++];
      return token ? `_${token.text}` : '';
    }
    let name = '';
    let depth = 1;
    for (;;) {
      const token = this.tokens[this.position++];
      if (!token) throw new Unreadable();
      if (token.text === '{') depth++;
      if (token.text === '}' && --depth === 0) return `_${name}`;
      name += token.text;
    }
  }

  private list(close: string): Expression[] {
    const { bars } = this;
    this.bars = 0;
    const items: Expression[] = [];
    do items.push(this.sum());
    while (this.take(','));
    this.expect(close);
    this.bars = bars;
    return items;
  }

  private command(name: string): Expression {
    if (foreign.has(name)) throw new Unreadable();
    if (decorations.has(name)) return this.decorated(name);
    switch (name) {
      case '\\frac':
        return this.fraction();
      case '\\binom':
      case '\\dbinom':
      case '\\tbinom':
        return call('binomial', this.argument(), this.argument());
      case '\\sqrt':
        return this.root();
      case '\\log':
        return this.logarithm();
      case '\\gcd':
      case '\\lcm':
      case '\\max':
      case '\\min':
        this.expect('(');
        return call(name.slice(1), ...this.list(')'));
      case '\\lfloor':
        return call('floor', this.enclosed('\\rfloor'));
      case '\\lceil':
        return call('ceil', this.enclosed('\\rceil'));
      case '\\sum':
        return this.range('add');
      case '\\prod':
        return this.range('multiply');
      case '\\angle':
      case '\\triangle':
        return this.figure(name);
      case '\\Re':
        return call('real', this.bareArgument());
      case '\\Im':
        return call('imaginary', this.bareArgument());
    }
    if (isNamedFunction(name.slice(1))) return this.named(name.slice(1));
    return this.symbol(plainSymbols[name] ?? name);
  }

  private decorated(name: string): Expression {
    const start = this.position;
    if (this.take('{')) this.enclosed('}');
    else this.position++;
    const text = this.tokens
      .slice(start, this.position)
      .map((token) => token.text)
      .join('')
      .replace(/[{}]/g, '');
    return { kind: 'symbol', name: `${name} ${text}${this.subscript()}` };
  }

  /** `\angle ABC` is one quantity. */
  private figure(name: string): Expression {
    let letters = '';
    while (this.tokens[this.position]?.kind === 'letter') {
      letters += this.peek();
      this.position++;
    }
    return { kind: 'symbol', name: `${name} ${letters}` };
  }

  private fraction(): Expression {
    const isD = (offset: number) => this.peek(offset) === 'd';
    const startsWithD = isD(0) || (this.peek() === '{' && isD(1));
    const top = this.argument();
    // d/dx is calculus.
    if (startsWithD && this.peek() === '{' && isD(1) && this.peek(2) !== '}')
      throw new Unreadable();
    return call('divide', top, this.argument());
  }

  private root(): Expression {
    const degree = this.take('[') ? this.enclosed(']') : undefined;
    const radicand = this.take('(') ? this.enclosed(')') : this.argument();
    return degree ? call('root', radicand, degree) : call('sqrt', radicand);
  }

  private logarithm(): Expression {
    const base = this.take('_') ? this.argument() : undefined;
    const exponent = this.take('^') ? this.argument() : undefined;
    const inner = this.bareArgument();
    const value = base ? call('log', inner, base) : call('log', inner);
    return exponent ? call('power', value, exponent) : value;
  }

  /** `\sin x`, `\sin^2 x`, `\sin^{-1} x`, `\sin(x)`. */
  private named(name: string): Expression {
    if (!this.take('^')) return call(name, this.bareArgument());
    const exponent = this.argument();
    const isInverse =
      exponent.kind === 'call' &&
      exponent.name === 'negate' &&
      exponent.args[0]?.kind === 'number' &&
      exponent.args[0].approximate === 1;
    if (isInverse && /^(?:sin|cos|tan|cot|sec|csc)$/.test(name)) {
      return call(`arc${name}`, this.bareArgument());
    }
    return call('power', call(name, this.bareArgument()), exponent);
  }

  /** What a function without brackets applies to: `\sin 2x \cos y` is sin(2x) cos(y). */
  private bareArgument(): Expression {
    return this.nested(() => {
      if (this.take('(')) return this.enclosed(')');
      if (this.take('{')) return this.enclosed('}');
      if (this.take('-')) return call('negate', this.bareArgument());
      let product = this.power();
      while (this.continuesArgument()) product = this.juxtaposed(product);
      return product;
    });
  }

  private continuesArgument(): boolean {
    if (!this.startsFactor()) return false;
    const token = this.tokens[this.position];
    if (token?.kind === 'letter') return true;
    if (token?.kind !== 'command') return false;
    const name = token.text.slice(1);
    return !isNamedFunction(name) && !['log', 'sqrt', 'sum', 'prod'].includes(name);
  }

  /** `\sum_{k=1}^{n} body`; the body reaches to the next plus or minus. */
  private range(operator: 'add' | 'multiply'): Expression {
    this.expect('_');
    this.expect('{');
    const index = this.tokens[this.position++];
    if (index?.kind !== 'letter') throw new Unreadable();
    this.expect('=');
    const from = this.enclosed('}');
    this.expect('^');
    const to = this.argument();
    const body = this.product();
    return { kind: 'range', operator, index: index.text, from, to, body };
  }

  /** What a command or `^` applies to: a group, or as in TeX a single digit or sign. */
  private argument(): Expression {
    if (this.take('{')) return this.group();
    if (this.take('-')) return this.nested(() => call('negate', this.argument()));
    if (this.take('(')) return this.enclosed(')');
    const token = this.tokens[this.position];
    if (token?.kind === 'letter') {
      this.position++;
      return { kind: 'symbol', name: token.text };
    }
    // `\frac13` is one third, but calculators write 2^10 and 2^-10.
    const [sign, caret] = [this.peek(-1), this.peek(-2)];
    const isPower = sign === '^' || (sign === '-' && caret === '^');
    if (token?.kind === 'number' && !isPower && /^\d\d+$/.test(token.text)) {
      this.tokens.splice(
        this.position,
        1,
        { ...token, text: token.text.slice(0, 1) },
        { ...token, text: token.text.slice(1), spaced: false },
      );
    }
    return this.atom();
  }
}

function isProperFraction(node: Expression): boolean {
  if (node.kind !== 'call' || node.name !== 'divide') return false;
  const [top, bottom] = node.args;
  return (
    top?.kind === 'number' &&
    bottom?.kind === 'number' &&
    !top.decimal &&
    !bottom.decimal &&
    top.approximate < bottom.approximate
  );
}

function numberNode(text: string): Expression {
  const exact = parseDecimal(text);
  if (!exact) throw new Unreadable();
  if (/^\d{1,15}$/.test(text)) return wholeNumber(Number(text));
  return { kind: 'number', exact, approximate: Number(text), decimal: /[.eE]/.test(text) };
}
