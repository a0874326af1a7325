import { expect, it } from 'vitest';
import { chartToSvg, svgToPng } from '../../src/evaluate/render-chart.js';
import { type ChartCell, strategyChart } from '../../src/evaluate/strategy-chart.js';

const around = (mean: number) => ({ mean, low: mean - 0.04, high: mean + 0.04 });

const cell = (strategy: string, n: number, accuracy: number, prmTokens = 0): ChartCell => ({
  strategy,
  n,
  accuracy: around(accuracy),
  oracle: around(0.7 + n / 100),
  policyTokens: 50 * n,
  prmTokens,
  criticTokens: 0,
});

const CELLS = [
  cell('greedy', 1, 0.5),
  cell('majority', 4, 0.55),
  cell('majority', 16, 0.7),
  cell('best-of-n', 4, 0.6, 200),
  cell('best-of-n', 16, 0.64, 800),
];

interface Layer {
  data: { values: { strategy?: string; n: number; x: number; y: number }[] };
  mark: { type: string };
}

function points(tokens: 'policy' | 'all') {
  const { layer } = strategyChart(CELLS, { tokens, title: 't', subtitle: 's' }) as unknown as {
    layer: Layer[];
  };
  const values = layer.find(({ mark }) => mark.type === 'point')?.data.values ?? [];
  const at = (strategy: string, n: number) =>
    values.find((one) => one.strategy === strategy && one.n === n);
  return { layer, at };
}

it('puts accuracy in percent over tokens, the oracle of the pool beside it', () => {
  const { layer, at } = points('policy');
  expect(at('greedy', 1)?.x).toBeCloseTo(50, 6);
  expect(at('greedy', 1)?.y).toBe(50);
  const oracle = layer.find(({ mark }) => mark.type === 'line')?.data.values;
  expect(oracle?.map(({ x, y }) => [x, Math.round(y)])).toEqual([
    [200, 74],
    [800, 86],
  ]);
});

it('moves points of equal tokens apart, by as little on either side', () => {
  const { at } = points('policy');
  const [one = 0, other = 0] = [at('majority', 16)?.x, at('best-of-n', 16)?.x];
  expect(Math.abs(Math.log2(one / other))).toBeCloseTo(0.03, 10);
  expect(Math.sqrt(one * other)).toBeCloseTo(800, 6);
});

it('counts the tokens of reward models and critics if asked to', () => {
  const { at } = points('all');
  expect(at('best-of-n', 16)?.x).toBeCloseTo(1600, 6);
  expect(at('majority', 16)?.x).toBeCloseTo(800, 6);
});

it('draws without a browser: all strategies in the legend, as SVG and as PNG', async () => {
  const svg = await chartToSvg(
    strategyChart(CELLS, { tokens: 'policy', title: 't', subtitle: 's' }),
  );
  for (const name of ['greedy', 'majority', 'best-of-n', 'oracle']) expect(svg).toContain(name);
  expect(svg).toContain('>1,024<');
  const png = await svgToPng(svg);
  expect(Buffer.from(png.slice(1, 4)).toString()).toBe('PNG');
});
