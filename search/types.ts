/** The terms of the field and the ports through which a search reaches the world.
 *  Everything here is data or an interface; search/ itself does no I/O. */

/** A picture of a problem. Opaque to search/: only hosts that need pixels open it. */
export interface ImageRef {
  /** As written in the problem file: a relative path or a `data:` URL. */
  readonly source: string;
  /** Where a host finds the bytes: an absolute path or the same `data:` URL. */
  readonly location: string;
}

/** What kind of answer is expected. `auto` lets the verifier look at the gold answer itself. */
export type AnswerType = 'auto' | 'number' | 'choice' | 'list' | 'text';

/** What was said before the question, in a conversation. */
export interface Turn {
  readonly role: 'system' | 'user' | 'assistant';
  readonly text: string;
  readonly images: readonly ImageRef[];
}

export interface Problem {
  readonly id: string;
  readonly question: string;
  readonly images: readonly ImageRef[];
  /** Earlier turns of the conversation that the question ends, a system message at most as the first.
   *  Absent for a question by itself; only policies that say so take them (`takesTurns`). */
  readonly turns?: readonly Turn[];
  /** The gold answer; absent where only solving is wanted. */
  readonly answer?: string;
  readonly choices?: readonly string[];
  readonly answerType?: AnswerType;
  /** Decimal places to which a numeric answer must agree. */
  readonly precision?: number;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/** One reasoning step, a trimmed, non-empty string. */
export type Step = string;

/** How a sampled continuation ended.
 *  - `end`: the policy finished its solution (end of text or a stop of its own).
 *  - `step`: it was cut after one step because `until: 'step'` asked for it.
 *  - `length`: the token limit cut it; it is *not* a completed solution. */
export type FinishReason = 'end' | 'step' | 'length';

/** A sampled continuation of a prefix: the steps after the prefix, never the prefix itself. */
export interface Rollout {
  readonly steps: readonly Step[];
  readonly finish: FinishReason;
  /** Tokens that the policy generated for this rollout, including its end token. */
  readonly policyTokens: number;
  /** Mean log-probability of the generated tokens in nats, where the host reports it. */
  readonly meanLogprob?: number;
}

/** Every sampling field, always sent in full: servers have hidden defaults of their own. */
export interface SamplingOptions {
  /** 0 is greedy. */
  readonly temperature: number;
  /** 0 is off. */
  readonly topK: number;
  /** In (0, 1]; 1 is off. */
  readonly topP: number;
  /** In [0, 1); 0 is off. */
  readonly minP: number;
  /** 1 is off. */
  readonly repetitionPenalty: number;
  /** Limit of generated tokens for one rollout. */
  readonly maxTokens: number;
}

export interface SampleRequest {
  readonly problem: Problem;
  /** Steps from the root; empty for a whole solution. */
  readonly prefix: readonly Step[];
  /** Sample one step, or to the end of the solution. */
  readonly until: 'step' | 'end';
  /** One seed per rollout wanted, integers in [0, 2^31). */
  readonly seeds: readonly number[];
  readonly sampling: SamplingOptions;
}

export interface SampleReply {
  /** One per seed, in the order of the seeds. */
  readonly rollouts: readonly Rollout[];
  /** Tokens of the prompt as the host counted them, once per request; 0 where unknown. */
  readonly promptTokens: number;
  /** Of these, tokens that a cache served; 0 where unknown. */
  readonly cachedTokens: number;
}

/** A policy: proposes the next steps of a solution. Throws when a call failed for good;
 *  a failed call is never a rollout. */
export interface PolicyModel {
  readonly name: string;
  sample(request: SampleRequest, signal?: AbortSignal): Promise<SampleReply>;
}

/** `ungraded`: nobody could say; it counts neither for nor against a state. */
export type VerdictKind = 'equal' | 'different' | 'ungraded';

export interface Verdict {
  readonly verdict: VerdictKind;
  /** Why it is ungraded or different, as a stable short word: `timeout`, `no-answer`, … */
  readonly reason?: string;
  /** The final answer that was found, if any. */
  readonly extracted?: string;
}

/** Grades whole solutions against the problem's gold answer. Never throws for a bad answer. */
export interface Verifier {
  verify(
    problem: Problem,
    solutions: readonly (readonly Step[])[],
    signal?: AbortSignal,
  ): Promise<readonly Verdict[]>;
}

/** What a step mainly does: read the picture, or think. */
export type StepKind = 'perception' | 'reasoning';

/** A critic's findings on one step, in the order in which GM-PRM (arXiv 2508.04088) asks for them. */
export interface StepFinding {
  /** What the step sets out to do. */
  readonly intent?: string;
  /** Whether it agrees with the picture. */
  readonly visualAlignment?: string;
  /** Whether it follows and computes right. */
  readonly soundness?: string;
  /** P(correct) of the step, in [0, 1]. */
  readonly probability: number;
}

export interface Critique {
  /** Index of the first wrong step, or null if every step is right. */
  readonly firstError: number | null;
  /** One per step, where the judge says it. */
  readonly kinds?: readonly StepKind[];
  /** One per judged step; a judge may stop after the first error. */
  readonly analyses?: readonly string[];
  /** One per step, from critics that grade each; their mean is the solution's score in Refined-BoN. */
  readonly findings?: readonly StepFinding[];
  /** The first wrong step rewritten; absent if nothing is wrong or the critic can't say. */
  readonly correction?: Step;
  /** Tokens that the critic read and wrote; 0 or absent where unknown. */
  readonly criticTokens?: number;
}

/** A judge that reads a whole solution and points at its first wrong step.
 *  Throws when it failed for good; nonsense is repaired once, then an error, never a verdict. */
export interface Critic {
  readonly name: string;
  critique(problem: Problem, steps: readonly Step[], signal?: AbortSignal): Promise<Critique>;
}

/** What a reward model says of one path, raw: aggregation comes after the fact. */
export interface PathScores {
  /** Step scores, P(correct) of each step given its prefix, in [0, 1], one per step of the path;
   *  empty from hosts that score whole solutions only. */
  readonly steps: readonly number[];
  /** One score for the whole solution, in [0, 1]; where present it is the path score. */
  readonly outcome?: number;
}

export interface ScoreRequest {
  readonly problem: Problem;
  /** Steps from the root, at least one step each. */
  readonly paths: readonly (readonly Step[])[];
}

export interface ScoreReply {
  /** One per path, in their order. */
  readonly paths: readonly PathScores[];
  /** Tokens that the reward model computed; 0 where unknown. */
  readonly prmTokens: number;
}

/** A reward model. Throws when a call failed for good or its reply can't be trusted (a step count
 *  that doesn't match, NaN, a score outside [0, 1]); an error is never a score. */
export interface StepScorer {
  readonly name: string;
  /** True if scores depend on the other paths of the request (tournaments, agreement): it is asked
   *  with all paths of a set, equal ones as often as they occur, and such replies are cached for the
   *  whole set; others are asked once for each different path and cached for it. */
  readonly setwise?: boolean;
  score(request: ScoreRequest, signal?: AbortSignal): Promise<ScoreReply>;
}

/** Final answers of solutions, and which of them mean the same. */
export interface AnswerGroups {
  /** One per solution; null where none was found. */
  readonly answers: readonly (string | null)[];
  /** One per solution: index of its answer's group in order of first appearance; -1 for none. */
  readonly groups: readonly number[];
}

/** Groups solutions by equivalence of their final answers, not by string. Never throws for a bad
 *  answer: what can't be compared in time stands alone. */
export interface AnswerGrouper {
  group(
    problem: Problem,
    solutions: readonly (readonly Step[])[],
    signal?: AbortSignal,
  ): Promise<AnswerGroups>;
}

/** Where replies are kept, keyed inside one problem. `put` resolves once the reply is stored; what
 *  is put later is never stored earlier. */
export interface ReplyStore {
  get(key: string): unknown;
  put(key: string, value: unknown): Promise<void>;
}

/** What a search spent. */
export interface Usage {
  /** Calls to a model, stored replies included. */
  calls: number;
  rollouts: number;
  policyTokens: number;
  promptTokens: number;
  cachedTokens: number;
  /** Of the calls, those to a reward model, whole batches of paths counting once. */
  prmCalls: number;
  /** Tokens that reward models computed. A path's share is counted once per search, however often
   *  it is looked up, and also where a stored reply answered. */
  prmTokens: number;
  /** Of the calls, those to a critic. */
  criticCalls: number;
  /** Tokens that critics read and wrote. Apart from `prmTokens`: a critic writes its tokens one by
   *  one, as a policy does, a reward model computes them in one pass. */
  criticTokens: number;
  /** Rollouts whose answer could not be graded. */
  ungraded: number;
  /** Calls answered from stored replies. */
  replayed: number;
}
