/** How good is the embedded policy on unseen figmath problems, through the ONNX host?
 *
 *  `node dist/bench/accuracy/figmath-policy.js [--count 500] [--seed 2] [--samples 16]
 *  [--model models/figmath-policy] [--threads 2]`
 *
 *  Greedy, one sample, pass@k and majority vote at temperature 1, with 95 % intervals over the
 *  problems; answers are graded by the same checks as in `steptree label`. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { credibleInterval, type Problem, type Verdict } from '../../search/index.js';
import { readProblems } from '../../src/data/problems.js';
import { writeFigmath } from '../../src/figmath/index.js';
import { EMBEDDED_POLICY_DIR } from '../../src/policy/create.js';
import { createOnnxPolicy } from '../../src/policy/onnx/index.js';
import { createVerifier } from '../../src/verify/index.js';
import { benchFacts } from '../facts.js';

interface Graded {
  readonly problem: Problem;
  readonly greedy: Verdict;
  readonly samples: readonly Verdict[];
}

const SAMPLING = { topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, maxTokens: 256 };

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '500' },
      seed: { type: 'string', default: '2' },
      samples: { type: 'string', default: '16' },
      model: { type: 'string', default: EMBEDDED_POLICY_DIR },
      threads: { type: 'string', default: '2' },
    },
  });
  const dir = await mkdtemp(join(tmpdir(), 'steptree-accuracy-'));
  const policy = await createOnnxPolicy(values.model, { threads: Number(values.threads) });
  const verifier = createVerifier({});
  try {
    const [count, seed, n] = [values.count, values.seed, values.samples].map(Number);
    const { problemsFile } = await writeFigmath({
      split: 'test',
      count: count ?? 500,
      seed: seed ?? 2,
      out: dir,
    });
    const problems: Problem[] = [];
    for await (const item of readProblems(problemsFile)) {
      if ('problem' in item) problems.push(item.problem);
    }
    const startMs = performance.now();
    const grade = async (problem: Problem, temperature: number, samples: number) => {
      const seeds = Array.from({ length: samples }, (_, i) => i);
      const { rollouts } = await policy.sample({
        problem,
        prefix: [],
        until: 'end',
        seeds,
        sampling: { ...SAMPLING, temperature },
      });
      return verifier.verify(
        problem,
        rollouts.map((rollout) => rollout.steps),
      );
    };
    const graded = await Promise.all(
      problems.map(async (problem): Promise<Graded> => {
        const [greedy] = await grade(problem, 0, 1);
        if (!greedy) throw new Error('no verdict');
        return { problem, greedy, samples: await grade(problem, 1, n ?? 16) };
      }),
    );
    report(graded, n ?? 16, (performance.now() - startMs) / 1000, await policy.stats());
  } finally {
    await verifier.close();
    await policy.close();
    await rm(dir, { recursive: true, force: true });
  }
}

function report(graded: readonly Graded[], n: number, seconds: number, stats: object): void {
  const families = [...new Set(graded.map(familyOf))].sort();
  const rows = [null, ...families].map((family) => {
    const of = family === null ? graded : graded.filter((one) => familyOf(one) === family);
    return { family: family ?? 'all', ...measures(of, n) };
  });
  for (const row of rows) {
    const shown = Object.entries(row)
      .filter(([, value]) => typeof value === 'object')
      .map(([name, value]) => `${name} ${percent(value as Measure)}`);
    process.stdout.write(`${row.family.padEnd(7)} n=${row.problems}: ${shown.join(', ')}\n`);
  }
  process.stdout.write(
    `${JSON.stringify({ bench: 'figmath-policy', ...benchFacts(), seconds, stats, rows })}\n`,
  );
}

interface Measure {
  readonly share: number;
  readonly interval: readonly [number, number];
}

function measures(graded: readonly Graded[], n: number) {
  const share = (right: (one: Graded) => boolean): Measure => {
    const count = graded.filter(right).length;
    return { share: count / graded.length, interval: credibleInterval(count, graded.length) };
  };
  const isRight = (verdict: Verdict | undefined) => verdict?.verdict === 'equal';
  const pass = (k: number) => share((one) => one.samples.slice(0, k).some(isRight));
  return {
    problems: graded.length,
    greedy: share((one) => isRight(one.greedy)),
    'pass@1': pass(1),
    'pass@4': pass(Math.min(4, n)),
    [`pass@${n}`]: pass(n),
    [`majority@${n}`]: share((one) => majorityIsRight(one.samples)),
  };
}

/** The answer named most often; of equally frequent ones the one named first. */
function majorityIsRight(samples: readonly Verdict[]): boolean {
  const votes = new Map<string, { count: number; right: boolean }>();
  for (const { extracted, verdict } of samples) {
    if (extracted === undefined) continue;
    const vote = votes.get(extracted) ?? { count: 0, right: verdict === 'equal' };
    vote.count++;
    votes.set(extracted, vote);
  }
  let best: { count: number; right: boolean } | null = null;
  for (const vote of votes.values()) if (!best || vote.count > best.count) best = vote;
  return best?.right ?? false;
}

function familyOf({ problem }: Graded): string {
  return String(problem.metadata?.family ?? 'unknown');
}

function percent({ share, interval: [low, high] }: Measure): string {
  const text = (value: number) => (100 * value).toFixed(1);
  return `${text(share)} % (${text(low)}-${text(high)})`;
}

await main();
