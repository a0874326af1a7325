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
  ton: ['mass', 1000],
  tonne: ['mass', 1000],
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
  // Not converted to days, whose number differs.
  month: ['calendar', 1],
  year: ['calendar', 12],
  yr: ['calendar', 12],
  decade: ['calendar', 120],
  century: ['calendar', 1200],
  centuries: ['calendar', 1200],
  ml: ['volume', 1e-6],
  mL: ['volume', 1e-6],
  milliliter: ['volume', 1e-6],
  millilitre: ['volume', 1e-6],
  l: ['volume', 1e-3],
  L: ['volume', 1e-3],
  liter: ['volume', 1e-3],
  litre: ['volume', 1e-3],
  gallon: ['volume', 3.785411784e-3],
  quart: ['volume', 9.46352946e-4],
  pint: ['volume', 4.73176473e-4],
  acre: ['area', 4046.8564224],
  hectare: ['area', 1e4],
  N: ['force', 1],
  newton: ['force', 1],
  J: ['energy', 1],
  joule: ['energy', 1],
  kJ: ['energy', 1e3],
  kilojoule: ['energy', 1e3],
  kWh: ['energy', 3.6e6],
  'kilowatt-hour': ['energy', 3.6e6],
  W: ['power', 1],
  watt: ['power', 1],
  kW: ['power', 1e3],
  kilowatt: ['power', 1e3],
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
  K: ['kelvin', 1],
  kelvin: ['kelvin', 1],
  '°': ['angle', 1],
  degree: ['angle', 1],
  deg: ['angle', 1],
  rad: ['radian', 1],
  radian: ['radian', 1],
  '°C': ['temperature', 1],
  celsius: ['temperature', 1],
  'degree celsius': ['temperature', 1],
  'degrees celsius': ['temperature', 1],
  '°F': ['fahrenheit', 1],
  fahrenheit: ['fahrenheit', 1],
  'degree fahrenheit': ['fahrenheit', 1],
  'degrees fahrenheit': ['fahrenheit', 1],
  $: ['money', 1],
  dollar: ['money', 1],
  cent: ['money', 0.01],
  '¢': ['money', 0.01],
  '€': ['euro', 1],
  euro: ['euro', 1],
  USD: ['money', 1],
  'm/s': ['speed', 1],
  'cm/s': ['speed', 1e-2],
  'km/s': ['speed', 1e3],
  'ft/s': ['speed', 0.3048],
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
  毫米: ['length', 1e-3],
  厘米: ['length', 1e-2],
  分米: ['length', 0.1],
  米: ['length', 1],
  千米: ['length', 1e3],
  公里: ['length', 1e3],
  平方厘米: ['area', 1e-4],
  平方米: ['area', 1],
  立方厘米: ['volume', 1e-6],
  立方米: ['volume', 1],
  毫升: ['volume', 1e-6],
  升: ['volume', 1e-3],
  克: ['mass', 1e-3],
  千克: ['mass', 1],
  公斤: ['mass', 1],
  吨: ['mass', 1000],
  秒: ['time', 1],
  分钟: ['time', 60],
  小时: ['time', 3600],
  天: ['time', 86_400],
  月: ['calendar', 1],
  年: ['calendar', 12],
  度: ['angle', 1],
  元: ['yuan', 1],
};

/** Words behind a number that turn its meaning round: 20 more is not 20 fewer. */
const directions: readonly (readonly string[])[] = [
  'more greater larger higher increase increased gain profit above up'.split(' '),
  'less fewer smaller lower decrease decreased loss below down'.split(' '),
  ['north'],
  ['south'],
  ['east'],
  ['west'],
  ['left'],
  ['right'],
  ['clockwise'],
  ['counterclockwise', 'counter-clockwise', 'anticlockwise'],
  ['ago', 'before', 'earlier'],
  ['after', 'later'],
  ['win', 'wins'],
  ['losses'],
];

/** @returns what tells it apart from opposite directions; undefined where `words` name none */
export function directionOf(words: string): string | undefined {
  const named = words.toLowerCase().split(/\s+/);
  return directions.find((group) => named.some((word) => group.includes(word)))?.[0];
}

/** `percent` is no unit: it changes the number. */
export const percentSign = /^(?:%|percent|per cent|pct|percentage|percents)\.?$/i;

/** Signs that stand before or behind an amount; those of several currencies name no unit. */
export const currencySign = '[$€£¥₹₽]';

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
