/** Files of `steptree solve --out`, as the viewer shows them: runs of one problem. */
import { stat } from 'node:fs/promises';
import { z } from 'zod';
import type { VerdictKind } from '../../search/types.js';
import { FileCache, readJson } from './view-json.js';
import { policyName } from './view-label.js';
import type { KnownProblem } from './view-problems.js';
import type { FoundRun } from './view-scan.js';
import type { ViewProblemRow, ViewRun, ViewSolveProblem } from './view-types.js';

const verdict = z.looseObject({ verdict: z.enum(['equal', 'different', 'ungraded']) });

const solveFile = z.looseObject({
  id: z.string(),
  question: z.string(),
  strategy: z.string(),
  options: z.record(z.string(), z.unknown()).optional(),
  seed: z.number().optional(),
  policy: z.looseObject({ model: z.string().optional(), host: z.string().optional() }).optional(),
  prm: z.record(z.string(), z.unknown()).nullish(),
  answer: z.string().nullable(),
  chosen: z.number().nullable(),
  candidates: z.array(
    z.looseObject({
      steps: z.array(z.string()),
      answer: z.string().nullable(),
      score: z.number().nullable(),
      stepScores: z.array(z.number()).nullable(),
      outcome: z.number().optional(),
      origin: z.string().optional(),
      parent: z.number().optional(),
      finish: z.string().optional(),
      policyTokens: z.number().optional(),
    }),
  ),
  votes: z.array(z.looseObject({ answer: z.string(), votes: z.number(), weight: z.number() })),
  stopped: z.string(),
  warnings: z.array(z.string()),
  usage: z.record(z.string(), z.number()),
  elapsedMs: z.number(),
  states: z
    .array(
      z.object({
        parent: z.int().min(-1),
        steps: z.array(z.string()),
        score: z.number().nullable(),
        visits: z.number(),
        q: z.number(),
        u: z.number().nullable(),
        prior: z.number().nullable(),
        isEnd: z.boolean(),
      }),
    )
    .optional(),
  gold: z.string().optional(),
  verdict: verdict.optional(),
  candidateVerdicts: z.array(verdict).optional(),
});
export type SolveFile = z.infer<typeof solveFile>;

/** Whole reports are remembered, since a scan asks each for its head. */
const KEPT_FILES = 500;

export class SolveFiles {
  private readonly files = new FileCache<SolveFile>(KEPT_FILES);

  read(path: string): Promise<SolveFile> {
    return this.files.get(path, (file) => readJson(file, solveFile));
  }

  async run(found: FoundRun): Promise<ViewRun> {
    const report = await this.read(found.path);
    return {
      id: found.id,
      kind: 'solve',
      method: report.strategy,
      policy: policyName(report.policy),
      seed: report.seed ?? null,
      status: 'done',
      problems: { done: 1, failed: 0, total: 1 },
      labels: null,
      rollouts: report.usage.rollouts ?? null,
      policyTokens: report.usage.policyTokens ?? null,
      seconds: report.elapsedMs / 1000,
      changedMs: (await stat(found.path)).mtimeMs,
    };
  }

  async config(path: string): Promise<Record<string, unknown>> {
    const { strategy, options, seed, sampling, budget, policy, prm, critic } =
      await this.read(path);
    return { strategy, options, seed, sampling, budget, policy, prm, critic };
  }

  async row(path: string, known: ReadonlyMap<string, KnownProblem>): Promise<ViewProblemRow> {
    const report = await this.read(path);
    const graded = (report.candidateVerdicts ?? []).filter((one) => one.verdict !== 'ungraded');
    const right = graded.filter((one) => one.verdict === 'equal').length;
    const steps = new Set<string>();
    for (const { steps: path } of report.candidates) {
      path.forEach((_, i) => {
        steps.add(JSON.stringify(path.slice(0, i + 1)));
      });
    }
    return {
      id: report.id,
      question: report.question,
      group: known.get(report.id)?.group ?? null,
      gold: report.gold ?? null,
      status: 'done',
      value: graded.length > 0 ? right / graded.length : null,
      // Candidates of one search are not independent draws, so their share has no interval.
      interval: null,
      states: report.states?.length ?? steps.size + 1,
      rollouts: report.usage.rollouts ?? report.candidates.length,
      stopped: report.stopped,
      verdict: report.verdict?.verdict ?? null,
      error: null,
    };
  }

  async problem(
    found: FoundRun,
    known: ReadonlyMap<string, KnownProblem>,
  ): Promise<ViewSolveProblem> {
    const file = await this.read(found.path);
    const { id, question, strategy, answer, chosen, votes, stopped, warnings, usage } = file;
    const verdictOf = (i: number): VerdictKind | null =>
      file.candidateVerdicts?.[i]?.verdict ?? null;
    return {
      kind: 'solve',
      run: found.id,
      id,
      question,
      gold: file.gold ?? null,
      group: known.get(id)?.group ?? null,
      images: known.get(id)?.images.length ?? 0,
      report: {
        strategy,
        answer,
        chosen,
        candidates: file.candidates.map((candidate, i) => {
          const { steps, answer, score, stepScores, outcome, origin, parent, finish } = candidate;
          return {
            steps,
            answer,
            score,
            stepScores,
            ...(outcome === undefined ? {} : { outcome }),
            ...(origin === undefined ? {} : { origin }),
            ...(parent === undefined ? {} : { parent }),
            ...(finish === undefined ? {} : { finish }),
            verdict: verdictOf(i),
          };
        }),
        votes,
        stopped,
        warnings,
        usage,
        elapsedMs: file.elapsedMs,
        ...(file.states ? { states: file.states } : {}),
      },
    };
  }
}
