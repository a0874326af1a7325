/** Problems whose thread is remembered. */
const KEPT_HOMES = 4096;

/** Chooses the thread of a request: the one where its problem's prefixes are cached, unless that
 *  one has so much more to do than another that computing the prompt anew is the smaller loss. */
export class Homes {
  private readonly homes = new Map<string, number>();
  /** Sequences asked of each thread and not yet answered. */
  private readonly open: number[];

  /** @param slack sequences by which a problem's own thread may be ahead of the idlest one */
  constructor(
    threads: number,
    private readonly slack: number,
  ) {
    this.open = new Array<number>(threads).fill(0);
  }

  /** The thread for `sequences` more of a problem; `leave` it when they are done. */
  enter(problemId: string, sequences: number): number {
    const idlest = this.open.indexOf(Math.min(...this.open));
    const home = this.homes.get(problemId) ?? idlest;
    const ahead = (this.open[home] ?? 0) - (this.open[idlest] ?? 0);
    const chosen = ahead > this.slack ? idlest : home;
    this.homes.delete(problemId);
    this.homes.set(problemId, chosen);
    for (const id of this.homes.keys()) {
      if (this.homes.size <= KEPT_HOMES) break;
      this.homes.delete(id);
    }
    this.open[chosen] = (this.open[chosen] ?? 0) + sequences;
    return chosen;
  }

  leave(thread: number, sequences: number): void {
    this.open[thread] = (this.open[thread] ?? 0) - sequences;
  }
}
