/** The plots of a report. */
import type { Plot } from './plots.js';
import { bestCells, type ReportData } from './report-data.js';

/** Categories of a bar plot, at most; more are read better in the table. */
const maxCategories = 24;
/** Strategies of a bar plot, at most. */
const maxSeries = 4;

export interface NamedPlot {
  /** Of its files. */
  readonly name: string;
  readonly plot: Plot;
}

export function reportPlots(data: ReportData): NamedPlot[] {
  return [...curves(data), ...groupBars(data), ...reliability(data)];
}

function curves({ cells }: ReportData): NamedPlot[] {
  const plots: NamedPlot[] = [];
  const points = cells.map((cell) => {
    const { strategy, n, policyTokens = 0, prmTokens = 0, criticTokens = 0 } = cell;
    const { mean: y, low, high } = cell.pooled ?? cell.accuracy;
    return { series: strategy, n, tokens: policyTokens + prmTokens + criticTokens, y, low, high };
  });
  if (new Set(points.map(({ n }) => n)).size > 1) {
    plots.push({
      name: 'accuracy-n',
      plot: {
        kind: 'curve',
        title: 'Accuracy against N',
        xTitle: 'candidates N',
        yTitle: 'accuracy, 95 %',
        xScale: 'log2',
        points: points.map(({ n, ...rest }) => ({ ...rest, x: n })),
      },
    });
  }
  const spent = points.filter(({ tokens }) => tokens > 0);
  if (spent.length > 1) {
    plots.push({
      name: 'accuracy-tokens',
      plot: {
        kind: 'curve',
        title: 'Accuracy against tokens',
        xTitle: 'tokens per problem (policy, reward model, critic)',
        yTitle: 'accuracy, 95 %',
        xScale: 'log10',
        points: spent.map(({ tokens, ...rest }) => ({ ...rest, x: tokens })),
      },
    });
  }
  return plots;
}

function groupBars({ groups, cells }: ReportData): NamedPlot[] {
  const shown = bestCells(cells, maxSeries);
  return groups
    .filter(({ values }) => values.length <= maxCategories)
    .slice(0, 4)
    .map(({ axis, values }) => ({
      name: `by-${axis.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`,
      plot: {
        kind: 'bars',
        title: `Accuracy by ${axis}`,
        valueTitle: 'accuracy, 95 %',
        bars: values.flatMap(({ value, problems, cells: estimates }) =>
          shown.flatMap(({ cell, index }) => {
            const estimate = estimates[index];
            if (!estimate) return [];
            const { mean, low, high } = estimate;
            const category = `${value} (${problems})`;
            return [{ series: cell.name, category, value: mean, low, high }];
          }),
        ),
      },
    }));
}

function reliability({ prm }: ReportData): NamedPlot[] {
  if (!prm || prm.bins.length === 0) return [];
  return [
    {
      name: 'calibration',
      plot: { kind: 'reliability', title: 'Calibration of step scores', bins: prm.bins },
    },
  ];
}
