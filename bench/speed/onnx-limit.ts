import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Problem, SamplingOptions } from '../../search/types.js';
import { createOnnxPolicy, type OnnxPolicy } from '../../src/policy/onnx/index.js';
import { benchFacts } from '../facts.js';
import { figmathProblems } from '../figmath-problems.js';
import { type Ceilings, measureCeilings } from './ceilings.js';
import { type ModelSize, modelSize, type Workload, workFloor } from './onnx-floor.js';

/** How far the ONNX host is from what this machine could do. In every round: the ceilings (the matrix
 *  products of a decode step at the batch's size through the runtime itself; copies of a buffer), then the
 *  host on figmath prompts, once with pictures and prompts to read and once more with both in its caches,
 *  which is decoding alone. The floor is what the products and bytes of the work done cost at the best
 *  round's ceilings (onnx-floor.ts). Rates per CPU second hold on a busy machine too; those by the clock
 *  don't.
 *
 *  Usage: node dist/bench/speed/onnx-limit.js [--folder DIR] [--rounds 5] [--threads 1] [--trees 16] */
const SAMPLING: SamplingOptions = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  maxTokens: 160,
};

interface Measured {
  readonly tokens: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly meanBatch: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      folder: { type: 'string', default: 'models/figmath-policy' },
      rounds: { type: 'string', default: '5' },
      threads: { type: 'string', default: '1' },
      'max-batch': { type: 'string', default: '64' },
      trees: { type: 'string', default: '16' },
      rollouts: { type: 'string', default: '16' },
    },
  });
  const size = modelSize(JSON.parse(await readFile(join(values.folder, 'config.json'), 'utf8')));
  const threads = Number(values.threads);
  const maxBatch = Number(values['max-batch']);
  const rollouts = Number(values.rollouts);
  const problems = await figmathProblems(Number(values.trees) + 1);
  const ceilings: { one: Ceilings; all: Ceilings }[] = [];
  const runs: { whole: Measured; decode: Measured; work: Workload }[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    const one = await measureCeilings(size, maxBatch, 1);
    const all = threads === 1 ? one : await measureCeilings(size, maxBatch, threads);
    ceilings.push({ one, all });
    const run = await measureHost(values.folder, problems, { threads, maxBatch, rollouts });
    runs.push(run);
    process.stdout.write(
      `round ${round + 1}: ${one.gflops.toFixed(1)} GFLOP/s, ${one.copyGbps.toFixed(1)} GB/s copied a CPU second; ` +
        `${rate(run.whole)} tokens/s with prompts (${cpuRate(run.whole)} per CPU second), ` +
        `${rate(run.decode)} decoding (${cpuRate(run.decode)}), mean batch ${run.decode.meanBatch.toFixed(1)}\n`,
    );
  }
  report(values, size, ceilings, runs);
}

const rate = ({ tokens, seconds }: Measured) => Math.round(tokens / seconds);
const cpuRate = ({ tokens, cpuSeconds }: Measured) => Math.round(tokens / cpuSeconds);

async function measureHost(
  folder: string,
  problems: readonly Problem[],
  {
    threads,
    maxBatch,
    rollouts,
  }: { readonly threads: number; readonly maxBatch: number; readonly rollouts: number },
): Promise<{ whole: Measured; decode: Measured; work: Workload }> {
  const policy = await createOnnxPolicy(folder, { threads, maxBatch, kvCacheMb: 1024 });
  const [warmUp, ...rest] = problems;
  try {
    await measure(policy, warmUp === undefined ? [] : [warmUp], rollouts, 0);
    const before = await policy.stats();
    const { measured: whole } = await measure(policy, rest, rollouts, 0);
    const after = await policy.stats();
    const { measured: decode, work } = await measure(policy, rest, rollouts, 1000);
    const read = after.computedPromptTokens - before.computedPromptTokens;
    return { whole, decode, work: { ...work, promptTokens: read, pictures: rest.length } };
  } finally {
    await policy.close();
  }
}

async function measure(
  policy: OnnxPolicy,
  problems: readonly Problem[],
  rollouts: number,
  firstSeed: number,
): Promise<{ measured: Measured; work: Workload }> {
  const seeds = Array.from({ length: rollouts }, (_, i) => firstSeed + i);
  const before = await policy.stats();
  const start = performance.now();
  const startCpu = process.cpuUsage();
  const replies = await Promise.all(
    problems.map((problem) =>
      policy.sample({ problem, prefix: [], until: 'end', seeds, sampling: SAMPLING }),
    ),
  );
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(startCpu);
  const after = await policy.stats();
  const decodePasses = after.decodePasses - before.decodePasses;
  const sequences = replies.flatMap(({ rollouts: all, promptTokens }) =>
    all.map(({ policyTokens }) => ({ prompt: promptTokens, tokens: policyTokens })),
  );
  const tokens = sequences.reduce((sum, one) => sum + one.tokens, 0);
  return {
    measured: {
      tokens,
      seconds,
      cpuSeconds: (user + system) / 1e6,
      meanBatch: (after.decodedRows - before.decodedRows) / decodePasses,
    },
    work: { sequences, sharedBy: Math.min(rollouts, 16), promptTokens: 0, pictures: 0 },
  };
}

function report(
  settings: { readonly folder: string; readonly 'max-batch': string; readonly threads: string },
  size: ModelSize,
  ceilings: readonly { one: Ceilings; all: Ceilings }[],
  runs: readonly { whole: Measured; decode: Measured; work: Workload }[],
): void {
  const best = (pick: (one: { one: Ceilings; all: Ceilings }) => number) =>
    Math.max(...ceilings.map(pick));
  const one = { gflops: best((c) => c.one.gflops), copyGbps: best((c) => c.one.copyGbps) };
  const all = { gflops: best((c) => c.all.gflops), copyGbps: best((c) => c.all.copyGbps) };
  const [first] = runs;
  if (first === undefined) return;
  const batch = Number(settings['max-batch']);
  const rows = (['decode', 'whole'] as const).map((kind) => {
    const work = kind === 'whole' ? first.work : { ...first.work, promptTokens: 0, pictures: 0 };
    const perToken = (ceiling: Ceilings) => workFloor(size, work, batch, ceiling);
    const measured = runs.map((run) => run[kind]);
    const cpu = measured.map(({ tokens, cpuSeconds }) => tokens / cpuSeconds);
    const wall = measured.map(({ tokens, seconds }) => tokens / seconds);
    const floor = perToken(one);
    return {
      kind,
      floorUs: round(floor.totalUs),
      productsUs: round(floor.productsUs),
      bytesUs: round(floor.bytesUs),
      promptUs: round(floor.promptUs),
      pictureUs: round(floor.pictureUs),
      /** Tokens per CPU second: best and median round, and their shares of the floor. */
      cpu: { best: Math.round(Math.max(...cpu)), median: Math.round(median(cpu)) },
      shareOfFloor: {
        best: round((Math.max(...cpu) * floor.totalUs) / 1e6),
        median: round((median(cpu) * floor.totalUs) / 1e6),
      },
      /** Against a floor whose bytes move at twice the copy's rate: read alone, not written. */
      shareOfStrictFloor: round(
        (Math.max(...cpu) * perToken({ ...one, copyGbps: 2 * one.copyGbps }).totalUs) / 1e6,
      ),
      wall: { best: Math.round(Math.max(...wall)), median: Math.round(median(wall)) },
      shareOfFloorByClock: round((Math.max(...wall) * perToken(all).totalUs) / 1e6),
    };
  });
  for (const row of rows) {
    process.stdout.write(
      `${row.kind}: floor ${row.floorUs} us a token (${row.productsUs} products, ${row.bytesUs} bytes, ${row.promptUs} prompts, ${row.pictureUs} pictures), ` +
        `host ${(1e6 / row.cpu.best).toFixed(1)} us of CPU at best: ${(100 * row.shareOfFloor.best).toFixed(0)} % of the floor (median ${(100 * row.shareOfFloor.median).toFixed(0)} %; ${(100 * row.shareOfStrictFloor).toFixed(0)} % if bytes are only read); ` +
        `${row.wall.best} tokens/s by the clock on ${settings.threads} threads, ${(100 * row.shareOfFloorByClock).toFixed(0)} %\n`,
    );
  }
  process.stdout.write(
    `${JSON.stringify({ bench: 'onnx-limit', ...benchFacts(), settings: { ...settings, folder: basename(settings.folder) }, ceilings: { one, all }, meanBatch: round(median(runs.map((run) => run.decode.meanBatch))), rows })}\n`,
  );
}

const round = (value: number) => Math.round(value * 100) / 100;
const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

await main();
