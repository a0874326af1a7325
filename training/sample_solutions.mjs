/** Samples solutions of problems with an ONNX policy folder and says which answers are right.
 *
 *  npm run build && node training/sample_solutions.mjs PROBLEMS.jsonl --samples 16 --seed 7 --out FILE
 *
 *  A problem line is {"id", "question", "image", "answer"}; with "prefixes", a list of lists of steps,
 *  every prefix is continued instead, by one step only with --until step. One line per problem and prefix comes out, in the order of the
 *  input: {"id", "prefix", "solutions": [[step, …], …], "right": [true, …]}; solutions hold the whole
 *  path. Sample i of a prefix has a seed of its own, so the texts don't depend on the batch. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { createOnnxPolicy, onnxOptions } from '../dist/src/policy/onnx/index.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: {
      type: 'string',
      default: new URL('../models/figmath-policy', import.meta.url).pathname,
    },
    samples: { type: 'string', default: '16' },
    temperature: { type: 'string', default: '1' },
    seed: { type: 'string', default: '0' },
    until: { type: 'string', default: 'end' },
    limit: { type: 'string', default: '0' },
    threads: { type: 'string', default: '1' },
    out: { type: 'string' },
  },
});
const [file] = positionals;
if (file === undefined || values.out === undefined) {
  throw new Error(
    'usage: sample_solutions.mjs PROBLEMS.jsonl --out FILE; see the head of this file',
  );
}
const folder = dirname(resolve(file));
const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
const problems = lines
  .slice(0, Number(values.limit) || lines.length)
  .map((line) => JSON.parse(line));
const policy = await createOnnxPolicy(
  resolve(values.model),
  onnxOptions.parse({ threads: Number(values.threads), maxBatch: 64 }),
);
const sampling = {
  temperature: Number(values.temperature),
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  maxTokens: 160,
};

function seedOf(...parts) {
  return createHash('sha256').update(parts.join('/')).digest().readUInt32LE(0) % 2 ** 31;
}

function isRight(steps, answer) {
  const found = [...steps.join('\n').matchAll(/Answer: (-?\d+)/g)].at(-1);
  return found?.[1] === answer;
}

async function solve(problem, prefix) {
  const path = resolve(folder, problem.image);
  const seeds = Array.from({ length: Number(values.samples) }, (_, i) =>
    seedOf(values.seed, problem.id, prefix.join('\n\n'), i),
  );
  const { rollouts } = await policy.sample({
    problem: { ...problem, images: [{ source: problem.image, location: path }] },
    prefix,
    until: values.until,
    seeds,
    sampling,
  });
  const solutions = rollouts.map((rollout) => [...prefix, ...rollout.steps]);
  const policyTokens = rollouts.reduce((sum, rollout) => sum + rollout.policyTokens, 0);
  const right = solutions.map((steps) => isRight(steps, problem.answer));
  return { id: problem.id, prefix, solutions, right, policyTokens };
}

const tasks = problems.flatMap((problem) =>
  (problem.prefixes ?? [[]]).map((prefix) => ({ problem, prefix })),
);
const results = new Array(tasks.length);
let next = 0;
async function worker() {
  while (next < tasks.length) {
    const index = next++;
    const { problem, prefix } = tasks[index];
    results[index] = await solve(problem, prefix);
  }
}
const began = Date.now();
await Promise.all(Array.from({ length: 24 }, worker));
await policy.close();
writeFileSync(values.out, results.map((result) => `${JSON.stringify(result)}\n`).join(''));
const right = results.flatMap((result) => result.right);
console.log(
  JSON.stringify({
    tasks: tasks.length,
    samples: right.length,
    right: right.filter(Boolean).length / right.length,
    policyTokens: results.reduce((sum, result) => sum + result.policyTokens, 0),
    seconds: (Date.now() - began) / 1000,
  }),
);
