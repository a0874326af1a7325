import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Problem, SamplingOptions } from '../../search/types.js';
import type { DecoderShape } from '../../src/policy/onnx/decoder.js';
import { createOnnxPolicy, type OnnxOptions } from '../../src/policy/onnx/index.js';
import { benchFacts } from '../facts.js';
import { figmathProblems } from '../figmath-problems.js';

/** Tokens per second of the ONNX host: 32 trees of 16 rollouts at once, against the same host with
 *  one sequence at a time, and against the standard merged decoder in the same batch. All three
 *  give the same texts, and all share a prompt's KV between its rollouts. One sequence at a time
 *  can keep only one host thread busy; the batches use `--threads` of them, one per core unless
 *  told otherwise. The rates per CPU second compare a single thread with a single thread.
 *
 *  Usage: node dist/bench/speed/onnx-host.js [--folder DIR] [--rounds 3] [--max-batch 64] … */
const VARIANTS = ['batch', 'one', 'merged'] as const;
type Variant = (typeof VARIANTS)[number];

interface Measurement {
  readonly tokens: number;
  readonly tokensPerSecond: number;
  /** Per second of CPU that this process used: what other work on the machine disturbs least. */
  readonly tokensPerCpuSecond: number;
  readonly meanBatch: number;
}

const SAMPLING: SamplingOptions = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  maxTokens: 160,
};

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      folder: { type: 'string', default: 'models/figmath-policy' },
      trees: { type: 'string', default: '32' },
      rollouts: { type: 'string', default: '16' },
      // One at a time takes several times as long per token; a share of the trees gives its rate.
      'one-trees': { type: 'string', default: '8' },
      'max-batch': { type: 'string', default: '64' },
      threads: { type: 'string', default: String(availableParallelism()) },
      rounds: { type: 'string', default: '3' },
    },
  });
  const maxBatch = Number(values['max-batch']);
  const threads = Number(values.threads);
  await printFloor(values.folder, maxBatch, Number(values.rollouts));
  const problems = await figmathProblems(Number(values.trees) + 1);
  const settings: Record<Variant, { options: Partial<OnnxOptions>; trees: number }> = {
    batch: { options: { maxBatch, threads }, trees: Number(values.trees) },
    one: { options: { maxBatch: 1 }, trees: Number(values['one-trees']) },
    merged: { options: { maxBatch, threads, decoder: 'merged' }, trees: Number(values.trees) },
  };
  const results: Record<Variant, Measurement[]> = { batch: [], one: [], merged: [] };
  for (let round = 0; round < Number(values.rounds); round++) {
    const order = round % 2 === 0 ? VARIANTS : [...VARIANTS].reverse();
    for (const variant of order) {
      const { options, trees } = settings[variant];
      const measured = await measure(
        values.folder,
        options,
        problems.slice(0, trees + 1),
        Number(values.rollouts),
      );
      results[variant].push(measured);
      process.stdout.write(`round ${round + 1}  ${line(variant, measured)}\n`);
    }
  }
  report(results, values);
}

/** Runs all problems but the first, which warms the sessions up, with `rollouts` seeds each. */
async function measure(
  folder: string,
  options: Partial<OnnxOptions>,
  problems: readonly Problem[],
  rollouts: number,
): Promise<Measurement> {
  const policy = await createOnnxPolicy(folder, options);
  const seeds = Array.from({ length: rollouts }, (_, i) => i);
  const sample = (problem: Problem) =>
    policy.sample({ problem, prefix: [], until: 'end', seeds, sampling: SAMPLING });
  try {
    for (const problem of problems.slice(0, 1)) await sample(problem);
    const before = await policy.stats();
    const start = performance.now();
    const startCpu = process.cpuUsage();
    await Promise.all(problems.slice(1).map(sample));
    const seconds = (performance.now() - start) / 1000;
    const { user, system } = process.cpuUsage(startCpu);
    const after = await policy.stats();
    const tokens = after.decodedTokens - before.decodedTokens;
    return {
      tokens,
      tokensPerSecond: tokens / seconds,
      tokensPerCpuSecond: (tokens * 1e6) / (user + system),
      meanBatch:
        (after.decodedRows - before.decodedRows) / (after.decodePasses - before.decodePasses),
    };
  } finally {
    await policy.close();
  }
}

/** What a token costs at least: its multiplications, the weights read once per pass, and the rows
 *  of KV that it attends to. */
async function printFloor(folder: string, maxBatch: number, rollouts: number): Promise<void> {
  const { text_config: text } = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'));
  const headDim = text.head_dim ?? text.hidden_size / text.num_attention_heads;
  const kvHeads = text.num_key_value_heads ?? text.num_attention_heads;
  const shape: Pick<DecoderShape, 'layers' | 'hidden' | 'vocab'> = {
    layers: text.num_hidden_layers,
    hidden: text.hidden_size,
    vocab: text.vocab_size,
  };
  const attention = (2 * text.num_attention_heads + 2 * kvHeads) * headDim;
  const weights =
    shape.layers * shape.hidden * (attention + 3 * text.intermediate_size) +
    shape.hidden * shape.vocab;
  const kvBytes = 2 * shape.layers * kvHeads * headDim * 4;
  const context = 128;
  const shared = 96;
  const sharedBytes = kvBytes * (context - shared + shared / rollouts);
  const flops = 2 * weights + 4 * context * shape.layers * text.num_attention_heads * headDim;
  process.stdout.write(
    `floor per token at context ${context}: ${(flops / 1e6).toFixed(2)} MFLOP, ${((kvBytes * context) / 1e3).toFixed(0)} kB of KV to read, or ${(sharedBytes / 1e3).toFixed(0)} kB where ${rollouts} rollouts read ${shared} rows of prompt together, ${kvBytes / 1e3} kB to write; ` +
      `weights of ${((weights * 4) / 1e6).toFixed(1)} MB are read once per pass, so once per token alone and once per ${maxBatch} in a batch; ` +
      `the merged graph also copies its ${((kvBytes * context) / 1e3).toFixed(0)} kB of present twice\n`,
  );
}

function line(variant: Variant, measured: Measurement): string {
  const wall = measured.tokensPerSecond.toFixed(0).padStart(6);
  const cpu = measured.tokensPerCpuSecond.toFixed(0).padStart(6);
  return `${variant.padEnd(7)} ${wall} tokens/s, ${cpu} per CPU second, mean batch ${measured.meanBatch.toFixed(1)}`;
}

function report(
  results: Record<Variant, readonly Measurement[]>,
  settings: Record<string, unknown>,
): void {
  const [batch, one, merged] = VARIANTS.map((variant) => summary(variant, results[variant]));
  const ratio = (other: Summary | undefined, kind: 'wall' | 'cpu') =>
    (batch?.[kind].median ?? 0) / (other?.[kind].median ?? 0);
  const overOne = { wall: ratio(one, 'wall'), cpu: ratio(one, 'cpu') };
  const overMerged = { wall: ratio(merged, 'wall'), cpu: ratio(merged, 'cpu') };
  process.stdout.write(
    `batch against one at a time: ${overOne.wall.toFixed(2)}x (${overOne.cpu.toFixed(2)}x per CPU second); ` +
      `against the merged decoder: ${overMerged.wall.toFixed(2)}x (${overMerged.cpu.toFixed(2)}x)\n`,
  );
  const rates = { batch, one, merged };
  process.stdout.write(
    `${JSON.stringify({ bench: 'onnx-host', ...benchFacts(), settings, rates, overOne, overMerged })}\n`,
  );
}

interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

interface Summary {
  /** Tokens per second, and per second of CPU. */
  readonly wall: Spread;
  readonly cpu: Spread;
  readonly tokens: number;
}

function summary(variant: Variant, measured: readonly Measurement[]): Summary {
  const wall = spread(measured.map((one) => one.tokensPerSecond));
  const cpu = spread(measured.map((one) => one.tokensPerCpuSecond));
  process.stdout.write(
    `${variant.padEnd(7)} median ${wall.median.toFixed(0)} tokens/s (${wall.low.toFixed(0)} to ${wall.high.toFixed(0)}), ` +
      `${cpu.median.toFixed(0)} per CPU second (${cpu.low.toFixed(0)} to ${cpu.high.toFixed(0)})\n`,
  );
  return { wall, cpu, tokens: measured[0]?.tokens ?? 0 };
}

function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  return {
    median: sorted[Math.floor(sorted.length / 2)] ?? 0,
    low: sorted[0] ?? 0,
    high: sorted[sorted.length - 1] ?? 0,
  };
}

await main();
