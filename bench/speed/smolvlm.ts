import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import type { Problem } from '../../search/types.js';
import { createOnnxPolicy } from '../../src/policy/onnx/index.js';
import { benchFacts } from '../facts.js';
import { measureCeilings } from './ceilings.js';
import { modelSize, workFloor } from './onnx-floor.js';

/** Tokens per second and memory of the ONNX host with a model of SmolVLM-256M's size (random weights,
 *  `python training/smolvlm_folder.py --out DIR`) and one picture, at several batch sizes, and what share of
 *  the floor it is (onnx-floor.ts) at ceilings measured in the same run.
 *
 *  A token costs 0.27 GFLOP of weights, which are 0.54 GB; a tile of 512 x 512 costs some 200 GFLOP. The
 *  default picture has four tiles and the whole: a square one would have 17.
 *
 *  Usage: node dist/bench/speed/smolvlm.js --folder DIR [--batches 1,16,64] [--tokens 12] */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      folder: { type: 'string' },
      batches: { type: 'string', default: '1,16,64' },
      tokens: { type: 'string', default: '12' },
      width: { type: 'string', default: '1024' },
      height: { type: 'string', default: '256' },
      decoder: { type: 'string', default: 'auto' },
      'intra-op-threads': { type: 'string', default: '1' },
    },
  });
  if (values.folder === undefined) throw new Error('--folder DIR of training/smolvlm_folder.py');
  const problem = await picturedProblem(Number(values.width), Number(values.height));
  const batches = values.batches.split(',').map(Number);
  const size = modelSize(JSON.parse(await readFile(join(values.folder, 'config.json'), 'utf8')));
  const startedLoading = performance.now();
  const policy = await createOnnxPolicy(values.folder, {
    maxBatch: Math.max(...batches),
    kvCacheMb: 128,
    decoder: values.decoder as 'auto' | 'append' | 'merged',
    intraOpThreads: Number(values['intra-op-threads']),
  });
  const loadSeconds = since(startedLoading);
  const sample = (n: number, maxTokens: number) =>
    policy.sample({
      problem,
      prefix: [],
      until: 'end',
      seeds: Array.from({ length: n }, (_, seed) => seed),
      sampling: { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, maxTokens },
    });
  try {
    const startedPrompt = performance.now();
    const { promptTokens } = await sample(1, 1);
    const promptSeconds = since(startedPrompt);
    const rates: Record<string, unknown>[] = [];
    for (const batch of batches) {
      await sample(batch, 2);
      const before = process.cpuUsage();
      const started = performance.now();
      const { rollouts } = await sample(batch, Number(values.tokens));
      const seconds = since(started);
      const { user, system } = process.cpuUsage(before);
      const tokens = rollouts.reduce((sum, one) => sum + one.policyTokens, 0);
      const sequences = rollouts.map((one) => ({ prompt: promptTokens, tokens: one.policyTokens }));
      const work = { sequences, sharedBy: Math.min(batch, 16), promptTokens: 0, pictures: 0 };
      const ceiling = await measureCeilings(size, batch, 1);
      const floor = workFloor(size, work, batch, ceiling);
      const share = (tokens * floor.totalUs) / (user + system);
      const rss = process.memoryUsage().rss / 2 ** 20;
      rates.push({
        batch,
        tokens,
        tokensPerSecond: round(tokens / seconds),
        tokensPerCpuSecond: round((tokens * 1e6) / (user + system)),
        floorUs: Math.round(floor.totalUs),
        ceiling: { gflops: round(ceiling.gflops), copyGbps: round(ceiling.copyGbps) },
        shareOfFloor: round(share),
        rssMib: Math.round(rss),
      });
      process.stdout.write(
        `batch ${batch}: ${(tokens / seconds).toFixed(1)} tokens/s, ${((tokens * 1e6) / (user + system)).toFixed(1)} per CPU second (${(100 * share).toFixed(0)} % of the floor), ${rss.toFixed(0)} MiB resident\n`,
      );
    }
    const peakMib = Math.round(process.resourceUsage().maxRSS / 1024);
    const folder = basename(values.folder);
    process.stdout.write(
      `${JSON.stringify({ bench: 'smolvlm', ...benchFacts(), settings: { ...values, folder }, loadSeconds: round(loadSeconds), promptTokens, promptSeconds: round(promptSeconds), rates, peakMib })}\n`,
    );
  } finally {
    await policy.close();
  }
}

const since = (start: number) => (performance.now() - start) / 1000;
const round = (value: number) => Math.round(value * 100) / 100;

/** A bar chart as a data: URL. */
async function picturedProblem(width: number, height: number): Promise<Problem> {
  const bars = Array.from({ length: 8 }, (_, index) => {
    const tall = ((index * 37) % 80) + 10;
    return `<rect x="${index * 12 + 2}%" y="${100 - tall}%" width="8%" height="${tall}%" fill="teal"/>`;
  });
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="100%" height="100%" fill="white"/>${bars.join('')}</svg>`;
  const png = await sharp(Buffer.from(svg)).png().toBuffer();
  const location = `data:image/png;base64,${png.toString('base64')}`;
  const question = 'Which bar is the tallest, and by how much?';
  return { id: 'chart', question, images: [{ source: 'chart.png', location }] };
}

await main();
