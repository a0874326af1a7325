/** Levenshtein distance: insertions, deletions and substitutions of code points. O(|a| |b|) time. */
export function editDistance(a: string, b: string): number {
  const from = [...a];
  const to = [...b];
  let row = Uint32Array.from({ length: to.length + 1 }, (_, j) => j);
  for (let i = 0; i < from.length; i++) {
    const next = new Uint32Array(to.length + 1);
    next[0] = i + 1;
    for (let j = 0; j < to.length; j++) {
      const kept = (row[j] ?? 0) + (from[i] === to[j] ? 0 : 1);
      next[j + 1] = Math.min((next[j] ?? 0) + 1, (row[j + 1] ?? 0) + 1, kept);
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
