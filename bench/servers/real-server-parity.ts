/** A real server against the ONNX host, for the same model: prompt tokens, greedy texts, scores. */
import { credibleInterval, type Problem, type Step } from '../../search/index.js';
import type { PolicyModel, StepScorer } from '../../search/types.js';
import { readModelFolder } from '../../src/policy/onnx/folder.js';
import { PromptText } from '../../src/policy/onnx/prompt.js';
import { createImageEncoder } from '../../src/policy/openai/index.js';
import { prefillMessages } from '../../src/policy/openai/prompt.js';
import { createSplitter } from '../../src/policy/splitter.js';
import { createVerifier } from '../../src/verify/index.js';

const GREEDY = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, maxTokens: 256 };

/** Largest difference of scores that counts as the same (issue: 1e-2 on 200 paths). */
export const SCORE_TOLERANCE = 1e-2;

export interface PromptParity {
  readonly prompts: number;
  readonly identical: number;
}

/** Prompts of every problem alone and continued after one and two steps, as token ids: those that
 *  vLLM says it read (`return_token_ids`) against those that the ONNX host would read.
 *  @param steps a solution of each problem
 *  @param folder the model folder that both serve; one picture is 64 tokens in it */
export async function comparePrompts(
  url: string,
  folderPath: string,
  problems: readonly Problem[],
  steps: readonly (readonly Step[])[],
): Promise<PromptParity> {
  const folder = await readModelFolder(folderPath);
  const splitter = createSplitter('blank-line');
  const text = new PromptText(folder, splitter, {
    systemPrompt: '',
    promptTemplate: '{question}{choices}',
  });
  const encoder = createImageEncoder(1e8);
  const model = await firstModel(url);
  let prompts = 0;
  let identical = 0;
  for (const [index, problem] of problems.entries()) {
    const images = await Promise.all(problem.images.map((image) => encoder.dataUrl(image)));
    for (const length of [0, 1, 2]) {
      const prefix = (steps[index] ?? []).slice(0, length);
      if (prefix.length < length) continue;
      const parts = { system: '', question: problem.question, images, prefix };
      const body = {
        model,
        messages: prefillMessages(parts, splitter),
        max_tokens: 1,
        temperature: 0,
        return_token_ids: true,
        ...(length > 0 ? { continue_final_message: true, add_generation_prompt: false } : {}),
      };
      const reply = await postJson(`${url}/chat/completions`, body);
      const theirs = (reply.prompt_token_ids as number[] | undefined) ?? [];
      const layouts = images.map(() => ({ rows: IMAGE_ROWS, grid: null }));
      const ours = text.encode(problem, prefix, layouts);
      prompts++;
      if (theirs.join() === ours.join()) identical++;
    }
  }
  return { prompts, identical };
}

/** image_seq_length of the embedded models. */
const IMAGE_ROWS = 64;

export interface GreedyParity {
  readonly problems: number;
  /** Share of problems with the same text from both. */
  readonly identical: number;
  readonly server: Accuracy;
  readonly onnx: Accuracy;
  readonly serverTokensPerSecond: number;
  readonly onnxTokensPerSecond: number;
  /** The first problems whose texts differ, for looking into. */
  readonly different: readonly { id: string; server: string; onnx: string }[];
}

interface Accuracy {
  readonly accuracy: number;
  /** 95 % credible. */
  readonly interval: readonly [number, number];
}

/** The greedy solution of every problem by both hosts, graded as `steptree label` grades.
 *  @returns also the solutions of the ONNX host */
export async function compareGreedy(
  server: PolicyModel,
  onnx: PolicyModel,
  problems: readonly Problem[],
): Promise<{ parity: GreedyParity; solutions: readonly (readonly Step[])[] }> {
  const theirs = await solveAll(server, problems);
  const ours = await solveAll(onnx, problems);
  const verifier = createVerifier({});
  try {
    const grade = async (solutions: readonly (readonly Step[])[]) => {
      const right = await Promise.all(
        problems.map(async (problem, index) => {
          const [verdict] = await verifier.verify(problem, [solutions[index] ?? []]);
          return verdict?.verdict === 'equal';
        }),
      );
      const count = right.filter(Boolean).length;
      return {
        accuracy: count / problems.length,
        interval: credibleInterval(count, problems.length),
      };
    };
    const textOf = (steps: readonly Step[] | undefined) => (steps ?? []).join('\n\n');
    const rows = problems.map((problem, index) => ({
      id: problem.id,
      server: textOf(theirs.solutions[index]),
      onnx: textOf(ours.solutions[index]),
    }));
    const different = rows.filter((row) => row.server !== row.onnx);
    const parity: GreedyParity = {
      problems: problems.length,
      identical: 1 - different.length / problems.length,
      server: await grade(theirs.solutions),
      onnx: await grade(ours.solutions),
      serverTokensPerSecond: theirs.tokens / theirs.seconds,
      onnxTokensPerSecond: ours.tokens / ours.seconds,
      different: different.slice(0, 3),
    };
    return { parity, solutions: ours.solutions };
  } finally {
    await verifier.close();
  }
}

async function solveAll(policy: PolicyModel, problems: readonly Problem[]) {
  const startMs = performance.now();
  const replies = await Promise.all(
    problems.map((problem) =>
      policy.sample({ problem, prefix: [], until: 'end', seeds: [1], sampling: GREEDY }),
    ),
  );
  const rollouts = replies.flatMap((reply) => reply.rollouts);
  return {
    solutions: rollouts.map((rollout) => rollout.steps),
    tokens: rollouts.reduce((sum, rollout) => sum + rollout.policyTokens, 0),
    seconds: (performance.now() - startMs) / 1000,
  };
}

export interface ScoreParity {
  readonly paths: number;
  readonly steps: number;
  /** Of all step scores. */
  readonly largestDifference: number;
  readonly meanDifference: number;
  readonly serverSeconds: number;
  readonly serverTokens: number;
  /** `stats()` of the server's scorer: how often a token was missing from its reply. */
  readonly stats: Readonly<Record<string, unknown>>;
}

/** Scores of the same paths by both.
 *  @param paths of the first problems, at least one step each */
export async function compareScores(
  server: StepScorer & { stats(): Readonly<Record<string, unknown>> },
  onnx: StepScorer,
  problems: readonly Problem[],
  paths: readonly (readonly (readonly Step[])[])[],
): Promise<ScoreParity> {
  // One path first: the host finds out how it must ask before it asks for hundreds at once.
  await scoreAll(server, problems, [(paths[0] ?? []).slice(0, 1)]);
  const startMs = performance.now();
  const theirs = await scoreAll(server, problems, paths);
  const serverSeconds = (performance.now() - startMs) / 1000;
  const ours = await scoreAll(onnx, problems, paths);
  const differences = theirs.steps.map((score, index) =>
    Math.abs(score - (ours.steps[index] ?? Number.NaN)),
  );
  return {
    paths: paths.flat().length,
    steps: differences.length,
    largestDifference: Math.max(...differences),
    meanDifference: differences.reduce((sum, value) => sum + value, 0) / differences.length,
    serverSeconds,
    serverTokens: theirs.tokens,
    stats: server.stats(),
  };
}

async function scoreAll(
  scorer: StepScorer,
  problems: readonly Problem[],
  paths: readonly (readonly (readonly Step[])[])[],
) {
  const replies = await Promise.all(
    paths.map((of, index) => scorer.score({ problem: problems[index] as Problem, paths: of })),
  );
  return {
    steps: replies.flatMap((reply) => reply.paths.flatMap((path) => path.steps)),
    tokens: replies.reduce((sum, reply) => sum + reply.prmTokens, 0),
  };
}

async function firstModel(url: string): Promise<string> {
  const reply = await fetch(`${url}/models`);
  const { data } = (await reply.json()) as { data: { id: string }[] };
  return data[0]?.id ?? '';
}

async function postJson(url: string, body: unknown): Promise<Record<string, unknown>> {
  const reply = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!reply.ok) throw new Error(`${url}: HTTP ${reply.status}: ${await reply.text()}`);
  return (await reply.json()) as Record<string, unknown>;
}
