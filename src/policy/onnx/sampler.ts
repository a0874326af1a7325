import { type Kernels, kernels, SETTINGS, writeSettings } from '../../../native/index.js';
import { SteptreeError } from '../../../search/errors.js';
import type { SamplingOptions } from '../../../search/types.js';

/** One sampled token and its log-probability (nats) under the model's own distribution, before
 *  temperature and filters. */
export interface SampledToken {
  readonly token: number;
  readonly logprob: number;
}

/** How one row of logits is drawn from. */
export interface Draw {
  readonly sampling: SamplingOptions;
  /** 1 for every token of the prompt and the text so far; read only with a repetition penalty. */
  readonly seen: Uint8Array | null;
  /** In [0, 1). */
  readonly uniform: number;
}

/** Draws tokens from logits, by the rule of native/sampling.ts. Holds scratch space, so one per thread
 *  is enough; nothing is kept between calls, and a draw depends on its row and its `Draw` alone. */
export class Sampler {
  private settings = new Float64Array(0);
  private tokens = new Int32Array(0);
  private logprobs = new Float64Array(0);

  /** @param vocab number of logits per row */
  constructor(
    private readonly vocab: number,
    private readonly using: Kernels = kernels(),
  ) {}

  /** The next token of each row.
   *  @param logits [draws, vocab]
   *  @throws SteptreeError ONNX_LOGITS for a row with NaN, or without a finite largest logit */
  sample(logits: Float32Array, draws: readonly Draw[]): SampledToken[] {
    const rows = draws.length;
    this.reserve(rows);
    const { vocab, settings, tokens, logprobs } = this;
    for (let row = 0; row < rows; row++) {
      const draw = draws[row];
      if (draw !== undefined) writeSettings(settings, row, draw.sampling, draw.uniform);
    }
    const seen = draws.map((draw) => draw.seen);
    const bad = this.using.sample({ logits, vocab, rows, settings, seen }, tokens, logprobs);
    if (bad >= 0) {
      throw new SteptreeError(
        'ONNX_LOGITS',
        `the decoder gave logits that are no numbers for sequence ${bad} of ${rows}; export the folder again, or try --decoder merged`,
        { sequence: bad, sequences: rows },
      );
    }
    return draws.map((_, row) => ({ token: tokens[row] ?? 0, logprob: logprobs[row] ?? 0 }));
  }

  private reserve(rows: number): void {
    if (this.tokens.length >= rows) return;
    this.settings = new Float64Array(rows * SETTINGS);
    this.tokens = new Int32Array(rows);
    this.logprobs = new Float64Array(rows);
  }
}

/** A number in [0, 1) that depends on nothing but the seed and the position of the token, so that
 *  neither neighbours in a batch nor the order of draws can change it. 53 bits from two rounds of
 *  the murmur3 finaliser.
 *  @param seed integer in [0, 2^31)
 *  @param position index of the generated token */
export function uniformAt(seed: number, position: number): number {
  const high = mix(mix(seed ^ 0x9e3779b9) ^ Math.imul(position + 1, 0x85ebca6b));
  const low = mix(high ^ mix(seed + Math.imul(position, 0x27d4eb2f)));
  return ((high >>> 5) * 67108864 + (low >>> 6)) / 9007199254740992;
}

function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
