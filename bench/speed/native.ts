import { parseArgs } from 'node:util';
import {
  chosenKernels,
  type DrawRequest,
  type Kernels,
  SETTINGS,
  typescriptKernels,
  writeSettings,
} from '../../native/index.js';
import type { SamplingOptions } from '../../search/types.js';
import { benchFacts } from '../facts.js';

/** CPU time of the sampling and gathering kernels against their TypeScript twins, side by side in one
 *  process: each round runs both on the same rows, in alternating order; ratios are medians over rounds.
 *
 *  Floor: every logit is read once, 4 · vocab bytes a row, at the rate of a copy in the same run.
 *  Logits are what a language model's look like: a bell (standard deviation 2.5) with a few tokens far
 *  above it.
 *
 *  Usage: node dist/bench/speed/native.js [--vocab V] [--batches 1,16,64] [--rounds R] [--only NAMES] */
const CASES: Record<string, Partial<SamplingOptions> | 'gather'> = {
  greedy: { temperature: 0 },
  temperature: { temperature: 0.7 },
  'temperature 1': {},
  'top-p 0.95': { temperature: 0.7, topP: 0.95 },
  'top-p 0.95 at 1': { topP: 0.95 },
  'top-k 50': { temperature: 0.7, topK: 50 },
  'min-p 0.05': { temperature: 0.7, minP: 0.05 },
  all: { temperature: 0.7, topK: 50, topP: 0.95, minP: 0.05, repetitionPenalty: 1.05 },
  gather: 'gather',
};

interface Point {
  readonly name: string;
  readonly batch: number;
  /** CPU microseconds a row. */
  readonly twin: number;
  readonly native: number;
  readonly ratio: number;
  /** Smallest and largest ratio of a round. */
  readonly spread: readonly [number, number];
  /** Share of the floor's time in the kernel's. */
  readonly ofFloor: number;
}

function main(): void {
  const { values } = parseArgs({
    options: {
      vocab: { type: 'string', default: '151936' },
      batches: { type: 'string', default: '1,16,64' },
      rounds: { type: 'string', default: '7' },
      only: { type: 'string', default: Object.keys(CASES).join(',') },
    },
  });
  const vocab = Number(values.vocab);
  const { kernels, reason } = chosenKernels();
  if (kernels === typescriptKernels) throw new Error(`no addon to measure: ${reason}`);
  const points: Point[] = [];
  for (const batch of values.batches.split(',').map(Number)) {
    const logits = bell(vocab * batch);
    const floor = copySeconds(logits) / batch;
    process.stdout.write(`batch ${batch}: floor ${(floor * 1e6).toFixed(2)} us a row\n`);
    for (const name of values.only.split(',')) {
      const point = measure(name, logits, vocab, batch, Number(values.rounds), kernels, floor);
      points.push(point);
      process.stdout.write(
        `${name.padEnd(16)} batch ${String(batch).padStart(2)}  twin ${point.twin.toFixed(1)} us  ${kernels.name} ${point.native.toFixed(1)} us  ${point.ratio.toFixed(1)}x (${point.spread.map((x) => x.toFixed(1)).join('-')})  ${(100 * point.ofFloor).toFixed(0)} % of the floor\n`,
      );
    }
  }
  process.stdout.write(
    `${JSON.stringify({ bench: 'native', ...benchFacts(), kernels: kernels.name, vocab, points })}\n`,
  );
}

function measure(
  name: string,
  logits: Float32Array,
  vocab: number,
  batch: number,
  rounds: number,
  native: Kernels,
  floor: number,
): Point {
  const options = CASES[name];
  if (options === undefined) throw new Error(`no case ${name}`);
  const work =
    options === 'gather' ? gathering(logits, vocab, batch) : drawing(logits, vocab, batch, options);
  const repeats = Math.max(1, Math.ceil(6_000_000 / (vocab * batch)));
  const sides = { twin: [] as number[], native: [] as number[] };
  for (let round = -1; round < rounds; round++) {
    const order = round % 2 === 0 ? (['twin', 'native'] as const) : (['native', 'twin'] as const);
    for (const side of order) {
      const kernels = side === 'twin' ? typescriptKernels : native;
      const seconds = cpuSeconds(side === 'twin' ? repeats : repeats * 8, () => work(kernels));
      // The first round warms both up.
      if (round >= 0) sides[side].push((seconds * 1e6) / batch);
    }
  }
  const ratios = sides.twin.map((time, round) => time / (sides.native[round] ?? time));
  const nativeTime = median(sides.native);
  return {
    name,
    batch,
    twin: median(sides.twin),
    native: nativeTime,
    ratio: median(ratios),
    spread: [Math.min(...ratios), Math.max(...ratios)],
    ofFloor: (floor * 1e6) / nativeTime,
  };
}

function drawing(
  logits: Float32Array,
  vocab: number,
  rows: number,
  options: Partial<SamplingOptions>,
): (kernels: Kernels) => void {
  const settings = new Float64Array(rows * SETTINGS);
  const full = { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, maxTokens: 1 };
  for (let row = 0; row < rows; row++) {
    writeSettings(settings, row, { ...full, ...options }, ((row + 1) * 0.618) % 1);
  }
  const mark = Uint8Array.from({ length: vocab }, (_, id) => (id % 200 === 7 ? 1 : 0));
  const seen = Array.from({ length: rows }, () => mark);
  const request: DrawRequest = { logits, vocab, rows, settings, seen };
  const tokens = new Int32Array(rows);
  const logprobs = new Float64Array(rows);
  return (kernels) => kernels.sample(request, tokens, logprobs);
}

function gathering(logits: Float32Array, vocab: number, rows: number): (kernels: Kernels) => void {
  const picks = Int32Array.from({ length: rows * 2 }, (_, i) => (i * 7919) % vocab);
  const logprobs = new Float64Array(rows * 2);
  return (kernels) => kernels.gather({ logits, vocab, rows, picks }, logprobs);
}

/** CPU seconds of one call: the machine may be busy with other work. */
function cpuSeconds(repeats: number, call: () => void): number {
  const before = process.cpuUsage();
  for (let i = 0; i < repeats; i++) call();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6 / repeats;
}

function copySeconds(source: Float32Array): number {
  const target = new Float32Array(source.length);
  const repeats = Math.ceil(1e8 / source.length);
  cpuSeconds(repeats, () => target.set(source));
  return median(Array.from({ length: 5 }, () => cpuSeconds(repeats, () => target.set(source))));
}

function bell(count: number): Float32Array {
  let state = 1;
  const random = () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    state = Math.imul(state ^ (state >>> 13), 0x297a2d39);
    return ((state ^ (state >>> 16)) >>> 0) / 2 ** 32;
  };
  return Float32Array.from({ length: count }, () => {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return random() < 1e-4 ? 9 + 2 * normal : 2.5 * normal;
  });
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

main();
