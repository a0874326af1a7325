import { setMaxListeners } from 'node:events';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { markedPath } from '../../prm/index.js';
import { createRandom } from '../../search/rng.js';
import type { Problem } from '../../search/types.js';
import { createOnnxMarkerModel, type OnnxMarkerModel } from '../../src/scorer/onnx/host.js';
import { benchFacts } from '../facts.js';
import { figmathProblems } from '../figmath-problems.js';

/** What a beam search asks of the ONNX reward model: beams of 4 with 4 children each over 6 steps, for
 *  many problems at once. Counts the tokens that were computed against those of all paths, which a
 *  host that reads every path anew computes, and measures paths per second: with keys and values kept,
 *  without, and without and one path at a time. All three give the same scores, so the same beams.
 *
 *  Usage: node dist/bench/speed/onnx-prm.js [--folder DIR] [--trees 32] [--rounds 3] … */
const VARIANTS = ['kept', 'anew', 'one'] as const;
type Variant = (typeof VARIANTS)[number];

const BEAMS = 4;
const CHILDREN = 4;
const DEPTH = 6;

interface Measurement {
  readonly paths: number;
  readonly pathTokens: number;
  readonly computedTokens: number;
  readonly seconds: number;
  readonly pathsPerSecond: number;
  readonly pathsPerCpuSecond: number;
  readonly meanBatch: number;
  /** All scores added up: equal for all variants. */
  readonly checksum: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      folder: { type: 'string', default: 'models/figmath-prm' },
      trees: { type: 'string', default: '32' },
      // One path at a time takes long; a share of the trees gives its rate.
      'one-trees': { type: 'string', default: '4' },
      'max-batch': { type: 'string', default: '64' },
      threads: { type: 'string', default: String(availableParallelism()) },
      rounds: { type: 'string', default: '3' },
    },
  });
  const [maxBatch, threads] = [Number(values['max-batch']), Number(values.threads)];
  await printFloor(values.folder);
  const problems = await figmathProblems(Number(values.trees) + 1);
  const settings = {
    kept: { options: { maxBatch, threads }, trees: Number(values.trees) },
    anew: { options: { maxBatch, threads, kvCacheMb: 0 }, trees: Number(values.trees) },
    one: { options: { maxBatch: 1, kvCacheMb: 0 }, trees: Number(values['one-trees']) },
  };
  const results: Record<Variant, Measurement[]> = { kept: [], anew: [], one: [] };
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const variant of round % 2 === 0 ? VARIANTS : [...VARIANTS].reverse()) {
      const { options, trees } = settings[variant];
      const model = await createOnnxMarkerModel(values.folder, options);
      try {
        const measured = await measure(model, problems.slice(0, trees + 1));
        results[variant].push(measured);
        process.stdout.write(`round ${round + 1}  ${line(variant, measured)}\n`);
      } finally {
        await model.close();
      }
    }
  }
  report(results, values);
}

/** Beams of all problems but the first, which warms the sessions up. */
async function measure(model: OnnxMarkerModel, problems: readonly Problem[]): Promise<Measurement> {
  for (const problem of problems.slice(0, 1)) await beam(model, problem);
  const before = await model.stats();
  const start = performance.now();
  const startCpu = process.cpuUsage();
  const sums = await Promise.all(problems.slice(1).map((problem) => beam(model, problem)));
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(startCpu);
  const after = await model.stats();
  const paths = after.paths - before.paths;
  return {
    paths,
    pathTokens: after.pathTokens - before.pathTokens,
    computedTokens: after.computedTokens - before.computedTokens,
    seconds,
    pathsPerSecond: paths / seconds,
    pathsPerCpuSecond: (paths * 1e6) / (user + system),
    meanBatch: (after.blocks - before.blocks) / (after.passes - before.passes),
    checksum: sums.reduce((sum, one) => sum + one, 0),
  };
}

/** The sum of all scores of one beam search, whose steps are invented from a seed. */
async function beam(model: OnnxMarkerModel, problem: Problem): Promise<number> {
  const { signal } = new AbortController();
  setMaxListeners(0, signal);
  const random = createRandom(problem.id);
  let beams: string[][] = [[]];
  let sum = 0;
  for (let depth = 0; depth < DEPTH; depth++) {
    const width = (BEAMS * CHILDREN) / beams.length;
    const children = beams.flatMap((steps) =>
      Array.from({ length: width }, () => [...steps, inventStep(random)]),
    );
    const template = { template: 'plain', tokens: [], marker: '' } as const;
    const replies = await Promise.all(
      model.read(children.map((steps) => ({ ...markedPath(problem, steps, template), signal }))),
    );
    const scored = children.map((steps, index) => {
      const score = replies[index]?.probabilities.at(-1) ?? 0;
      sum += score;
      return { steps, score };
    });
    scored.sort((a, b) => b.score - a.score);
    beams = scored.slice(0, BEAMS).map(({ steps }) => steps);
  }
  return sum;
}

/** As long as the policy's own steps: 5 to 12 tokens. */
function inventStep(random: () => number): string {
  const [a, b] = [Math.floor(random() * 50), Math.floor(random() * 50)];
  if (random() < 0.5) return `A=${a}, D=${b}.`;
  return random() < 0.5 ? `Next ${a}+${b}=${a + b}.` : `Also B=${b}.`;
}

/** What a token costs at least, and what the search needs at least. */
async function printFloor(folder: string): Promise<void> {
  const { text_config: text } = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'));
  const kvHeads = text.num_key_value_heads ?? text.num_attention_heads;
  const attention = (2 * text.num_attention_heads + 2 * kvHeads) * text.head_dim;
  const weights =
    text.num_hidden_layers * text.hidden_size * (attention + 3 * text.intermediate_size);
  const context = 128;
  const flops =
    2 * weights + 4 * context * text.num_hidden_layers * text.num_attention_heads * text.head_dim;
  const kvBytes = 8 * text.num_hidden_layers * kvHeads * text.head_dim;
  process.stdout.write(
    `floor per token at context ${context}: ${(flops / 1e6).toFixed(2)} MFLOP, ${(kvBytes * context) / 1e3} kB of KV to read; ` +
      `a beam of ${BEAMS}x${CHILDREN} over ${DEPTH} steps reads ${BEAMS * CHILDREN * DEPTH} paths and needs each opening and each of its ${BEAMS * CHILDREN * DEPTH} steps once\n`,
  );
}

function line(variant: Variant, one: Measurement): string {
  return (
    `${variant.padEnd(5)} ${one.pathsPerSecond.toFixed(0).padStart(5)} paths/s, ` +
    `${one.pathsPerCpuSecond.toFixed(0).padStart(5)} per CPU second, ${one.computedTokens} of ${one.pathTokens} tokens computed ` +
    `(1 in ${(one.pathTokens / one.computedTokens).toFixed(1)}), mean batch ${one.meanBatch.toFixed(1)}, checksum ${one.checksum}`
  );
}

function report(
  results: Record<Variant, readonly Measurement[]>,
  settings: Record<string, unknown>,
): void {
  const summaries = Object.fromEntries(
    VARIANTS.map((variant) => {
      const rates = results[variant].map((one) => one.pathsPerSecond).sort((a, b) => a - b);
      const median = rates[Math.floor(rates.length / 2)] ?? 0;
      const { pathsPerSecond: _, ...first } = results[variant][0] as Measurement;
      const [low = 0, high = 0] = [rates[0], rates.at(-1)];
      process.stdout.write(
        `${variant.padEnd(5)} median ${median.toFixed(0)} paths/s (${low.toFixed(0)} to ${high.toFixed(0)})\n`,
      );
      return [variant, { ...first, pathsPerSecond: { median, low, high } }];
    }),
  );
  process.stdout.write(
    `${JSON.stringify({ bench: 'onnx-prm', ...benchFacts(), settings, ...summaries })}\n`,
  );
}

await main();
