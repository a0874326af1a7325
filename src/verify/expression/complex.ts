/** Complex numbers in doubles that carry a bound of their error, so that a comparison knows what it
 *  can tell apart. */
export interface Value {
  readonly re: number;
  readonly im: number;
  /** Absolute, of re and im together; an estimate from above, not a proof. */
  readonly error: number;
}

const epsilon = 2 ** -52;

export function real(re: number, error = Math.abs(re) * epsilon): Value {
  return { re, im: 0, error };
}

export function complex(re: number, im: number, error: number): Value {
  return { re, im, error: error + Math.hypot(re, im) * epsilon };
}

export const imaginaryUnit: Value = { re: 0, im: 1, error: 0 };

export function size(a: Value): number {
  return a.im === 0 ? Math.abs(a.re) : Math.hypot(a.re, a.im);
}

export function isDefined(a: Value): boolean {
  return Number.isFinite(a.re) && Number.isFinite(a.im) && Number.isFinite(a.error);
}

/** Whether nothing but zero is within the error. */
export function isZero(a: Value): boolean {
  return size(a) <= a.error;
}

export function isReal(a: Value): boolean {
  return Math.abs(a.im) <= a.error;
}

export function add(a: Value, b: Value): Value {
  return complex(a.re + b.re, a.im + b.im, a.error + b.error);
}

export function negate(a: Value): Value {
  return { re: -a.re, im: a.im === 0 ? 0 : -a.im, error: a.error };
}

export function multiply(a: Value, b: Value): Value {
  const error = size(a) * b.error + size(b) * a.error + a.error * b.error;
  return a.im === 0 && b.im === 0
    ? complex(a.re * b.re, 0, error)
    : complex(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re, error);
}

/** NaN where the divisor may be zero. */
export function divide(a: Value, b: Value): Value {
  const below = size(b);
  if (isZero(b) || below === 0) return { re: Number.NaN, im: 0, error: 0 };
  const square = below * below;
  const re = b.im === 0 ? a.re / b.re : (a.re * b.re + a.im * b.im) / square;
  const im = b.im === 0 ? a.im / b.re : (a.im * b.re - a.re * b.im) / square;
  return complex(re, im, (a.error + Math.hypot(re, im) * b.error) / below);
}

export function exponential(a: Value): Value {
  const scale = Math.exp(a.re);
  const error = scale * (a.error + Math.abs(a.re) * epsilon);
  return a.im === 0
    ? complex(scale, 0, error)
    : complex(scale * Math.cos(a.im), scale * Math.sin(a.im), error);
}

/** Principal value; NaN at zero. */
export function logarithm(a: Value): Value {
  const length = size(a);
  if (length <= a.error || length === 0) return { re: Number.NaN, im: 0, error: 0 };
  const angle = a.im === 0 ? (a.re < 0 ? Math.PI : 0) : Math.atan2(a.im, a.re);
  return complex(Math.log(length), angle, a.error / length + epsilon);
}

/** Principal value of a to the b. Whole exponents are multiplied out, so that real stays real. */
export function power(a: Value, b: Value): Value {
  if (b.im === 0 && Number.isInteger(b.re) && b.error <= Math.abs(b.re) * epsilon) {
    return wholePower(a, b.re);
  }
  if (isZero(a)) return b.re > 0 ? real(0, a.error ** Math.min(1, b.re)) : real(Number.NaN);
  if (a.im === 0 && a.re > 0 && b.im === 0) {
    const result = a.re ** b.re;
    const relative = (Math.abs(b.re) * a.error) / a.re + Math.abs(Math.log(a.re)) * b.error;
    return complex(result, 0, Math.abs(result) * (relative + 2 * epsilon));
  }
  return exponential(multiply(logarithm(a), b));
}

function wholePower(a: Value, exponent: number): Value {
  const count = Math.abs(exponent);
  if (a.im === 0) {
    if (a.re === 0 && exponent <= 0) return exponent === 0 ? real(1) : real(Number.NaN);
    const result = a.re ** exponent;
    const relative = a.re === 0 ? 0 : (count * a.error) / Math.abs(a.re) + 2 * epsilon;
    return complex(result, 0, Math.abs(result) * relative);
  }
  const length = size(a);
  const angle = Math.atan2(a.im, a.re) * exponent;
  const scale = length ** exponent;
  if (count <= 64) {
    let product: Value = real(1);
    for (let step = 0; step < count; step++) product = multiply(product, a);
    return exponent < 0 ? divide(real(1), product) : product;
  }
  return complex(
    scale * Math.cos(angle),
    scale * Math.sin(angle),
    scale * count * (a.error / length + 4 * epsilon),
  );
}
