/** The ports through which reward models reach the world; prm/ itself does no I/O. */
import type { ImageRef, PathScores, Problem, Step } from '../search/types.js';

/** A model server's JSON routes. Retries, replicas, deadlines and keys lie behind it. */
export interface ModelServer {
  /** Names the server in messages, without credentials. */
  readonly name: string;
  /** The model to ask for: the configured one, or the first that the server lists. */
  model(signal?: AbortSignal): Promise<string>;
  /** @param path below the base URL (`/chat/completions`), or beside it (`../pooling`)
   *  @throws SteptreeError POLICY_CALL_REFUSED (`facts.status`), POLICY_CALL_FAILED, POLICY_CLOSED */
  post(path: string, body: unknown, call?: ServerCall): Promise<unknown>;
  /** Counts of each replica, where somebody counts: its URL, calls, failures, whether it is left out. */
  replicas?(): readonly object[];
  /** Ends calls in flight. Idempotent. */
  close(): Promise<void>;
}

export interface ServerCall {
  /** Calls of one problem go to one replica while it is well, whose prefix cache knows it. */
  readonly affinity?: string;
  readonly signal?: AbortSignal | undefined;
}

/** Turns pictures into `data:` URLs, always the same bytes for the same picture. */
export interface ImageEncoder {
  /** @throws SteptreeError POLICY_IMAGE_UNREADABLE */
  dataUrl(image: ImageRef): Promise<string>;
}

/** One path to score, of whichever tree. */
export interface PathJob {
  readonly problem: Problem;
  /** Steps from the root, at least one, none empty. */
  readonly steps: readonly Step[];
  /** Aborts once nobody wants the scores any more. */
  readonly signal: AbortSignal;
}

export interface ScoredPath {
  readonly scores: PathScores;
  /** Tokens that the reward model computed for this path; 0 where unknown. */
  readonly prmTokens: number;
}

/** A reward model that scores paths one by one, as `createPathScorer` makes a `StepScorer` of it.
 *  Every job has a promise of its own, so that one bad path fails alone and none waits for others. */
export interface PathHost {
  readonly name: string;
  /** `outcome`: one score for a whole solution; `PathScores.steps` is empty then. */
  readonly scores: 'steps' | 'outcome';
  /** Jobs that one call profits from; 1 where every path is a call of its own anyway. */
  readonly batchSize: number;
  /** @returns one promise per job, in their order */
  scorePaths(jobs: readonly PathJob[]): readonly Promise<ScoredPath>[];
  /** Idempotent. */
  close(): Promise<void>;
}

/** What a marker model reads: an opening, and after it one piece of text per step, each of which
 *  ends with the marker. The child of a path has its parent's head and segments as a prefix, so
 *  a host that keeps keys and values finds those of the parent under (head, segments before). */
export interface MarkedPath {
  readonly problem: Problem;
  /** Empty for none. */
  readonly systemPrompt: string;
  /** Text of the user's turn, after the problem's pictures. Special tokens in it are text. */
  readonly question: string;
  /** The assistant's text, cut after each marker. Only the marker at the end of a segment is one. */
  readonly segments: readonly string[];
}

export interface MarkedReply {
  /** P(positive) = exp(l+) / (exp(l+) + exp(l-)) of the logits at each segment's marker, or what a
   *  model that weighs them with its likelihood makes of both (weighed-score.ts). */
  readonly probabilities: readonly number[];
  /** Tokens of the whole path, its pictures' included. */
  readonly pathTokens: number;
  /** Tokens computed, those of a cached prefix left out. */
  readonly computedTokens: number;
}

/** A local model that reads P(positive) at marker tokens, all of a path in one pass: the seam to
 *  the ONNX host (src/policy/onnx), which owns chat template, tokenizer and sessions. */
export interface MarkerModel {
  readonly name: string;
  /** Jobs that one call profits from. */
  readonly batchSize: number;
  /** @returns one promise per path, in their order */
  read(
    paths: readonly (MarkedPath & { readonly signal: AbortSignal })[],
  ): readonly Promise<MarkedReply>[];
  close(): Promise<void>;
}
