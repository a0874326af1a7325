import type { SamplingOptions } from '../../../search/types.js';
import type { DecoderShape } from './decoder.js';
import { Prefix, type PrefixText } from './prefix.js';
import type { Tile } from './prefix-tiles.js';

/** What the batcher is asked for: continuations of one prompt, one per seed. */
export interface BatchRequest extends PrefixText {
  readonly seeds: readonly number[];
  readonly sampling: SamplingOptions;
  readonly endTokens: ReadonlySet<number>;
  /** Whether the generated tokens hold a whole step; absent when sampling to the end. */
  readonly endsStep?: (tokens: readonly number[]) => boolean;
}

export interface GeneratedSequence {
  /** Generated tokens, the end token included. */
  readonly tokens: readonly number[];
  readonly finish: 'end' | 'step' | 'length';
  /** Sum of log-probabilities in nats of these tokens. */
  readonly logprob: number;
}

export interface BatchResult {
  /** One per seed, in the order of the seeds. */
  readonly sequences: readonly GeneratedSequence[];
  /** Prompt tokens whose KV was already there. */
  readonly cachedTokens: number;
}

/** A request on its way: first its prompt's blocks, then its sequences. */
export class Job {
  readonly prefix: Prefix;
  readonly results: (GeneratedSequence | undefined)[];
  /** Index of the first seed that has no sequence yet. */
  nextSeed = 0;
  finished = 0;
  cancelled = false;

  constructor(
    readonly request: BatchRequest,
    readonly resolve: (result: BatchResult) => void,
    readonly reject: (error: unknown) => void,
  ) {
    this.prefix = new Prefix(request);
    this.results = request.seeds.map(() => undefined);
  }

  get wantsSequences(): number {
    return this.request.seeds.length - this.nextSeed;
  }
}

/** One continuation that is being decoded. */
export class Sequence {
  readonly tokens: number[] = [];
  logprob = 0;
  /** Rows of its KV: the prompt and all generated tokens but the last. */
  length: number;
  finish: 'end' | 'step' | 'length' | null = null;
  readonly seen: Uint8Array | null;
  /** Where it reads its prompt together with others. */
  tile: Tile | null = null;

  constructor(
    readonly job: Job,
    readonly seedIndex: number,
    shape: DecoderShape,
  ) {
    const { ids, sampling } = job.request;
    this.length = ids.length;
    this.seen = sampling.repetitionPenalty === 1 ? null : new Uint8Array(shape.vocab);
    for (const id of this.seen === null ? [] : ids) this.markSeen(id);
  }

  /** Rows of KV that it has for itself. */
  get ownLength(): number {
    return this.length - (this.tile?.length ?? 0);
  }

  get seed(): number {
    return this.job.request.seeds[this.seedIndex] ?? 0;
  }

  get lastToken(): number {
    return this.tokens[this.tokens.length - 1] ?? 0;
  }

  /** Takes a sampled token and finds out whether the sequence ends with it. */
  push(token: number, logprob: number, maxPositions: number): void {
    const { request } = this.job;
    this.tokens.push(token);
    this.logprob += logprob;
    this.markSeen(token);
    if (request.endTokens.has(token)) this.finish = 'end';
    else if (request.endsStep?.(this.tokens) === true) this.finish = 'step';
    else if (this.tokens.length >= request.sampling.maxTokens) this.finish = 'length';
    else if (this.length >= maxPositions) this.finish = 'length';
  }

  private markSeen(token: number): void {
    if (this.seen !== null) this.seen[token] = 1;
  }
}
