/** Steptree against real model servers that serve the embedded policy and reward model.
 *
 *  `bash bench/servers/run-vllm.sh` starts two vLLM servers and runs this; or with servers of your own:
 *  `node dist/bench/servers/real-server.js --policy http://127.0.0.1:8701/v1
 *  --prm http://127.0.0.1:8702/v1 [--problems 200] [--paths 200] [--one-pass-paths 4] [--label 20]
 *  [--out FILE]`
 *
 *  Prompt tokens, greedy texts and scores against the ONNX hosts; then the commands themselves: doctor,
 *  label killed in the middle and resumed, solve with best-of-n. Exits with 1 if anything is off. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Problem, Step } from '../../search/types.js';
import { readProblems } from '../../src/data/problems.js';
import { writeFigmath } from '../../src/figmath/index.js';
import { EMBEDDED_POLICY_DIR } from '../../src/policy/create.js';
import { createOnnxPolicy } from '../../src/policy/onnx/index.js';
import { createOpenAiPolicy, openaiOptions } from '../../src/policy/openai/index.js';
import { createSplitter } from '../../src/policy/splitter.js';
import { createScorer, EMBEDDED_PRM_DIR, scorerSettings } from '../../src/scorer/index.js';
import { benchFacts } from '../facts.js';
import { runCommands } from './real-server-commands.js';
import {
  compareGreedy,
  comparePrompts,
  compareScores,
  SCORE_TOLERANCE,
} from './real-server-parity.js';

/** Seed of the problems: unseen ones, and others than the accuracy bench's. */
const SEED = 31;
const SAMPLES_PER_PROBLEM = 4;

/** Of the embedded models, in tokens: their reward model holds many tokens for likelier than Yes and
 *  No, so in one pass all have to be asked for. That takes vLLM seconds a path. */
const VOCABULARY = 640;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      policy: { type: 'string', default: 'http://127.0.0.1:8701/v1' },
      prm: { type: 'string', default: 'http://127.0.0.1:8702/v1' },
      problems: { type: 'string', default: '200' },
      paths: { type: 'string', default: '200' },
      'one-pass-paths': { type: 'string', default: '4' },
      label: { type: 'string', default: '20' },
      out: { type: 'string' },
    },
  });
  const [count = 200, pathCount = 200, onePass = 4, labelled = 20] = [
    values.problems,
    values.paths,
    values['one-pass-paths'],
    values.label,
  ].map(Number);
  const dir = await mkdtemp(join(tmpdir(), 'steptree-real-server-'));
  try {
    const { problemsFile } = await writeFigmath({ split: 'test', count, seed: SEED, out: dir });
    const problems = await problemsOf(problemsFile);
    const parity = await comparePolicies(values.policy, problems);
    const { weight, valueWeight, bias } = await embeddedWeights();
    const scores = await compareScorers(values.prm, problems, [
      { flags: { prmMode: 'per-step', ...VALUE_ALONE }, paths: pathCount },
      {
        flags: {
          ...{ prmMode: 'prompt-logprobs', prmTopLogprobs: VOCABULARY },
          ...{ prmValueWeight: valueWeight, prmLikelihoodWeight: weight, prmBias: bias },
        },
        paths: onePass,
      },
    ]);
    const commands = await runCommands({
      policy: values.policy,
      prm: values.prm,
      problemsFile,
      ids: problems.map((problem) => problem.id),
      labelled,
      dir,
    });
    const failures = [
      ...(parity.prompts.identical === parity.prompts.prompts ? [] : ['prompt tokens differ']),
      ...scores.flatMap(({ prmMode, largestDifference }) =>
        largestDifference <= SCORE_TOLERANCE
          ? []
          : [`${prmMode}: scores differ by ${largestDifference}`],
      ),
      ...commands.failures,
    ];
    const report = { bench: 'real-server', ...benchFacts(), ...parity, scores, commands, failures };
    const text = JSON.stringify(report, null, 2);
    if (values.out) await writeFile(values.out, `${text}\n`);
    process.stdout.write(`${text}\n`);
    process.exitCode = failures.length === 0 ? 0 : 1;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function problemsOf(file: string): Promise<Problem[]> {
  const problems: Problem[] = [];
  for await (const item of readProblems(file)) {
    if ('problem' in item) problems.push(item.problem);
  }
  return problems;
}

async function comparePolicies(url: string, problems: readonly Problem[]) {
  const options = openaiOptions.parse({ continuation: 'auto', systemPrompt: '' });
  const splitter = createSplitter('blank-line');
  const warnings: string[] = [];
  const onWarning = (message: string) => warnings.push(message);
  const server = await createOpenAiPolicy([url], options, { splitter, onWarning });
  const onnx = await createOnnxPolicy(EMBEDDED_POLICY_DIR);
  try {
    say(`greedy solutions of ${problems.length} problems`);
    const { parity, solutions } = await compareGreedy(server, onnx, problems);
    say(`prompt tokens`);
    const some = problems.slice(0, 50);
    const prompts = await comparePrompts(url, EMBEDDED_POLICY_DIR, some, solutions);
    return { policyServer: server.describe(), warnings, prompts, greedy: parity };
  } finally {
    await Promise.all([server.close(), onnx.close()]);
  }
}

/** Step by step a server tells the value alone, so the ONNX host is asked for that too. */
const VALUE_ALONE = { prmValueWeight: 1, prmLikelihoodWeight: 0, prmBias: 0 };

/** How the embedded reward model's score is made of value and likelihood, of its steptree_prm.json. */
async function embeddedWeights() {
  const text = await readFile(join(EMBEDDED_PRM_DIR, 'steptree_prm.json'), 'utf8');
  return (JSON.parse(text) as { likelihood: LikelihoodWeights }).likelihood;
}

interface LikelihoodWeights {
  readonly weight: number;
  readonly valueWeight: number;
  readonly bias: number;
}

interface ScoreRun {
  readonly flags: {
    readonly prmMode: string;
    readonly prmTopLogprobs?: number;
    readonly prmValueWeight: number;
    readonly prmLikelihoodWeight: number;
    readonly prmBias: number;
  };
  readonly paths: number;
}

/** Sampled solutions, so that right and wrong paths are among them, scored in both modes. */
async function compareScorers(url: string, problems: readonly Problem[], runs: ScoreRun[]) {
  const most = Math.max(...runs.map((run) => run.paths));
  const some = problems.slice(0, Math.ceil(most / SAMPLES_PER_PROBLEM));
  const paths = await samplePaths(some);
  const rows = [];
  for (const { paths: count, flags } of runs) {
    say(`scores of ${count} paths, ${flags.prmMode}`);
    const { prmMode: _, prmTopLogprobs: __, ...weights } = flags;
    const onnx = await createScorer(
      scorerSettings({ prm: 'embedded', prmKind: 'onnx', ...weights }),
    );
    const server = await createScorer(
      scorerSettings({ prm: url, prmKind: 'token-logits', ...flags }),
    );
    const chosen = paths.slice(0, Math.ceil(count / SAMPLES_PER_PROBLEM));
    try {
      rows.push({ ...flags, ...(await compareScores(server, onnx, some, chosen)) });
    } finally {
      await Promise.all([server.close(), onnx.close()]);
    }
  }
  return rows;
}

async function samplePaths(problems: readonly Problem[]): Promise<(readonly Step[])[][]> {
  const policy = await createOnnxPolicy(EMBEDDED_POLICY_DIR);
  const sampling = {
    temperature: 1,
    topK: 0,
    topP: 1,
    minP: 0,
    repetitionPenalty: 1,
    maxTokens: 256,
  };
  const seeds = Array.from({ length: SAMPLES_PER_PROBLEM }, (_, index) => index);
  try {
    return await Promise.all(
      problems.map(async (problem) => {
        const request = { problem, prefix: [], until: 'end' as const, seeds, sampling };
        const { rollouts } = await policy.sample(request);
        return rollouts.map((rollout) => rollout.steps).filter((steps) => steps.length > 0);
      }),
    );
  } finally {
    await policy.close();
  }
}

function say(what: string): void {
  process.stderr.write(`real-server: ${what}\n`);
}

await main();
