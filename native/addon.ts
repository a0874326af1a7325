import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { DrawRequest, GatherRequest, Kernels } from './kernels.js';

/** What native/cpp/binding.cc exports. `rises` are logits less the largest one of their row, `sums` the
 *  weights of a row in units of the heaviest. */
interface Addon {
  sample(
    logits: Float32Array,
    vocab: number,
    rows: number,
    settings: Float64Array,
    seen: readonly (Uint8Array | null)[],
    tokens: Int32Array,
    rises: Float64Array,
    sums: Float64Array,
  ): number;
  gather(
    logits: Float32Array,
    vocab: number,
    rows: number,
    picks: Int32Array,
    rises: Float64Array,
    sums: Float64Array,
  ): number;
  /** Chooses instructions; false where the processor hasn't them. */
  use(instructions: string): boolean;
  instructions(): string;
}

/** The addon lies in native/build/ of the package, wherever this module was compiled to. */
const PLACES = ['./build/steptree.node', '../../native/build/steptree.node'];

/** Where the addon is, or null where none was built. */
export function addonPath(): string | null {
  const paths = PLACES.map((place) => fileURLToPath(new URL(place, import.meta.url)));
  return paths.find((path) => existsSync(path)) ?? null;
}

/** Loads the addon into this thread.
 *  @throws Error if it doesn't load, as one that was built for another system */
export function loadAddon(path: string): Addon {
  return createRequire(import.meta.url)(path) as Addon;
}

/** The addon as kernels. Logarithms are taken here: those of C libraries differ in their last bits. */
export function addonKernels(addon: Addon): Kernels {
  let sums = new Float64Array(0);
  const sumsOf = (rows: number): Float64Array => {
    if (sums.length < rows) sums = new Float64Array(rows);
    return sums;
  };
  return {
    name: addon.instructions(),
    sample({ logits, vocab, rows, settings, seen }: DrawRequest, tokens, logprobs) {
      const bad = addon.sample(logits, vocab, rows, settings, seen, tokens, logprobs, sumsOf(rows));
      for (let row = 0; row < (bad < 0 ? rows : bad); row++) {
        logprobs[row] = (logprobs[row] ?? 0) - Math.log(sums[row] ?? 0);
      }
      return bad;
    },
    gather({ logits, vocab, rows, picks }: GatherRequest, logprobs) {
      const bad = addon.gather(logits, vocab, rows, picks, logprobs, sumsOf(rows));
      const width = picks.length / rows;
      for (let row = 0; row < (bad < 0 ? rows : bad); row++) {
        const logSum = Math.log(sums[row] ?? 0);
        for (let at = row * width; at < (row + 1) * width; at++) {
          logprobs[at] = (logprobs[at] ?? 0) - logSum;
        }
      }
      return bad;
    },
  };
}
