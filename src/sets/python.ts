/** Python's numbers and texts where an official rule rests on them. */

const number = String.raw`[+-]?(?:(?:\d+(?:_\d+)*)?\.?(?:\d+(?:_\d+)*)?(?:[eE][+-]?\d+(?:_\d+)*)?)`;
const floatText = new RegExp(`^${number}$`);

/** `float(value)`. @returns null where Python raises */
export function pythonFloat(value: unknown): number | null {
  if (typeof value === 'number') return value;
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (typeof value !== 'string') return null;
  const text = value.trim();
  const named = /^([+-]?)(inf(?:inity)?|nan)$/i.exec(text);
  if (named) {
    if (/nan/i.test(named[2] ?? '')) return Number.NaN;
    return named[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }
  if (!floatText.test(text) || !/\d/.test(text) || /\d_\.|\._|^[+-]?[eE]/.test(text)) return null;
  const plain = Number(text.replaceAll('_', ''));
  return Number.isNaN(plain) ? null : plain;
}

/** `str(int(float(value)))`: towards zero, all digits. @returns null where Python raises */
export function pythonIntOfFloat(value: unknown): string | null {
  const float = pythonFloat(value);
  return float === null || !Number.isFinite(float) ? null : BigInt(Math.trunc(float)).toString();
}

/** `str(int(text))`: no point, no exponent. @returns null where Python raises */
export function pythonInt(text: string): string | null {
  const trimmed = text.trim();
  return /^[+-]?\d+(?:_\d+)*$/.test(trimmed)
    ? BigInt(trimmed.replaceAll('_', '').replace(/^\+/, '')).toString()
    : null;
}

/** `round(value, places)`: to the nearest decimal of the double's exact value, exact ties to even.
 *  @param places 0 to 20 */
export function pythonRound(value: number, places: number): number {
  if (!Number.isFinite(value) || Math.abs(value) >= 1e21) return value;
  const size = Math.abs(value);
  // toFixed is exact but takes the larger of two equally near; only then is there anything to mend.
  const upper = size.toFixed(places);
  const lower = Number(upper) - Number(`1e-${places}`);
  const isTie = isHalfway(size, places);
  const digits = isTie && isOdd(upper) ? lower.toFixed(places) : upper;
  return Math.sign(value) * Number(digits) || (Object.is(value, -0) || value < 0 ? -0 : 0);
}

/** A double with a tie at `places` decimals has no more than places + 1 decimals, the last a 5. */
function isHalfway(size: number, places: number): boolean {
  if (places >= 22) return false;
  const exact = size.toFixed(Math.min(100, places + 60));
  const decimals = exact.split('.')[1] ?? '';
  return decimals[places] === '5' && /^0*$/.test(decimals.slice(places + 1));
}

function isOdd(digits: string): boolean {
  return Number(digits.at(-1)) % 2 === 1;
}

/** `str(float)`: the shortest digits that come back, an exponent below 1e-4 and from 1e16 on. */
export function pythonFloatText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const exponent = Number(value.toExponential().split('e')[1]);
  if (exponent < -4 || exponent >= 16) {
    const [mantissa = '', power = ''] = value.toExponential().split('e');
    const digits = power.slice(1).padStart(2, '0');
    return `${mantissa}e${power.startsWith('-') ? '-' : '+'}${digits}`;
  }
  const text = exponent < 0 ? plainDecimal(value) : String(value);
  return text.includes('.') ? text : `${text}.0`;
}

/** Below 1e-6 JavaScript writes an exponent, but those come here only from 1e-4 on. */
function plainDecimal(value: number): string {
  return String(value);
}

/** `str(value)` of what JSON can hold; a number with no fraction is taken for an int. */
export function pythonText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number') {
    return Number.isInteger(value) ? String(value) : pythonFloatText(value);
  }
  if (Array.isArray(value)) return `[${value.map(pythonRepr).join(', ')}]`;
  const entries = Object.entries(value as object);
  return `{${entries.map(([key, one]) => `${pythonRepr(key)}: ${pythonRepr(one)}`).join(', ')}}`;
}

function pythonRepr(value: unknown): string {
  if (typeof value !== 'string') return pythonText(value);
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
  const escaped = value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return `${quote}${quote === "'" ? escaped.replaceAll("'", "\\'") : escaped}${quote}`;
}
