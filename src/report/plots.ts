/** Plots as data: vega-lite specifications, drawn to SVG without a browser and to PNG by sharp.
 *  Callers name series and points; nothing here knows of benchmarks. */
import type { TopLevelSpec } from 'vega-lite';
import { chartToSvg, svgToPng } from '../evaluate/render-chart.js';

export type PlotTheme = 'light' | 'dark';

/** A point of a curve with its interval, where one is known. */
export interface CurvePoint {
  readonly series: string;
  readonly x: number;
  readonly y: number;
  readonly low?: number;
  readonly high?: number;
}

export interface CurvePlot {
  readonly kind: 'curve';
  readonly title: string;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly xScale: 'linear' | 'log2' | 'log10';
  readonly points: readonly CurvePoint[];
  /** y as percent of 1. */
  readonly percent?: boolean;
}

/** A bar of a category for one series with its interval. */
export interface Bar {
  readonly series: string;
  readonly category: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export interface BarPlot {
  readonly kind: 'bars';
  readonly title: string;
  readonly valueTitle: string;
  readonly bars: readonly Bar[];
}

/** Predicted probability against observed share, by bins. */
export interface ReliabilityPlot {
  readonly kind: 'reliability';
  readonly title: string;
  readonly bins: readonly {
    readonly score: number;
    readonly share: number;
    readonly count: number;
  }[];
}

export type Plot = CurvePlot | BarPlot | ReliabilityPlot;

/** Eight colours that stay apart for the colour-blind (Okabe and Ito), a little lighter on dark. */
const PALETTE: Readonly<Record<PlotTheme, readonly string[]>> = {
  light: ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#8a6d00', '#56b4e9', '#5b4b9a', '#555555'],
  dark: ['#5ab4e8', '#f2873d', '#2fcf9f', '#e69ac4', '#e0c341', '#9bd1f5', '#a99be0', '#b8b8b8'],
};

const COLORS = {
  light: { ground: '#ffffff', text: '#1c2733', muted: '#5c6b7a', grid: '#e3e8ee' },
  dark: { ground: '#151b22', text: '#e6ebf1', muted: '#9aa8b7', grid: '#2c3743' },
} as const;

/** An SVG document with a transparent background. */
export async function plotSvg(plot: Plot, theme: PlotTheme = 'light'): Promise<string> {
  return chartToSvg({
    ...specOf(plot, theme),
    config: configOf(theme, plot, null),
  } as TopLevelSpec);
}

/** A PNG at twice the size of the SVG, on the theme's ground. */
export async function plotPng(plot: Plot, theme: PlotTheme = 'light'): Promise<Uint8Array> {
  const background = COLORS[theme].ground;
  const config = configOf(theme, plot, background);
  return svgToPng(await chartToSvg({ ...specOf(plot, theme), config } as TopLevelSpec));
}

function specOf(plot: Plot, theme: PlotTheme): object {
  if (plot.kind === 'curve') return curveSpec(plot);
  if (plot.kind === 'bars') return barSpec(plot);
  return reliabilitySpec(plot, theme);
}

function curveSpec({ points, title, xTitle, yTitle, xScale, percent = true }: CurvePlot): object {
  const values = points.map((point) => ({ low: point.y, high: point.y, ...point }));
  const xs = [...new Set(points.map(({ x }) => x))].sort((a, b) => a - b);
  const scale =
    xScale === 'linear'
      ? { zero: false, nice: false }
      : { type: 'log', base: xScale === 'log2' ? 2 : 10, nice: false };
  const few = xs.length <= 10 && xScale === 'log2';
  const x = {
    field: 'x',
    type: 'quantitative',
    title: xTitle,
    scale: { ...scale, padding: 12 },
    axis: { ...(few ? { values: xs } : { tickCount: 5 }), format: '~s', labelOverlap: true },
  };
  const y = {
    field: 'y',
    type: 'quantitative',
    title: yTitle,
    scale: { zero: false, nice: true },
    axis: percent ? { format: '.0%', tickCount: 6 } : { tickCount: 6 },
  };
  const color = { field: 'series', type: 'nominal', title: null, sort: null };
  const hasIntervals = points.some(({ low, high }) => low !== undefined && high !== low);
  return {
    title,
    width: 400,
    height: 250,
    data: { values },
    layer: [
      ...(hasIntervals && xs.length > 1 && xScale === 'log2'
        ? [
            {
              mark: { type: 'area', opacity: 0.13 },
              encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color },
            },
          ]
        : []),
      ...(hasIntervals && xScale !== 'log2'
        ? [
            {
              mark: { type: 'rule', opacity: 0.5, strokeWidth: 1.5 },
              encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color },
            },
          ]
        : []),
      { mark: { type: 'line', strokeWidth: 2 }, encoding: { x, y, color, order: { field: 'x' } } },
      { mark: { type: 'point', filled: true, size: 55, opacity: 1 }, encoding: { x, y, color } },
    ],
  };
}

function barSpec({ bars, title, valueTitle }: BarPlot): object {
  const series = [...new Set(bars.map((bar) => bar.series))];
  const y = {
    field: 'category',
    type: 'nominal',
    title: null,
    sort: null,
    axis: { labelLimit: 320 },
  };
  const offset = series.length > 1 ? { yOffset: { field: 'series', sort: null } } : {};
  const color = {
    field: 'series',
    type: 'nominal',
    title: null,
    sort: null,
    ...(series.length > 1 ? {} : { legend: null }),
  };
  const top = Math.min(1, Math.max(0.05, ...bars.map(({ high }) => high)) * 1.05);
  const x = {
    type: 'quantitative',
    title: valueTitle,
    scale: { domain: [0, top], nice: true },
    axis: { format: '.0%', tickCount: 5 },
  };
  return {
    title,
    width: 360,
    height: { step: series.length > 1 ? Math.max(9, 26 / series.length) : 19 },
    data: { values: bars },
    layer: [
      {
        mark: { type: 'bar', cornerRadiusEnd: 2, opacity: 0.85 },
        encoding: { y, ...offset, x: { ...x, field: 'value' }, color },
      },
      {
        mark: { type: 'rule', strokeWidth: 1.2 },
        encoding: { y, ...offset, x: { ...x, field: 'low' }, x2: { field: 'high' } },
      },
    ],
  };
}

function reliabilitySpec({ bins, title }: ReliabilityPlot, theme: PlotTheme): object {
  const axis = { format: '.1f', tickCount: 6 };
  const scale = { domain: [0, 1] };
  const x = { field: 'score', type: 'quantitative', title: 'mean step score', scale, axis };
  const y = { field: 'share', type: 'quantitative', title: 'share of right steps', scale, axis };
  return {
    title,
    width: 260,
    height: 260,
    layer: [
      {
        data: {
          values: [
            { score: 0, share: 0 },
            { score: 1, share: 1 },
          ],
        },
        mark: { type: 'line', strokeDash: [4, 4], strokeWidth: 1, color: COLORS[theme].muted },
        encoding: { x, y },
      },
      {
        data: { values: bins },
        mark: { type: 'line', strokeWidth: 2, color: PALETTE[theme][0] },
        encoding: { x, y },
      },
      {
        data: { values: bins },
        mark: { type: 'point', filled: true, opacity: 1, color: PALETTE[theme][0] },
        encoding: {
          x,
          y,
          size: {
            field: 'count',
            type: 'quantitative',
            title: 'steps',
            scale: { range: [20, 260] },
            legend: { tickCount: 3, symbolFillColor: COLORS[theme].muted },
          },
        },
      },
    ],
  };
}

function configOf(theme: PlotTheme, plot: Plot, background: string | null): object {
  const { text, muted, grid } = COLORS[theme];
  const font = 'system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
  return {
    background,
    font,
    padding: 6,
    view: { stroke: null },
    range: { category: PALETTE[theme] },
    title: { color: text, fontSize: 13, fontWeight: 600, anchor: 'start', offset: 10 },
    axis: {
      labelColor: muted,
      titleColor: muted,
      gridColor: grid,
      domainColor: grid,
      tickColor: grid,
      labelFontSize: 11,
      titleFontSize: 11,
      titleFontWeight: 400,
      titlePadding: 8,
    },
    axisY: { domain: false, ticks: false },
    legend: {
      orient: 'bottom',
      columns: columnsOf(plot),
      symbolOpacity: 1,
      labelColor: text,
      titleColor: muted,
      labelFontSize: 11,
      titleFontSize: 11,
      labelLimit: 420,
    },
    rule: { color: muted },
  };
}

/** Long names stand one below the other, or they would be cut. */
function columnsOf(plot: Plot): number {
  const names = plot.kind === 'curve' ? plot.points : plot.kind === 'bars' ? plot.bars : [];
  return Math.max(0, ...names.map(({ series }) => series.length)) > 24 ? 1 : 2;
}
