import { z } from 'zod';
import type { Rollout, SampleReply, Step } from '../../search/types.js';

/** One line of a recording: rollouts that came back for one prefix of one problem. The fields
 *  after `rollouts` are optional, so that a recording can be written by hand. */
export const recordedLine = z.strictObject({
  problemId: z.string(),
  prefix: z.array(z.string()),
  rollouts: z.array(z.array(z.string())),
  /** One per rollout; `end` where absent. */
  finish: z.array(z.enum(['end', 'step', 'length'])).optional(),
  /** Policy tokens, one per rollout; the number of words where absent. */
  tokens: z.array(z.int().min(1)).optional(),
  /** Mean log-probabilities in nats, one per rollout, null where unknown. */
  meanLogprobs: z.array(z.number().nullable()).optional(),
  promptTokens: z.int().min(0).optional(),
  cachedTokens: z.int().min(0).optional(),
});

export type RecordedLine = z.infer<typeof recordedLine>;

/** The line, with its newline, that lets `recorded:FILE` give this reply again. */
export function formatRecordedReply(
  problemId: string,
  prefix: readonly Step[],
  reply: SampleReply,
): string {
  const { rollouts } = reply;
  const line: RecordedLine = {
    problemId,
    prefix: [...prefix],
    rollouts: rollouts.map((rollout) => [...rollout.steps]),
    finish: rollouts.map((rollout) => rollout.finish),
    tokens: rollouts.map((rollout) => rollout.policyTokens),
  };
  if (rollouts.some((rollout) => rollout.meanLogprob !== undefined)) {
    line.meanLogprobs = rollouts.map((rollout) => rollout.meanLogprob ?? null);
  }
  if (reply.promptTokens > 0) line.promptTokens = reply.promptTokens;
  if (reply.cachedTokens > 0) line.cachedTokens = reply.cachedTokens;
  return `${JSON.stringify(line)}\n`;
}

/** What keeps the line from being used, or null: lists that don't fit the rollouts. */
export function lineProblem(line: RecordedLine): string | null {
  for (const name of ['finish', 'tokens', 'meanLogprobs'] as const) {
    const list = line[name];
    if (list !== undefined && list.length !== line.rollouts.length) {
      return `"${name}" has ${list.length} entries for ${line.rollouts.length} rollouts`;
    }
  }
  return null;
}

/** Rollout `index` of a line, its steps trimmed and never empty.
 *  @param until `step` keeps the first step only, as a live host would */
export function recordedRollout(line: RecordedLine, index: number, until: 'step' | 'end'): Rollout {
  const steps = cleanSteps(line.rollouts[index] ?? []);
  const cut = until === 'step' && steps.length > 1;
  const kept = cut ? steps.slice(0, 1) : steps;
  const meanLogprob = line.meanLogprobs?.[index];
  return {
    steps: kept,
    finish: cut ? 'step' : (line.finish?.[index] ?? 'end'),
    policyTokens: cut ? countWords(kept) : (line.tokens?.[index] ?? countWords(kept)),
    ...(meanLogprob == null ? {} : { meanLogprob }),
  };
}

export function cleanSteps(steps: readonly string[]): string[] {
  return steps.map((step) => step.trim()).filter((step) => step !== '');
}

/** At least 1: even an empty rollout cost its end token. */
function countWords(steps: readonly Step[]): number {
  return Math.max(1, steps.join(' ').split(/\s+/).filter(Boolean).length);
}
