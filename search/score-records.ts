import { contentHash } from './rng.js';
import type { PathScores, ScoreReply, Step, StepScorer } from './types.js';

/** Scores as they are stored: of one path, or of a whole set. */
export interface StoredScores {
  readonly paths: readonly PathScores[];
  readonly prmTokens: number;
  readonly elapsedMs: number;
}

/** Paths whose scores are stored together. */
export interface ScoreBatch {
  readonly key: string;
  readonly hashes: readonly string[];
  readonly paths: readonly (readonly Step[])[];
}

/** One batch per path, or one for the whole set of a `setwise` scorer.
 *  @param distinct path by content hash */
export function scoreBatches(
  scorer: StepScorer,
  distinct: ReadonlyMap<string, readonly Step[]>,
): ScoreBatch[] {
  const keyed = (hashes: string[], key: string): ScoreBatch => ({
    key: `score ${scorer.name} ${key}`,
    hashes,
    paths: hashes.map((hash) => distinct.get(hash) ?? []),
  });
  const hashes = [...distinct.keys()];
  if (!scorer.setwise) return hashes.map((hash) => keyed([hash], hash));
  return hashes.length === 0 ? [] : [keyed(hashes, `set ${contentHash(hashes)}`)];
}

/** A reply cut into records. A host counts tokens per request, so paths share them evenly. */
export function splitReply(
  batches: readonly ScoreBatch[],
  reply: ScoreReply,
  elapsedMs: number,
): StoredScores[] {
  const tokensBefore = (count: number) =>
    Math.round((reply.prmTokens * count) / Math.max(1, reply.paths.length));
  let at = 0;
  return batches.map((batch) => {
    const first = at;
    at += batch.paths.length;
    const prmTokens = tokensBefore(at) - tokensBefore(first);
    return { paths: reply.paths.slice(first, at), prmTokens, elapsedMs };
  });
}
