/** A critic out of one small local model: its step scores find the first wrong step, and its
 *  language head writes the step that should stand there. */
import type { Critic, Critique, PolicyModel, Problem, Step, StepScorer } from '../search/types.js';
import type { MarkerCriticOptions } from './options.js';
import { escapeMarkers } from './prompt.js';

export interface MarkerCriticParts {
  /** Step scores of the model. */
  readonly scorer: StepScorer;
  /** The same weights as a policy: asked for one step, greedily. */
  readonly writer: PolicyModel;
  /** Stands after every step that the writer reads. */
  readonly marker: string;
  /** Stands after the wrong step, before the corrected one; null where the writer doesn't see the wrong
   *  step and just goes on from the right ones. */
  readonly correctionPrefix: string | null;
}

/** The seed of a greedy step changes nothing; the port wants one. */
const SEEDS = [0];

/** GM-PRM's critic (arXiv 2508.04088) without words: a probability for each step from the marker
 *  after it, and for the first wrong step the one that should stand in its place, written after
 *  `s1<prm> … wrong<prm>No` as in training (training/train_critic.py), or after the right steps alone.
 *
 *  A correction that repeats the wrong step is none. `criticTokens` are the tokens that both
 *  readings computed and wrote, as far as the hosts say.
 *  @throws what the scorer and the writer throw */
export function createMarkerCritic(parts: MarkerCriticParts, options: MarkerCriticOptions): Critic {
  const { scorer, writer } = parts;
  return {
    name: scorer.name,
    async critique(problem, steps, signal): Promise<Critique> {
      const { paths, prmTokens } = await scorer.score({ problem, paths: [steps] }, signal);
      const scores = paths[0]?.steps ?? [];
      const findings = scores.map((probability) => ({ probability }));
      const firstError = firstWrongStep(scores, options);
      if (firstError === null) return { firstError, findings, criticTokens: prmTokens };
      const written = await correct(
        parts,
        problem,
        steps.slice(0, firstError + 1),
        options,
        signal,
      );
      const criticTokens = prmTokens + written.tokens;
      const isSame = written.step === '' || written.step === steps[firstError]?.trim();
      const correction = isSame ? {} : { correction: written.step };
      return { firstError, findings, criticTokens, ...correction };
    },
  };

  async function correct(
    { marker, correctionPrefix }: MarkerCriticParts,
    problem: Problem,
    upToWrong: readonly Step[],
    { correctionTokens }: MarkerCriticOptions,
    signal: AbortSignal | undefined,
  ): Promise<{ readonly step: Step; readonly tokens: number }> {
    const marks = correctionPrefix === null ? [marker] : [marker, correctionPrefix];
    const read = correctionPrefix === null ? upToWrong.slice(0, -1) : upToWrong;
    const prefix = read.map((step, index) => {
      const isWrong = index === upToWrong.length - 1;
      return `${escapeMarkers(step, marks)}${isWrong ? correctionPrefix : marker}`;
    });
    const sampling = {
      temperature: 0,
      topK: 0,
      topP: 1,
      minP: 0,
      repetitionPenalty: 1,
      maxTokens: correctionTokens,
    };
    const request = { problem, prefix, until: 'step', seeds: SEEDS, sampling } as const;
    const reply = await writer.sample(request, signal);
    const rollout = reply.rollouts[0];
    const tokens = reply.promptTokens - reply.cachedTokens + (rollout?.policyTokens ?? 0);
    // A cut step is half a thought: better none.
    const step = rollout?.finish === 'length' ? '' : (rollout?.steps[0] ?? '');
    return { step: step.split(marker).join('').trim(), tokens };
  }
}

/** Index of the first step whose score lies below `wrongBelow` and below `wrongShare` of the score
 *  before it, or null. Scores are values: on a hard problem all of them are low, and what tells a
 *  wrong step is the fall. The first step falls from 1. */
export function firstWrongStep(
  scores: readonly number[],
  { wrongBelow, wrongShare }: Pick<MarkerCriticOptions, 'wrongBelow' | 'wrongShare'>,
): number | null {
  const index = scores.findIndex(
    (score, i) => score < wrongBelow && score < wrongShare * (scores[i - 1] ?? 1),
  );
  return index === -1 ? null : index;
}
