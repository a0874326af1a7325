import type { SamplingOptions } from '../search/types.js';
import { stepsPerNat, UNIT } from './weights.js';

/** Rows of logits from which one token each is drawn. */
export interface DrawRequest {
  /** [rows, vocab] or more, row-major. */
  readonly logits: Float32Array;
  readonly vocab: number;
  readonly rows: number;
  /** [rows, SETTINGS]: as `writeSettings` writes them. */
  readonly settings: Float64Array;
  /** Per row 1 for every token of the prompt and the text so far; read where a row has a repetition
   *  penalty. */
  readonly seen: readonly (Uint8Array | null)[];
}

/** Logits of which the log-softmax is wanted at some tokens. */
export interface GatherRequest {
  /** [rows, vocab] or more, row-major. */
  readonly logits: Float32Array;
  readonly vocab: number;
  readonly rows: number;
  /** Token ids, [rows, any width]. */
  readonly picks: Int32Array;
}

/** Work on whole vocabularies. There are two implementations that give the same bits. */
export interface Kernels {
  /** `typescript`, or the instructions that the addon uses: `avx2` or `portable`. */
  readonly name: string;
  /** Draws one token per row by the rule of native/sampling.ts.
   *  @param tokens [rows], overwritten
   *  @param logprobs [rows] in nats under the model's own distribution, overwritten
   *  @returns -1, or the first row that can't be drawn from: it holds NaN, or its largest logit is not
   *  finite */
  sample(request: DrawRequest, tokens: Int32Array, logprobs: Float64Array): number;
  /** Log-softmax at the picked tokens, in nats.
   *  @param logprobs shaped as the picks, overwritten
   *  @returns as `sample` */
  gather(request: GatherRequest, logprobs: Float64Array): number;
}

/** Numbers of a row's settings, in the order in which the addon reads them. */
export const SETTINGS = 6;

/** @param uniform in [0, 1), decides the draw */
export function writeSettings(
  settings: Float64Array,
  row: number,
  options: SamplingOptions,
  uniform: number,
): void {
  const { temperature, topK, topP, minP, repetitionPenalty } = options;
  const at = row * SETTINGS;
  settings[at] = temperature === 0 ? 0 : stepsPerNat(temperature);
  settings[at + 1] = topK;
  settings[at + 2] = topP;
  settings[at + 3] = minP * UNIT;
  settings[at + 4] = repetitionPenalty;
  settings[at + 5] = uniform;
}
