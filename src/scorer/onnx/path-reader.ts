import { firstWeights, type ScoreWeights, weighedScore } from '../../../prm/index.js';
import { SteptreeError } from '../../../search/errors.js';
import type { Decoder, Embedder } from '../../policy/onnx/decoder.js';
import { BufferPool } from '../../policy/onnx/kv-slots.js';
import { Prefiller, paddedRows } from '../../policy/onnx/prefill.js';
import { blockEnds, Prefix, type PrefixText } from '../../policy/onnx/prefix.js';
import { PrefixCache } from '../../policy/onnx/prefix-cache.js';

export interface PathReaderOptions {
  /** Paths in one pass. */
  readonly maxBatch: number;
  /** Bytes of KV that are kept. */
  readonly cacheBytes: number;
  /** Without a likelihood by default. */
  readonly weights?: ScoreWeights;
}

export interface PathReaderStats {
  /** Paths read. */
  paths: number;
  /** Tokens of these paths, which reading each anew would compute, and how many of them were computed. */
  pathTokens: number;
  computedTokens: number;
  /** Passes of the graph, and blocks in all of them. */
  passes: number;
  blocks: number;
}

/** A path as tokens, and where its scores are read. */
export interface PathText extends PrefixText {
  /** Tokens before the first segment; 0 if they don't lie apart from it. */
  readonly head: number;
  /** Where each segment ends: the place behind its marker. */
  readonly segmentEnds: readonly number[];
}

export interface PathReading {
  /** P(positive) at the end of each segment, or what it is with the likelihood. */
  readonly probabilities: readonly number[];
  /** Tokens whose KV was not there yet. */
  readonly computedTokens: number;
}

/** A pass is as wide as the next multiple of this above its longest block's tokens. Blocks of equal
 *  padded width go together, and only these. */
const WIDTH_STEP = 16;

/** Reads paths of all trees in common passes. The opening and every segment are blocks of KV of their
 *  own, so a child of a path that was read needs its own segments alone. A pass holds blocks of equally
 *  padded past and width: padding follows from the block itself, and a block's bits with it, so scores
 *  depend neither on the batch nor on what was cached. */
export class PathReader {
  readonly stats: PathReaderStats = {
    paths: 0,
    pathTokens: 0,
    computedTokens: 0,
    passes: 0,
    blocks: 0,
  };
  private jobs: Job[] = [];
  /** Round of the paths that are being read. Those that arrive meanwhile belong to the next one. */
  private round = 0;
  private readonly cache: PrefixCache;
  private readonly prefiller: Prefiller;
  private readonly weights: ScoreWeights;
  private loop: Promise<void> | null = null;

  constructor(
    decoder: Pick<Decoder, 'shape' | 'run'>,
    embedder: Embedder,
    private readonly options: PathReaderOptions,
  ) {
    this.cache = new PrefixCache(options.cacheBytes);
    this.weights = options.weights ?? firstWeights();
    this.prefiller = new Prefiller(decoder, embedder, this.cache, new BufferPool());
  }

  /** Queues a path. `cancel` drops it at the next pass and leaves `done` unsettled. `done` rejects with
   *  SCORE_RANGE for logits that are no numbers, and if a pass fails. */
  submit(text: PathText): { done: Promise<PathReading>; cancel(): void } {
    let cancel = (): void => undefined;
    const done = new Promise<PathReading>((resolve, reject) => {
      const job = new Job(text, this.round + 1, resolve, reject);
      cancel = () => {
        job.cancelled = true;
      };
      this.stats.paths += 1;
      this.stats.pathTokens += text.ids.length;
      this.jobs.push(job);
      this.loop ??= this.work();
    });
    return { done, cancel };
  }

  /** Resolves when nothing is left to do. */
  async drain(): Promise<void> {
    while (this.loop !== null) await this.loop;
  }

  private async work(): Promise<void> {
    // Paths that arrive in the same turn of the event loop start together.
    await null;
    try {
      for (;;) {
        this.settle();
        if (this.jobs.length === 0) break;
        await this.pass();
      }
    } catch (error) {
      for (const job of this.jobs.splice(0)) job.reject(error);
    } finally {
      this.loop = null;
    }
  }

  /** Lets go of what is cancelled or read to its end. */
  private settle(): void {
    this.jobs = this.jobs.filter((job) => {
      if (job.cancelled) return false;
      job.prefix.takeCached(this.cache);
      if (!job.prefix.complete) return true;
      job.finish(this.weights);
      return false;
    });
  }

  /** One pass with the least advanced path of the oldest round, and others that fit it: so paths that
   *  arrived together stay together, and none waits for more than a round. */
  private async pass(): Promise<void> {
    this.jobs.sort((a, b) => a.round - b.round || a.prefix.rows - b.prefix.rows);
    const [lead] = this.jobs;
    if (lead === undefined) return;
    this.round = lead.round;
    const together = this.jobs.filter((job) => job.fits(lead)).slice(0, this.options.maxBatch);
    const prefixes = together.map((job) => job.prefix);
    const { blocks, tokens } = await this.prefiller.advance(prefixes, lead.width);
    this.stats.passes += 1;
    this.stats.blocks += blocks;
    this.stats.computedTokens += tokens;
  }
}

/** A path on its way. */
class Job {
  readonly prefix: Prefix;
  cancelled = false;

  constructor(
    private readonly text: PathText,
    readonly round: number,
    private readonly resolve: (reading: PathReading) => void,
    readonly reject: (error: unknown) => void,
  ) {
    this.prefix = new Prefix(text, blockEnds([text.head, ...text.segmentEnds]));
  }

  get width(): number {
    return Math.ceil(this.prefix.nextIds().length / WIDTH_STEP) * WIDTH_STEP;
  }

  fits(other: Job): boolean {
    return (
      paddedRows(this.prefix.rows) === paddedRows(other.prefix.rows) && this.width === other.width
    );
  }

  finish(weights: ScoreWeights): void {
    const { ids, head, segmentEnds } = this.text;
    const { blocks, ends, cachedTokens } = this.prefix;
    const probabilities: number[] = [];
    let logLikelihood = 0;
    for (const [index, block] of blocks.entries()) {
      const end = ends[index] ?? 0;
      // Each block's third logit is the log-likelihood of its own tokens; the opening is no solution.
      if (weights.likelihoodWeight !== 0 && end > head)
        logLikelihood += block.logits[2] ?? Number.NaN;
      if (segmentEnds[probabilities.length] !== end) continue;
      const [yes = Number.NaN, no = Number.NaN] = block.logits;
      if (![yes, no, logLikelihood].every(Number.isFinite)) {
        this.reject(logitsError([yes, no, logLikelihood], probabilities.length));
        return;
      }
      probabilities.push(weighedScore(yes - no, logLikelihood, weights));
    }
    this.resolve({ probabilities, computedTokens: ids.length - cachedTokens });
  }
}

function logitsError([yes, no, likely]: readonly number[], index: number): SteptreeError {
  return new SteptreeError(
    'SCORE_RANGE',
    `the reward model gave the logits ${yes} and ${no} and the log-likelihood ${likely} for step ${index + 1}; expected numbers. Check the model folder with training/export_prm.py --check`,
    { step: index + 1, logits: [String(yes), String(no)], logLikelihood: String(likely) },
  );
}
