/** Which of a list of whole weights are kept: all above `weight`, and the first `ties` equal to it. */
export interface Cut {
  readonly weight: number;
  readonly ties: number;
}

/** The `wanted` heaviest; there are more than that. Weights are above 0. */
export function cutByCount(weights: Int32Array, wanted: number): Cut {
  bins.fill(0);
  for (let i = 0; i < weights.length; i++) {
    const bin = binOf(weights[i] ?? 0);
    bins[bin] = (bins[bin] ?? 0) + 1;
  }
  const { bin, above } = crossing(wanted);
  const sorted = sortedBin(weights, bin);
  return cutAt(sorted, sorted.length - (wanted - above));
}

/** The fewest heaviest whose sum reaches `wanted`, but at least one. Weights are above 0. */
export function cutByMass(weights: Int32Array, wanted: number): Cut {
  bins.fill(0);
  for (let i = 0; i < weights.length; i++) {
    const weight = weights[i] ?? 0;
    const bin = binOf(weight);
    bins[bin] = (bins[bin] ?? 0) + weight;
  }
  const { bin, above } = crossing(wanted);
  const sorted = sortedBin(weights, bin);
  let reached = above;
  let rank = sorted.length;
  do {
    rank -= 1;
    reached += sorted[rank] ?? 0;
  } while (rank > 0 && reached < wanted);
  return cutAt(sorted, rank);
}

/** Bits below a weight's leading one that its bin tells: bins are as wide as a 64th of their weights,
 *  and only one bin's weights have to be sorted. */
const BIN_BITS = 6;
const bins = new Float64Array(31 << BIN_BITS);
let inBin = new Int32Array(0);

function binOf(weight: number): number {
  const zeros = Math.clz32(weight);
  return ((31 - zeros) << BIN_BITS) | (((weight << (zeros + 1)) >>> (32 - BIN_BITS)) & 63);
}

/** The bin in which the sum from the heaviest on reaches `wanted`, and what lies above it. */
function crossing(wanted: number): { bin: number; above: number } {
  let above = 0;
  let bin = bins.length - 1;
  for (; bin > 0; bin--) {
    const part = bins[bin] ?? 0;
    if (part > 0 && above + part >= wanted) break;
    above += part;
  }
  return { bin, above };
}

/** The weights of a bin, lightest first. */
function sortedBin(weights: Int32Array, bin: number): Int32Array {
  if (inBin.length < weights.length) inBin = new Int32Array(weights.length);
  let count = 0;
  for (let i = 0; i < weights.length; i++) {
    const weight = weights[i] ?? 0;
    if (binOf(weight) === bin) inBin[count++] = weight;
  }
  return inBin.subarray(0, count).sort();
}

/** Keeps what stands from `rank` on, and all above the bin. */
function cutAt(sorted: Int32Array, rank: number): Cut {
  const weight = sorted[rank] ?? 0;
  let last = rank;
  while (sorted[last + 1] === weight) last += 1;
  return { weight, ties: last - rank + 1 };
}
