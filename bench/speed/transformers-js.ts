import { availableParallelism } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import type { Problem, SamplingOptions } from '../../search/types.js';
import { createOnnxPolicy, type OnnxPolicy } from '../../src/policy/onnx/index.js';
import { benchFacts } from '../facts.js';
import { figmathProblems } from '../figmath-problems.js';

/** Our ONNX host against transformers.js on the same folder: picture to text, greedy, the same prompts,
 *  and whether the texts are the same. transformers.js runs one prompt at a time and in growing batches,
 *  with as many threads inside an operator as there are cores; ours runs one prompt at a time, in a batch on
 *  one thread and in a batch on every core. A batch of theirs is one prompt many times over, the case of
 *  rollouts: prompts of unequal length are padded behind their end, and the texts come out wrong. Every run
 *  of ours has a new host, so that nothing is cached from the run before.
 *
 *  transformers.js is no dependency. Install it anywhere (`npm install @huggingface/transformers`) and name
 *  its folder in STEPTREE_TRANSFORMERS_JS.
 *
 *  Usage: node dist/bench/speed/transformers-js.js [--folder DIR] [--problems 64] [--rounds 3] */
interface Tensor {
  readonly dims: readonly number[];
  slice(...ranges: (null | readonly [number, number | null])[]): Tensor;
}
interface Library {
  readonly env: { allowRemoteModels: boolean; localModelPath: string };
  readonly AutoProcessor: { from_pretrained(id: string): Promise<Processor> };
  readonly LlavaForConditionalGeneration: {
    from_pretrained(id: string, options: object): Promise<Model>;
  };
  readonly RawImage: { fromBlob(blob: Blob): Promise<unknown> };
}
interface Processor {
  (
    images: readonly unknown[],
    texts: readonly string[],
    options: object,
  ): Promise<{ readonly input_ids: Tensor } & Record<string, unknown>>;
  apply_chat_template(messages: object, options: object): string;
  batch_decode(ids: Tensor, options: object): string[];
}
interface Model {
  generate(options: object): Promise<Tensor>;
  dispose(): Promise<unknown>;
}

const GREEDY: SamplingOptions = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  maxTokens: 160,
};

interface Run {
  readonly texts: readonly string[];
  readonly seconds: number;
  readonly cpuSeconds: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      folder: { type: 'string', default: 'models/figmath-policy' },
      problems: { type: 'string', default: '64' },
      // One at a time takes several times as long per token; a share of the prompts gives its rate.
      'one-problems': { type: 'string', default: '12' },
      'batch-problems': { type: 'string', default: '4' },
      batches: { type: 'string', default: '16,64' },
      rounds: { type: 'string', default: '3' },
    },
  });
  const path = process.env.STEPTREE_TRANSFORMERS_JS;
  if (path === undefined) {
    process.stdout.write(
      'skipped: STEPTREE_TRANSFORMERS_JS is not set; npm install @huggingface/transformers in a folder of its own and set it to that folder/node_modules/@huggingface/transformers\n',
    );
    return;
  }
  const [warmUp, ...problems] = await figmathProblems(Number(values.problems) + 1);
  if (warmUp === undefined) return;
  const few = problems.slice(0, Number(values['one-problems']));
  const theirs = await openTheirs(path, values.folder);
  const cores = availableParallelism();
  const ours =
    (maxBatch: number, threads: number, some: readonly Problem[], copies = 1) =>
    async () => {
      const policy = await createOnnxPolicy(values.folder, { maxBatch, threads });
      try {
        await runOurs(policy, [warmUp]);
        return await runOurs(policy, some, maxBatch === 1 ? 1 : some.length, copies);
      } finally {
        await policy.close();
      }
    };
  const batches = values.batches.split(',').map(Number);
  const repeats = problems.slice(0, Number(values['batch-problems']));
  const repeated = (size: number) =>
    repeats.flatMap((problem) => new Array<Problem>(size).fill(problem));
  const variants = new Map<string, { problems: readonly Problem[]; run(): Promise<Run> }>([
    ['ours, one at a time', { problems: few, run: ours(1, 1, few) }],
    ['ours, batch 64', { problems, run: ours(64, 1, problems) }],
    [`ours, batch 64 on ${cores} threads`, { problems, run: ours(64, cores, problems) }],
    ...batches.map(
      (size) =>
        [
          `ours, each prompt ${size} times, ${cores} threads`,
          { problems: repeated(size), run: ours(64, cores, repeats, size) },
        ] as const,
    ),
    ['theirs, one at a time', { problems: few, run: () => theirs(few, 1) }],
    ...batches.map(
      (size) =>
        [
          `theirs, each prompt ${size} times`,
          { problems: repeated(size), run: () => theirs(repeated(size), size) },
        ] as const,
    ),
  ]);
  const expected = await greedyTexts(values.folder, problems);
  await theirs([warmUp], 1);
  const rates = new Map<string, { tokensPerSecond: number[]; tokensPerCpuSecond: number[] }>();
  const texts = new Map<string, readonly string[]>();
  for (let round = 0; round < Number(values.rounds); round++) {
    const order = [...variants];
    for (const [name, variant] of round % 2 === 0 ? order : order.reverse()) {
      const run = await variant.run();
      const count = sum(variant.problems.map(({ id }) => expected.get(id)?.tokens ?? 0));
      const rate = rates.get(name) ?? { tokensPerSecond: [], tokensPerCpuSecond: [] };
      rate.tokensPerSecond.push(count / run.seconds);
      rate.tokensPerCpuSecond.push(count / run.cpuSeconds);
      rates.set(name, rate);
      texts.set(name, run.texts);
      process.stdout.write(
        `round ${round + 1}  ${name.padEnd(38)} ${(count / run.seconds).toFixed(0).padStart(6)} tokens/s ${(count / run.cpuSeconds).toFixed(0).padStart(6)} per CPU second\n`,
      );
    }
  }
  const table = [...rates].map(([name, rate]) => ({
    name,
    best: Math.round(Math.max(...rate.tokensPerSecond)),
    median: Math.round(median(rate.tokensPerSecond)),
    perCpuSecond: Math.round(median(rate.tokensPerCpuSecond)),
    sameTexts: variants
      .get(name)
      ?.problems.filter(({ id }, index) => texts.get(name)?.[index] === expected.get(id)?.text)
      .length,
    texts: texts.get(name)?.length ?? 0,
  }));
  for (const { name, best, median: middle, perCpuSecond, sameTexts, texts: all } of table) {
    process.stdout.write(
      `${name.padEnd(38)} best ${best} median ${middle} tokens/s, ${perCpuSecond} per CPU second, ${sameTexts} of ${all} texts the same\n`,
    );
  }
  process.stdout.write(
    `${JSON.stringify({ bench: 'transformers-js', ...benchFacts(), settings: { ...values, folder: basename(values.folder) }, table })}\n`,
  );
}

/** @param atOnce prompts that are asked for together
 *  @param copies texts of each prompt */
async function runOurs(
  policy: OnnxPolicy,
  problems: readonly Problem[],
  atOnce = problems.length,
  copies = 1,
): Promise<Run> {
  return timed(async () => {
    const texts: string[] = [];
    for (let at = 0; at < problems.length; at += atOnce) {
      const some = problems.slice(at, at + atOnce);
      const replies = await Promise.all(some.map((problem) => ask(policy, problem, copies)));
      const rollouts = replies.flatMap((reply) => reply.rollouts);
      texts.push(...rollouts.map(({ steps }) => steps.join('\n\n')));
    }
    return texts;
  });
}

const ask = (policy: OnnxPolicy, problem: Problem, copies = 1) => {
  const seeds = Array.from({ length: copies }, (_, seed) => seed);
  return policy.sample({ problem, prefix: [], until: 'end', seeds, sampling: GREEDY });
};

/** Each problem's greedy text and its tokens, which all variants generate. */
async function greedyTexts(
  folder: string,
  problems: readonly Problem[],
): Promise<Map<string, { text: string; tokens: number }>> {
  const policy = await createOnnxPolicy(folder, {});
  const replies = await Promise.all(problems.map((problem) => ask(policy, problem)));
  await policy.close();
  return new Map(
    replies.map(({ rollouts: [one] }, index) => [
      problems[index]?.id ?? '',
      { text: (one?.steps ?? []).join('\n\n'), tokens: one?.policyTokens ?? 0 },
    ]),
  );
}

async function openTheirs(
  path: string,
  folder: string,
): Promise<(problems: readonly Problem[], batch: number) => Promise<Run>> {
  const file = pathToFileURL(join(resolve(path), 'dist', 'transformers.node.mjs'));
  const library = (await import(file.href)) as Library;
  library.env.allowRemoteModels = false;
  library.env.localModelPath = `${dirname(resolve(folder))}/`;
  const id = basename(folder);
  const processor = await library.AutoProcessor.from_pretrained(id);
  const model = await library.LlavaForConditionalGeneration.from_pretrained(id, {
    dtype: 'fp32',
    device: 'cpu',
    session_options: { intraOpNumThreads: availableParallelism() },
  });
  return (problems, batch) =>
    timed(async () => {
      const texts: string[] = [];
      for (let at = 0; at < problems.length; at += batch) {
        texts.push(...(await generate(library, processor, model, problems.slice(at, at + batch))));
      }
      return texts;
    });
}

async function generate(
  library: Library,
  processor: Processor,
  model: Model,
  problems: readonly Problem[],
): Promise<string[]> {
  const images = await Promise.all(
    problems.map(async ({ images: [image] }) => {
      const reply = await fetch(image?.location ?? '');
      return library.RawImage.fromBlob(await reply.blob());
    }),
  );
  const prompts = problems.map(({ question }) =>
    processor.apply_chat_template(
      [{ role: 'user', content: [{ type: 'image' }, { type: 'text', text: question }] }],
      { add_generation_prompt: true, tokenize: false },
    ),
  );
  const inputs = await processor(images, prompts, { padding: true });
  const output = await model.generate({
    ...inputs,
    max_new_tokens: GREEDY.maxTokens,
    do_sample: false,
  });
  const start = inputs.input_ids.dims.at(-1) ?? 0;
  const texts = processor.batch_decode(output.slice(null, [start, null]), {
    skip_special_tokens: true,
  });
  return texts.map((text) => text.trim());
}

async function timed(work: () => Promise<readonly string[]>): Promise<Run> {
  const before = process.cpuUsage();
  const start = performance.now();
  const texts = await work();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(before);
  return { texts, seconds, cpuSeconds: (user + system) / 1e6 };
}

const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0);
const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

await main();
