/** Units that may follow a number: taken off before numbers are compared, and converted where
 *  both answers name one of the same dimension. */
export interface Unit {
  readonly dimension: string;
  /** How many base units of the dimension one of this unit is. */
  readonly factor: number;
}

/** name -> [dimension, factor]; plurals and powers are derived below. */
const baseUnits: Readonly<Record<string, readonly [string, number]>> = {
  nm: ['length', 1e-9],
  μm: ['length', 1e-6],
  µm: ['length', 1e-6],
  mm: ['length', 1e-3],
  millimeter: ['length', 1e-3],
  millimetre: ['length', 1e-3],
  cm: ['length', 1e-2],
  centimeter: ['length', 1e-2],
  centimetre: ['length', 1e-2],
  dm: ['length', 0.1],
  m: ['length', 1],
  meter: ['length', 1],
  metre: ['length', 1],
  km: ['length', 1e3],
  kilometer: ['length', 1e3],
  kilometre: ['length', 1e3],
  in: ['length', 0.0254],
  inch: ['length', 0.0254],
  inches: ['length', 0.0254],
  ft: ['length', 0.3048],
  foot: ['length', 0.3048],
  feet: ['length', 0.3048],
  yd: ['length', 0.9144],
  yard: ['length', 0.9144],
  mi: ['length', 1609.344],
  mile: ['length', 1609.344],
  unit: ['count', 1],
  mg: ['mass', 1e-6],
  g: ['mass', 1e-3],
  gram: ['mass', 1e-3],
  kg: ['mass', 1],
  kilogram: ['mass', 1],
  lb: ['mass', 0.45359237],
  pound: ['mass', 0.45359237],
  ounce: ['mass', 0.028349523125],
  oz: ['mass', 0.028349523125],
  ms: ['time', 1e-3],
  s: ['time', 1],
  sec: ['time', 1],
  second: ['time', 1],
  min: ['time', 60],
  minute: ['time', 60],
  h: ['time', 3600],
  hr: ['time', 3600],
  hour: ['time', 3600],
  day: ['time', 86_400],
  week: ['time', 604_800],
  ml: ['volume', 1e-6],
  mL: ['volume', 1e-6],
  milliliter: ['volume', 1e-6],
  millilitre: ['volume', 1e-6],
  l: ['volume', 1e-3],
  L: ['volume', 1e-3],
  liter: ['volume', 1e-3],
  litre: ['volume', 1e-3],
  N: ['force', 1],
  newton: ['force', 1],
  J: ['energy', 1],
  joule: ['energy', 1],
  W: ['power', 1],
  watt: ['power', 1],
  V: ['voltage', 1],
  volt: ['voltage', 1],
  A: ['current', 1],
  ampere: ['current', 1],
  Ω: ['resistance', 1],
  ohm: ['resistance', 1],
  Hz: ['frequency', 1],
  hertz: ['frequency', 1],
  Pa: ['pressure', 1],
  kPa: ['pressure', 1e3],
  mol: ['amount', 1],
  K: ['temperature', 1],
  '°': ['angle', 1],
  degree: ['angle', 1],
  deg: ['angle', 1],
  '°C': ['temperature', 1],
  '°F': ['fahrenheit', 1],
  dollar: ['money', 1],
  cent: ['money', 0.01],
  euro: ['euro', 1],
  USD: ['money', 1],
  'm/s': ['speed', 1],
  'km/h': ['speed', 1 / 3.6],
  kmh: ['speed', 1 / 3.6],
  'kilometers per hour': ['speed', 1 / 3.6],
  'kilometres per hour': ['speed', 1 / 3.6],
  'meters per second': ['speed', 1],
  'metres per second': ['speed', 1],
  mph: ['speed', 0.44704],
  'miles per hour': ['speed', 0.44704],
  'm/s^2': ['acceleration', 1],
  'g/cm^3': ['density', 1000],
  'kg/m^3': ['density', 1],
};

/** `percent` is no unit: it changes the number. */
export const percentSign = /^(?:%|percent|per cent|pct|percentage|percents)\.?$/i;

/** The unit that `text` names as a whole, such as `cm^2`, `square feet` or `dollars`.
 *  @returns undefined where it names none that is known */
export function unitNamed(text: string): Unit | undefined {
  const trimmed = text.trim().replace(/^\*\s*|\.$/g, '');
  return simpleUnit(trimmed) ?? poweredUnit(trimmed);
}

function poweredUnit(text: string): Unit | undefined {
  const power =
    /^(?:(square|sq\.?|cubic|cu\.?)\s*)?(.+?)(?:\s*\^\s*\{?\s*([23])\s*\}?|\s+(squared|cubed))?$/i.exec(
      text,
    );
  if (!power) return undefined;
  const [, before = '', name = '', digit = '', after = ''] = power;
  const exponent = /^(sq)/i.test(before + after) || digit === '2' ? 2 : 3;
  if (before + digit + after === '') return undefined;
  const base = simpleUnit(name);
  if (base?.dimension === 'count') return base;
  if (base?.dimension !== 'length') return undefined;
  return { dimension: exponent === 2 ? 'area' : 'volume', factor: base.factor ** exponent };
}

function simpleUnit(name: string): Unit | undefined {
  const entry =
    ownEntry(name) ??
    (name.length > 2 ? ownEntry(name.toLowerCase()) : undefined) ??
    (/^[a-z]{3,}s$/i.test(name) || name === 'lbs' ? ownEntry(singular(name)) : undefined);
  return entry && { dimension: entry[0], factor: entry[1] };
}

function ownEntry(name: string): readonly [string, number] | undefined {
  return Object.hasOwn(baseUnits, name) ? baseUnits[name] : undefined;
}

function singular(name: string): string {
  return name.toLowerCase().replace(/s$/, '');
}
