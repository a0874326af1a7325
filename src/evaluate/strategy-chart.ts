import type { TopLevelSpec } from 'vega-lite';
import { groupBy } from './group-by.js';
import type { Estimate } from './statistics.js';
import type { CellSummary } from './summary.js';

/** What the chart needs of a cell of summary.json. */
export type ChartCell = Pick<
  CellSummary,
  'strategy' | 'n' | 'accuracy' | 'oracle' | 'policyTokens' | 'prmTokens' | 'criticTokens'
>;

export interface StrategyChartOptions {
  /** Tokens of the x axis: the policy's, or those of reward models and critics too. */
  readonly tokens: 'policy' | 'all';
  readonly title: string;
  readonly subtitle: string;
}

/** Accuracy against tokens, one line per strategy over N with 95 % bars, and the oracle of the
 *  shared pool as the ceiling. The x axis is in powers of two, since N is.
 *
 *  Strategies that choose from one pool stand at the same x and would hide each other, so points closer
 *  than `LEAST_GAP` are moved apart, each group around its own middle. */
export function strategyChart(
  cells: readonly ChartCell[],
  options: StrategyChartOptions,
): TopLevelSpec {
  const series = [...groupBy(cells, ({ strategy }) => strategy)];
  // The legend then lists strategies from best to worst at the largest N.
  series.sort(([, a], [, b]) => lastAccuracy(b) - lastAccuracy(a));
  const names = series.map(([name]) => name);
  const rows = movedApart(
    series.flatMap(([strategy, own]) =>
      own.map((cell) => ({ strategy, ...pointOf(cell, cell.accuracy, options) })),
    ),
  );
  const pool = oraclePool(series);
  const ceiling = pool?.[1].map((cell) => pointOf(cell, cell.oracle, options)) ?? [];
  const xs = [...rows, ...ceiling].map(({ x }) => x);
  const ys = [...rows, ...ceiling].flatMap(({ low, high }) => [low, high]);
  const scales = { x: powersAround(xs), y: tensAround(ys) };
  const tooltip = ['strategy', 'n', 'x', 'y', 'low', 'high'].map((field) => ({ field }));
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: { text: options.title, subtitle: options.subtitle, anchor: 'start', offset: 16 },
    width: 720,
    height: 420,
    background: 'white',
    padding: 16,
    config: CONFIG,
    encoding: {
      x: {
        field: 'x',
        type: 'quantitative',
        title: `${options.tokens === 'all' ? 'policy, reward-model and critic' : 'policy'} tokens per problem (log₂)`,
        scale: { type: 'log', base: 2, domain: scales.x },
        axis: { values: powersOfTwo(scales.x), format: ',d', grid: true },
      },
      y: {
        field: 'y',
        type: 'quantitative',
        title: 'accuracy, %',
        scale: { domain: scales.y, zero: false },
      },
    },
    layer: [
      ...(pool ? oracleLayers(ceiling) : []),
      {
        data: { values: rows },
        mark: { type: 'rule', strokeWidth: 1.2, opacity: 0.45 },
        encoding: {
          y: { field: 'low', type: 'quantitative' },
          y2: { field: 'high' },
          color: colourOf(names),
        },
      },
      {
        data: { values: rows },
        mark: { type: 'line', strokeWidth: 2 },
        encoding: { color: colourOf(names) },
      },
      {
        data: { values: rows },
        mark: { type: 'point', filled: true, size: 70, opacity: 1 },
        encoding: {
          color: colourOf(names),
          shape: { field: 'strategy', type: 'nominal', scale: { domain: names, range: SHAPES } },
          tooltip,
        },
      },
    ],
  } as TopLevelSpec;
}

/** Least distance of two points along x, in octaves: 2 % of the tokens. */
const LEAST_GAP = 0.03;

/** Okabe and Ito's colours, which the colour-blind can tell apart, then three darker ones; yellow is
 *  left out, since it is lost on white. */
const COLOURS = [
  '#0072b2',
  '#d55e00',
  '#009e73',
  '#cc79a7',
  '#e69f00',
  '#56b4e9',
  '#6a3d9a',
  '#8c564b',
  '#333333',
  '#7f9f00',
];

const SHAPES = ['circle', 'square', 'triangle-up', 'diamond', 'triangle-down', 'cross'];

const CONFIG = {
  font: 'DejaVu Sans, Helvetica, Arial, sans-serif',
  view: { stroke: '#bbbbbb' },
  axis: {
    labelFontSize: 12,
    titleFontSize: 13,
    titleFontWeight: 'normal',
    titlePadding: 10,
    gridColor: '#e8e8e8',
    labelFlush: false,
  },
  title: { fontSize: 16, subtitleFontSize: 12, subtitleColor: '#555555', subtitlePadding: 6 },
  legend: {
    labelFontSize: 12,
    titleFontSize: 12,
    labelLimit: 0,
    symbolSize: 90,
    rowPadding: 5,
    columnPadding: 24,
  },
} as const;

interface Point {
  readonly n: number;
  readonly x: number;
  /** In percent, as `low` and `high`. */
  readonly y: number;
  readonly low: number;
  readonly high: number;
}

function pointOf(cell: ChartCell, { mean, low, high }: Estimate, options: StrategyChartOptions) {
  const point: Point = {
    n: cell.n,
    x: tokensOf(cell, options),
    y: 100 * mean,
    low: 100 * low,
    high: 100 * high,
  };
  return point;
}

function tokensOf(cell: ChartCell, { tokens }: StrategyChartOptions): number {
  const { policyTokens, prmTokens, criticTokens } = cell;
  return tokens === 'policy' ? policyTokens : policyTokens + prmTokens + criticTokens;
}

/** Points with x at least `LEAST_GAP` apart: runs of close ones are spread around their middle. */
function movedApart<T extends { readonly x: number }>(points: readonly T[]): T[] {
  const sorted = [...points].sort((a, b) => a.x - b.x);
  const places = sorted.map(({ x }) => Math.log2(x));
  for (let from = 0; from < places.length; ) {
    let to = from + 1;
    while (to < places.length && (places[to] ?? 0) - (places[to - 1] ?? 0) < LEAST_GAP) to++;
    const middle = ((places[from] ?? 0) + (places[to - 1] ?? 0)) / 2;
    for (let i = from; i < to; i++) {
      places[i] = middle + (i - (from + to - 1) / 2) * LEAST_GAP;
    }
    from = to;
  }
  const xOf = new Map(sorted.map((point, i) => [point, 2 ** (places[i] ?? 0)]));
  // In the order given: lines join the points of a strategy by x anyway.
  return points.map((point) => ({ ...point, x: xOf.get(point) ?? point.x }));
}

function lastAccuracy(cells: readonly ChartCell[]): number {
  return cells.reduce((last, cell) => (cell.n >= last.n ? cell : last), cells[0] as ChartCell)
    .accuracy.mean;
}

/** The cells whose candidates are plain samples: what every choice among them could reach at most. */
function oraclePool(series: readonly [string, readonly ChartCell[]][]) {
  const pools = series.filter(([, cells]) => cells.length > 1);
  return pools.find(([name]) => name.startsWith('majority')) ?? pools[0] ?? null;
}

function oracleLayers(values: readonly Point[]) {
  const last = values.at(-1);
  return [
    {
      data: { values },
      mark: { type: 'line', strokeDash: [6, 4], strokeWidth: 1.6, color: ORACLE },
    },
    {
      data: { values },
      mark: { type: 'rule', strokeWidth: 1.2, opacity: 0.45, color: ORACLE },
      encoding: { y: { field: 'low', type: 'quantitative' }, y2: { field: 'high' } },
    },
    {
      data: { values: last ? [last] : [] },
      mark: {
        type: 'text',
        align: 'right',
        baseline: 'bottom',
        dx: -10,
        dy: -6,
        fontSize: 12,
        color: ORACLE,
      },
      encoding: { text: { value: 'oracle: some candidate is right' } },
    },
  ];
}

const ORACLE = '#777777';

function colourOf(names: readonly string[]) {
  return {
    field: 'strategy',
    type: 'nominal',
    scale: { domain: names, range: COLOURS },
    // One legend for all layers: the bars' own opacity must not fade it.
    legend: { title: null, orient: 'bottom', columns: 2, offset: 16, symbolOpacity: 1 },
  };
}

/** The powers of two around positive values, with some room so that no point lies on the frame. */
function powersAround(values: readonly number[]): [number, number] {
  const low = Math.floor(Math.log2(Math.min(...values) / 1.1));
  const high = Math.ceil(Math.log2(Math.max(...values) * 1.1));
  return [2 ** low, 2 ** high];
}

function powersOfTwo([low, high]: readonly [number, number]): number[] {
  const count = Math.round(Math.log2(high / low));
  return Array.from({ length: count + 1 }, (_, i) => low * 2 ** i);
}

/** Tens of percent around the values. */
function tensAround(values: readonly number[]): [number, number] {
  const low = Math.max(0, 10 * Math.floor((Math.min(...values) - 1) / 10));
  const high = Math.min(100, 10 * Math.ceil((Math.max(...values) + 1) / 10));
  return [low, high];
}
