import type { SamplingOptions } from '../../../search/types.js';
import { BLOCK_ROWS, type DecoderShape } from './decoder.js';
import { blockKeys, type KvBlock } from './prefix-cache.js';
import type { Tile } from './prefix-tiles.js';

/** What the batcher is asked for: continuations of one prompt, one per seed. */
export interface BatchRequest {
  /** The prompt, image tokens repeated once per image feature. */
  readonly ids: readonly number[];
  readonly imageToken: number;
  /** Features of the pictures in order, each [rows, hidden]; they replace the image tokens. */
  readonly imageFeatures: readonly Float32Array[];
  /** Names of the pictures' contents, for the prefix cache. */
  readonly imageKeys: readonly string[];
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
  readonly blockKeys: readonly string[];
  readonly blocks: KvBlock[] = [];
  readonly results: (GeneratedSequence | undefined)[];
  cachedTokens = 0;
  /** Index of the first seed that has no sequence yet. */
  nextSeed = 0;
  finished = 0;
  cancelled = false;
  /** Rows of all pictures, one after the other, [rows, hidden]. */
  private imageRows: Float32Array | null = null;

  constructor(
    readonly request: BatchRequest,
    readonly resolve: (result: BatchResult) => void,
    readonly reject: (error: unknown) => void,
  ) {
    this.blockKeys = blockKeys(request.ids, request.imageKeys);
    this.results = request.seeds.map(() => undefined);
  }

  get prefilled(): boolean {
    return this.blocks.length === this.blockKeys.length;
  }

  get wantsSequences(): number {
    return this.request.seeds.length - this.nextSeed;
  }

  /** Token ids of the next block to compute. */
  nextBlockIds(): readonly number[] {
    const start = this.blocks.length * BLOCK_ROWS;
    return this.request.ids.slice(start, start + BLOCK_ROWS);
  }

  /** Overwrites the rows of image tokens in the next block's embeddings.
   *  @param row first row of the block in `embeds`, [rows, hidden] */
  placeImages(embeds: Float32Array, row: number, hidden: number): void {
    const { ids, imageToken } = this.request;
    const start = this.blocks.length * BLOCK_ROWS;
    let image = 0;
    for (let index = 0; index < Math.min(start + BLOCK_ROWS, ids.length); index++) {
      if (ids[index] !== imageToken) continue;
      if (index >= start) {
        const features = this.allImageRows().subarray(image * hidden, (image + 1) * hidden);
        embeds.set(features, (row + index - start) * hidden);
      }
      image += 1;
    }
  }

  private allImageRows(): Float32Array {
    if (this.imageRows === null) {
      const { imageFeatures } = this.request;
      const rows = new Float32Array(imageFeatures.reduce((sum, part) => sum + part.length, 0));
      let at = 0;
      for (const part of imageFeatures) {
        rows.set(part, at);
        at += part.length;
      }
      this.imageRows = rows;
    }
    return this.imageRows;
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
