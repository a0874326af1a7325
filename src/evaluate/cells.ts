import { SteptreeError } from '../../search/errors.js';
import { STRATEGY_NAMES, type StrategyNeed } from '../../search/strategies/index.js';
import { needsOf, requireStrategy } from '../runtime/solve.js';
import { readSettings } from './spec.js';

/** One column of a comparison: a strategy with its options at one N. */
export interface Cell {
  /** As the user wrote it, `beam:beamWidth=2`; names the row of every table. */
  readonly label: string;
  /** A name of `STRATEGIES`. */
  readonly strategy: string;
  readonly needs: readonly StrategyNeed[];
  /** Candidates at most; 1 for a strategy without N, such as greedy. */
  readonly n: number;
  readonly options: Readonly<Record<string, unknown>>;
}

/** Cells of `specs` x `ns`, in that order, so that a pool of samples grows and is shared.
 *  A spec is a strategy's name and perhaps options of its own: `best-of-n:selection=weighted`.
 *  A strategy without an option `n` has one cell.
 *  @throws SteptreeError STRATEGY_UNKNOWN, OPTION_CELL_INVALID */
export function makeCells(specs: readonly string[], ns: readonly number[]): Cell[] {
  const labels = new Set<string>();
  return specs.flatMap((label) => {
    if (labels.has(label)) throw invalid(label, 'it is listed twice');
    labels.add(label);
    const [name = '', ...settings] = label.split(':');
    const strategy = requireStrategy(name);
    const known = Object.keys(strategy.options.shape);
    const options = readSettings(settings, known, (reason) => invalid(label, reason));
    const takesN = Object.hasOwn(strategy.options.shape, 'n');
    const sizes = takesN && options.n === undefined ? ns : [Number(options.n ?? 1)];
    return sizes.map((n): Cell => {
      const full = takesN ? { ...options, n } : options;
      const parsed = strategy.options.safeParse(full);
      if (!parsed.success) {
        const issue = parsed.error.issues[0];
        throw invalid(
          label,
          `${String(issue?.path[0] ?? 'options')} at n = ${n}: ${issue?.message ?? 'invalid'}`,
        );
      }
      return { label, strategy: name, needs: needsOf(strategy, full), n, options: full };
    });
  });
}

export function cellName({ label, n }: Pick<Cell, 'label' | 'n'>): string {
  return `${label} @${n}`;
}

function invalid(label: string, reason: string): SteptreeError {
  return new SteptreeError(
    'OPTION_CELL_INVALID',
    `strategy "${label}": ${reason}; write NAME or NAME:OPTION=VALUE, with NAME one of ${STRATEGY_NAMES.join(', ')}`,
    { strategy: label },
  );
}
