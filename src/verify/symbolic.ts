/** Computer algebra for what the rules leave open: integrals, limits, series, derivatives.
 *
 *  The library's own word is never taken alone: its "equal" must not be refuted, and "unknown" may be
 *  confirmed, by the values of both sides at seeded points. It may hang or fill the heap; it runs in a
 *  process that can be killed (`check-pool.ts`). */
import { createRequire } from 'node:module';
import type { ComputeEngine } from '@cortex-js/compute-engine';
import { createRandom } from '../../search/rng.js';
import type { SymbolicComparer } from './equivalence.js';
import { parseExpression } from './expression/parse.js';
import { isTooSteep } from './expression/sampling.js';
import { plainMath, rowEnd, setClose, setOpen } from './latex.js';

type Library = typeof import('@cortex-js/compute-engine');
type Boxed = NonNullable<ReturnType<ComputeEngine['parse']>>;

/** Longer texts are no answers that are worth minutes. In UTF-16 units. */
const maxLength = 1_000;
const pointCount = 8;
const neededPoints = 4;

// Loaded with the module, before the first check's time begins: it takes half a second.
const library = createRequire(import.meta.url)('@cortex-js/compute-engine') as Library;
const engine = new library.ComputeEngine();

const compare: SymbolicComparer = (gold, predicted, { precision }) => {
  if ([gold, predicted].some(isSteep)) return 'unknown';
  const [left, right] = [readLatex(gold), readLatex(predicted)];
  if (!left || !right) return 'unknown';
  // Only what is written as a decimal may have been rounded.
  const places = /\d\.\d/.test(gold + predicted) ? precision : undefined;
  const sampled = compareSamples(left, right, places);
  if (sampled !== 'unknown') return sampled;
  return left.isSame(right) || left.simplify().isSame(right.simplify()) ? 'equal' : 'unknown';
};

export default compare;

/** What the library takes for something else, instead of refusing it. */
const misread: readonly RegExp[] = [
  // Sums and products without an index.
  /\\(?:sum|prod)(?!\s*_\s*\{?\s*[a-zA-Z]\s*=)/,
  // Integrals along curves, and those without bounds, which are one of many functions.
  /\\(?:oint|iint|iiint)(?![a-z])|\\int(?!\s*_\s*(?:\{[^{}]*\}|\S|\\[a-z]+\s?)\s*\^)/,
  // f(x) would be f times x, and dy/dx zero.
  /(?:^|[^a-zA-Z\\])[fghFGHPQ]'*\s*\(/,
  /\\frac\s*\{\s*(?:d|\\partial)(?:\s*\^\s*\{?\d\}?)?\s*[a-zA-Z]/,
];

/** What our own sampling refuses for its size would only be expanded here. */
function isSteep(answer: string): boolean {
  const node = parseExpression(plainMath(answer));
  return node !== undefined && isTooSteep(node);
}

function readLatex(answer: string): Boxed | undefined {
  const plain = plainMath(answer);
  if (plain.length > maxLength || misread.some((pattern) => pattern.test(plain))) return undefined;
  const value = /^[A-Za-z](?:\([A-Za-z]\))?\s*=\s*(.+)$/s.exec(plain)?.[1] ?? plain;
  const latex = value
    .replaceAll(setOpen, '\\{')
    .replaceAll(setClose, '\\}')
    .replaceAll(rowEnd, '\\\\')
    .replaceAll('*', '\\cdot ')
    .replaceAll('°', '^\\circ ')
    .replaceAll('%', '\\%');
  const parsed = engine.parse(latex);
  if (!parsed?.isValid) return undefined;
  const result = parsed.evaluate();
  return result.isValid ? result : undefined;
}

/** Values at the same points of all variables; whole ones where sums depend on them. */
function compareSamples(
  left: Boxed,
  right: Boxed,
  precision: number | undefined,
): 'equal' | 'different' | 'unknown' {
  const names = [...new Set([...left.unknowns, ...right.unknowns])].sort();
  if (names.length > 12) return 'unknown';
  const isDiscrete = [left, right].some((side) =>
    /"(?:Sum|Product|Factorial|Choose)"/.test(JSON.stringify(side.json)),
  );
  const random = createRandom('check');
  let agreed = 0;
  const count = names.length === 0 ? 1 : pointCount;
  for (let index = 0; index < count; index++) {
    const at = Object.fromEntries(
      names.map((name) => [
        name,
        isDiscrete ? 1 + Math.floor(random() * 9) : 0.25 + random() * 2.5,
      ]),
    );
    const [a, b] = [valueAt(left, at), valueAt(right, at)];
    if (!a || !b) continue;
    if (!isNear(a, b, precision)) return 'different';
    agreed++;
  }
  return agreed >= Math.min(count, neededPoints) ? 'equal' : 'unknown';
}

function valueAt(side: Boxed, at: Record<string, number>): { re: number; im: number } | undefined {
  const value = side.subs(at).N();
  const { re, im } = value;
  return Number.isFinite(re) && Number.isFinite(im) ? { re, im } : undefined;
}

function isNear(
  a: { re: number; im: number },
  b: { re: number; im: number },
  precision: number | undefined,
): boolean {
  const difference = Math.hypot(a.re - b.re, a.im - b.im);
  const size = Math.max(Math.hypot(a.re, a.im), Math.hypot(b.re, b.im));
  if (difference <= 1e-9 * size || difference < 1e-12) return true;
  return precision !== undefined && difference <= 0.5 * 10 ** -precision;
}
