import type { LabelMeasurement } from './label-bench.js';
import {
  compareLabels,
  type LabelComparison,
  type LabelErrors,
  labelErrors,
} from './label-errors.js';
import type { MeasuredMethod } from './label-methods.js';
import type { Estimate } from './statistics.js';

/** One method over all problems and repeats. */
export interface MethodSummary extends LabelErrors {
  readonly method: string;
  readonly againstBaseline?: LabelComparison;
}

/** @param baseline a method's label */
export function summarizeLabels(
  methods: readonly MeasuredMethod[],
  measured: Pick<LabelMeasurement, 'methods'>,
  baseline: string,
): MethodSummary[] {
  const base = measured.methods[methods.findIndex(({ label }) => label === baseline)];
  return methods.map(({ label }, i) => {
    const own = measured.methods[i] ?? [];
    return {
      method: label,
      ...labelErrors(own),
      ...(base && label !== baseline ? { againstBaseline: compareLabels(own, base) } : {}),
    };
  });
}

/** The table as Markdown. */
export function labelTable(summaries: readonly MethodSummary[], baseline: string): string {
  const versus = summaries.some(({ againstBaseline }) => againstBaseline);
  const head = [
    'method',
    'labels',
    'RMSE',
    'mean absolute error',
    'bias',
    'Brier',
    'log loss',
    'coverage %',
    'rollouts a label',
    'policy tokens a label',
  ];
  const compared = ['RMSE, ratio', 'tokens, ratio', 'times fewer tokens at equal error'];
  const lines = summaries.map((row) => [
    row.method,
    row.labels.toLocaleString('en'),
    ranged(row.rmse, 4),
    ranged(row.mae, 4),
    ranged(row.bias, 4),
    row.brier.mean.toFixed(4),
    row.logLoss.mean.toFixed(4),
    (100 * row.coverage.mean).toFixed(1),
    row.rollouts.mean.toFixed(1),
    ranged(row.policyTokens, 0),
    ...(versus ? comparison(row.againstBaseline) : []),
  ]);
  const all = [versus ? [...head, ...compared] : head, ...lines];
  const [first = [], ...rest] = all.map((cells) => `| ${cells.join(' | ')} |`);
  const table = [first, `|${' --- |'.repeat(all[0]?.length ?? 0)}`, ...rest];
  const note = `Ratios are to ${baseline}, problem by problem.`;
  return [...table, ...(versus ? ['', note] : [])].join('\n');
}

function comparison(against: LabelComparison | undefined): string[] {
  if (!against) return ['', '', ''];
  return [against.rmse, against.policyTokens, against.efficiency].map((one) => ranged(one, 2));
}

/** `0.101 (0.093 to 0.109)` */
function ranged({ mean, low, high }: Estimate, digits: number): string {
  return `${mean.toFixed(digits)} (${low.toFixed(digits)} to ${high.toFixed(digits)})`;
}
