/** Continuous batching in virtual time: every decode step gives one token to each running
 *  sequence; sequences join and leave between steps. A step takes
 *  `stepBaseMs + stepPerSequenceMs · running`, the shape of a memory-bound decoder. */
export interface BatchOptions {
  readonly slots: number;
  readonly stepBaseMs: number;
  readonly stepPerSequenceMs: number;
}

export interface Sequence {
  readonly tokens: number;
  readonly arrivedMs: number;
  readonly onDone: () => void;
  /** Asked when a slot is free: how long its prompt takes, ms, or null if memory has no room for it. */
  readonly enter: (() => number | null) | undefined;
  /** Step at which it leaves; -1 while it waits for a slot. */
  finishStep: number;
  cancelled: boolean;
}

/** A stretch of virtual time with a constant number of busy slots. */
export interface Segment {
  readonly fromMs: number;
  toMs: number;
  readonly running: number;
}

export class BatchSimulation {
  /** Start of the step under way, virtual ms. */
  private atMs = 0;
  private step = 0;
  private runningCount = 0;
  /** Binary heap by `finishStep`. */
  private readonly heap: Sequence[] = [];
  private waiting: Sequence[] = [];
  private waitingHead = 0;
  /** The first in line lacks memory; nothing changes for it until somebody leaves. */
  private lacksMemory = false;
  private segments: Segment[] = [];
  private finished = 0;
  private tokens = 0;

  constructor(private readonly options: BatchOptions) {}

  /** Queues a sequence of `tokens` ≥ 1 at virtual time `nowMs`; it joins at the next step. A prompt
   *  that must be computed holds up everybody, as it does on a server that reads prompts between
   *  steps. */
  submit(tokens: number, nowMs: number, onDone: () => void, enter?: () => number | null): Sequence {
    this.advance(nowMs);
    const sequence: Sequence = {
      tokens: Math.max(1, tokens),
      arrivedMs: nowMs,
      onDone,
      enter,
      finishStep: -1,
      cancelled: false,
    };
    this.waiting.push(sequence);
    return sequence;
  }

  /** Frees the sequence's slot at the next step; `onDone` is not called. */
  cancel(sequence: Sequence): void {
    if (sequence.cancelled || (sequence.finishStep >= 0 && sequence.finishStep <= this.step))
      return;
    sequence.cancelled = true;
    this.lacksMemory = false;
    if (sequence.finishStep >= 0) this.runningCount--;
  }

  /** Runs every step that ends by `untilMs`, telling each sequence that is done. */
  advance(untilMs: number): void {
    for (;;) {
      this.admit();
      if (this.runningCount === 0) {
        const next = this.nextWaiting();
        const idleUntil = Math.min(untilMs, next?.arrivedMs ?? untilMs);
        if (idleUntil > this.atMs) this.pass(idleUntil - this.atMs);
        if (next === undefined || next.arrivedMs > untilMs || idleUntil < this.atMs) return;
        continue;
      }
      const stepMs = this.stepMs();
      // A hair of tolerance, or rounding makes a step that ends right now wait for the next call.
      const fit = Math.floor((untilMs - this.atMs) / stepMs + 1e-9);
      const steps = Math.min(fit, this.stepsToNextChange(stepMs));
      if (steps <= 0) return;
      this.tokens += steps * this.runningCount;
      this.step += steps;
      this.pass(steps * stepMs);
      this.leave();
    }
  }

  /** Virtual time of the next completion if nothing else arrives, or null when idle. */
  nextEventMs(): number | null {
    this.admit();
    const first = this.firstRunning();
    if (first === undefined) return this.nextWaiting()?.arrivedMs ?? null;
    return this.atMs + Math.max(1, this.stepsToNextChange(this.stepMs())) * this.stepMs();
  }

  stats() {
    return {
      running: this.runningCount,
      waiting: this.waiting.length - this.waitingHead,
      finished: this.finished,
      tokens: this.tokens,
      segments: this.segments,
    };
  }

  /** Forgets the statistics, not the sequences. */
  resetStats(): void {
    this.segments = [];
    this.finished = 0;
    this.tokens = 0;
  }

  private stepMs(): number {
    return this.options.stepBaseMs + this.options.stepPerSequenceMs * this.runningCount;
  }

  private stepsToNextChange(stepMs: number): number {
    const first = this.firstRunning();
    const untilDone = first === undefined ? 1 : first.finishStep - this.step;
    const next = this.nextWaiting();
    const full = this.runningCount >= this.options.slots || this.lacksMemory;
    if (next === undefined || full) return untilDone;
    // It arrived during this step and joins when the step is over.
    return Math.min(untilDone, Math.max(1, Math.ceil((next.arrivedMs - this.atMs) / stepMs)));
  }

  private admit(): void {
    for (;;) {
      const next = this.nextWaiting();
      if (next === undefined || this.runningCount >= this.options.slots) return;
      if (next.arrivedMs > this.atMs || this.lacksMemory) return;
      const promptMs = next.enter?.() ?? (next.enter ? null : 0);
      if (promptMs === null) {
        this.lacksMemory = this.runningCount > 0;
        return;
      }
      this.waitingHead++;
      next.finishStep = this.step + next.tokens;
      this.runningCount++;
      pushHeap(this.heap, next);
      if (promptMs > 0) this.pass(promptMs);
    }
  }

  private leave(): void {
    for (;;) {
      const first = this.firstRunning();
      if (first === undefined || first.finishStep > this.step) return;
      popHeap(this.heap);
      this.runningCount--;
      this.lacksMemory = false;
      this.finished++;
      first.onDone();
    }
  }

  private firstRunning(): Sequence | undefined {
    while (this.heap[0]?.cancelled) popHeap(this.heap);
    return this.heap[0];
  }

  private nextWaiting(): Sequence | undefined {
    while (this.waiting[this.waitingHead]?.cancelled) this.waitingHead++;
    if (this.waitingHead > 1024 && this.waitingHead * 2 > this.waiting.length) {
      this.waiting = this.waiting.slice(this.waitingHead);
      this.waitingHead = 0;
    }
    return this.waiting[this.waitingHead];
  }

  private pass(ms: number): void {
    const fromMs = this.atMs;
    this.atMs += ms;
    const last = this.segments.at(-1);
    if (last !== undefined && last.running === this.runningCount && last.toMs === fromMs) {
      last.toMs = this.atMs;
    } else {
      this.segments.push({ fromMs, toMs: this.atMs, running: this.runningCount });
    }
  }
}

function pushHeap(heap: Sequence[], item: Sequence): void {
  heap.push(item);
  let index = heap.length - 1;
  while (index > 0) {
    const parent = (index - 1) >> 1;
    const above = heap[parent];
    if (above === undefined || above.finishStep <= item.finishStep) break;
    heap[index] = above;
    index = parent;
  }
  heap[index] = item;
}

function popHeap(heap: Sequence[]): void {
  const item = heap.pop();
  if (item === undefined || heap.length === 0) return;
  let index = 0;
  for (;;) {
    let child = 2 * index + 1;
    const left = heap[child];
    const right = heap[child + 1];
    if (left === undefined) break;
    if (right !== undefined && right.finishStep < left.finishStep) child++;
    const least = heap[child];
    if (least === undefined || least.finishStep >= item.finishStep) break;
    heap[index] = least;
    index = child;
  }
  heap[index] = item;
}
