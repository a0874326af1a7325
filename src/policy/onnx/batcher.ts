import { BLOCK_ROWS, type Decoder, type DecoderOutput, type Embedder } from './decoder.js';
import { BufferPool, KvSlots } from './kv-slots.js';
import { Prefiller } from './prefill.js';
import { PrefixCache } from './prefix-cache.js';
import { PrefixTiles } from './prefix-tiles.js';
import { Sampler, uniformAt } from './sampler.js';
import { type BatchRequest, type BatchResult, Job, Sequence } from './sequence.js';

export interface BatcherOptions {
  /** Sequences decoded at once. */
  readonly maxBatch: number;
  /** Bytes of KV that the prefix cache keeps. */
  readonly cacheBytes: number;
}

export interface BatcherStats {
  /** Tokens generated. */
  decodedTokens: number;
  /** Prompt tokens asked for, and how many of them were computed. */
  promptTokens: number;
  computedPromptTokens: number;
  /** Decode passes of the graph, and prefill passes. */
  decodePasses: number;
  prefillPasses: number;
  /** Sequences in all decode passes; divided by decodePasses it is the mean batch size. */
  decodedRows: number;
  /** Tokens that went through the decoder, of prompts and of sequences; and what it would have been had
   *  every sequence been run on its own, its prompt included. */
  computedTokens: number;
  naiveTokens: number;
}

/** Sequences whose own KV is padded to the same number of rows; sequence i lies in slot i. */
interface Group {
  readonly slots: KvSlots;
  readonly sequences: Sequence[];
  /** The prefixes that its sequences share; null where all KV is a sequence's own. */
  readonly tiles: PrefixTiles | null;
}

/** Blocks computed in one prefill pass: enough to keep the matrix kernels busy, few enough not to
 *  hold up the running sequences. */
const PREFILL_BATCH = 8;

/** A group moves into the next longer one when that pads fewer rows than this: a pass of its own
 *  costs as much as reading about so many rows. */
const MERGE_ROWS = 1024;

/** Continuous batching: sequences of all requests join and leave at every decode step. A prompt's
 *  KV is computed once, in blocks, and copied to the slots of its sequences. Which sequences run
 *  together is a matter of speed alone: every row of a pass is computed independently, and every
 *  draw depends on the sequence's own seed and position. */
export class Batcher {
  readonly stats: BatcherStats = {
    decodedTokens: 0,
    promptTokens: 0,
    computedPromptTokens: 0,
    decodePasses: 0,
    prefillPasses: 0,
    decodedRows: 0,
    computedTokens: 0,
    naiveTokens: 0,
  };
  private jobs: Job[] = [];
  private readonly groups = new Map<number, Group>();
  private active = 0;
  private readonly cache: PrefixCache;
  private readonly sampler: Sampler;
  private readonly buffers = new BufferPool();
  private readonly prefiller: Prefiller;
  private loop: Promise<void> | null = null;
  private embeds = new Float32Array(0);

  constructor(
    private readonly decoder: Decoder,
    private readonly embedder: Embedder,
    private readonly options: BatcherOptions,
  ) {
    this.cache = new PrefixCache(options.cacheBytes);
    this.prefiller = new Prefiller(decoder, embedder, this.cache, this.buffers);
    this.sampler = new Sampler(decoder.shape.vocab);
  }

  /** Queues a request. `cancel` drops its sequences at the next step and leaves `done` unsettled.
   *  `done` rejects if a pass fails. */
  submit(request: BatchRequest): { done: Promise<BatchResult>; cancel(): void } {
    let cancel = (): void => undefined;
    const done = new Promise<BatchResult>((resolve, reject) => {
      const job = new Job(request, resolve, reject);
      cancel = () => {
        job.cancelled = true;
      };
      this.stats.promptTokens += request.ids.length;
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
    // Requests that arrive in the same turn of the event loop start together.
    await null;
    try {
      for (;;) {
        this.dropCancelled();
        if (this.jobs.length === 0 && this.active === 0) break;
        await this.prefill();
        this.startSequences();
        for (const rows of [...this.groups.keys()].sort((a, b) => a - b)) await this.decode(rows);
      }
    } catch (error) {
      this.failAll(error);
    } finally {
      this.loop = null;
    }
  }

  private dropCancelled(): void {
    this.jobs = this.jobs.filter((job) => !job.cancelled);
    for (const group of this.groups.values()) {
      for (let slot = group.sequences.length - 1; slot >= 0; slot--) {
        if (group.sequences[slot]?.job.cancelled) this.leave(group, slot);
      }
    }
  }

  private failAll(error: unknown): void {
    const jobs = new Set(this.jobs);
    for (const group of this.groups.values()) {
      for (const sequence of group.sequences) jobs.add(sequence.job);
    }
    this.jobs = [];
    this.groups.clear();
    this.active = 0;
    for (const job of jobs) job.reject(error);
  }

  /** One prefill pass, if a request that would find room for a sequence needs one. Requests that
   *  wait behind it come along, so that passes are worth their cost. */
  private async prefill(): Promise<void> {
    let room = this.options.maxBatch - this.active;
    let needed = false;
    const pending: Job[] = [];
    for (const job of this.jobs) {
      if (pending.length >= PREFILL_BATCH || (room <= 0 && !needed)) break;
      job.prefix.takeCached(this.cache);
      if (!job.prefix.complete) {
        pending.push(job);
        needed ||= room > 0;
      }
      room -= job.wantsSequences;
    }
    if (!needed) return;
    const first = pending[0];
    if (first === undefined) return;
    const start = first.prefix.blocks.length;
    const prefixes = pending.map((job) => job.prefix);
    const { tokens } = await this.prefiller.advance(
      prefixes.filter((prefix) => prefix.blocks.length === start),
    );
    this.stats.prefillPasses += 1;
    this.stats.computedPromptTokens += tokens;
    this.stats.computedTokens += tokens;
  }

  /** Gives free slots to the sequences of prefilled requests and samples their first tokens. */
  private startSequences(): void {
    for (const job of this.jobs) {
      if (!job.prefix.complete) continue;
      while (job.wantsSequences > 0 && this.active < this.options.maxBatch) {
        this.startSequence(job);
      }
    }
    this.jobs = this.jobs.filter((job) => job.wantsSequences > 0);
  }

  private startSequence(job: Job): void {
    const sequence = new Sequence(job, job.nextSeed, this.decoder.shape);
    job.nextSeed += 1;
    this.stats.naiveTokens += job.request.ids.length;
    const logits = job.prefix.blocks.at(-1)?.logits;
    if (logits === undefined) return;
    this.sampleNext([sequence], logits);
    if (sequence.finish !== null) {
      this.finish(sequence);
      return;
    }
    const shares = this.decoder.step !== null;
    const group = this.groupFor(shares ? 0 : sequence.length);
    group.slots.reserve(group.sequences.length + 1);
    sequence.tile = group.tiles?.join(job.prefix.blocks) ?? null;
    if (!shares) group.slots.copyBlocks(group.sequences.length, job.prefix.blocks);
    group.sequences.push(sequence);
    this.active += 1;
  }

  /** The group with room for one more row after `length` own ones. */
  private groupFor(length: number): Group {
    const rows = (Math.floor(length / BLOCK_ROWS) + 1) * BLOCK_ROWS;
    let group = this.groups.get(rows);
    if (group === undefined) {
      const { shape, step } = this.decoder;
      group = {
        slots: new KvSlots(shape, rows, this.buffers),
        sequences: [],
        tiles: step === null ? null : new PrefixTiles(shape, this.buffers),
      };
      this.groups.set(rows, group);
    }
    return group;
  }

  /** One decode step of the group padded to `rows`. */
  private async decode(rows: number): Promise<void> {
    const group = this.groups.get(rows);
    if (group === undefined || group.sequences.length === 0 || this.mergeIntoLonger(group)) return;
    const batch = group.sequences.length;
    const ids = group.sequences.map((sequence) => sequence.lastToken);
    await this.embedder.ready(ids);
    const embeds = this.scratch(batch * this.decoder.shape.hidden);
    this.embedder.copy(ids, embeds, 0);
    const output = await this.pass(group, embeds);
    this.stats.decodePasses += 1;
    this.stats.decodedRows += batch;
    this.stats.computedTokens += batch;
    this.stats.naiveTokens += batch;
    for (const [slot, sequence] of group.sequences.entries()) {
      group.slots.append(slot, sequence.ownLength, output.keys, output.values, slot);
      sequence.length += 1;
    }
    this.sampleNext(group.sequences, output.logits);
    // From the end, so that filling a hole with the last sequence disturbs nothing still to come.
    for (let slot = batch - 1; slot >= 0; slot--) this.settle(group, slot);
  }

  private pass({ sequences, slots, tiles }: Group, embeds: Float32Array): Promise<DecoderOutput> {
    const batch = sequences.length;
    const { keys, values } = slots.past(batch);
    const positions = new Int32Array(batch);
    for (let b = 0; b < batch; b++) positions[b] = sequences[b]?.length ?? 0;
    if (tiles === null || this.decoder.step === null) {
      return this.decoder.run({
        batch,
        tokens: 1,
        past: slots.rows,
        embeds,
        pastLength: positions,
        logitsAt: new Int32Array(batch),
        keys,
        values,
      });
    }
    const lengths = new Int32Array(batch);
    const tileOf = new Int32Array(batch);
    for (let b = 0; b < batch; b++) {
      lengths[b] = sequences[b]?.ownLength ?? 0;
      tileOf[b] = sequences[b]?.tile?.slot ?? 0;
    }
    return this.decoder.step({
      batch,
      embeds,
      positions,
      tileOf,
      prefix: tiles.past(),
      own: { rows: slots.rows, lengths, keys, values },
    });
  }

  /** Lets a sequence go that has ended, and gives one whose slot is full a longer one. */
  private settle(group: Group, slot: number): void {
    const sequence = group.sequences[slot];
    if (sequence === undefined) return;
    if (sequence.finish !== null) {
      this.leave(group, slot);
      this.finish(sequence);
    } else if (sequence.ownLength === group.slots.rows) {
      this.move(group, slot, this.groupFor(sequence.ownLength));
    }
  }

  private mergeIntoLonger(group: Group): boolean {
    let longer: Group | null = null;
    for (const other of this.groups.values()) {
      const { rows } = other.slots;
      if (other.sequences.length === 0 || rows <= group.slots.rows) continue;
      if (longer === null || rows < longer.slots.rows) longer = other;
    }
    if (longer === null) return false;
    const padding = longer.slots.rows - group.slots.rows;
    if (padding * group.sequences.length > MERGE_ROWS) return false;
    for (let slot = group.sequences.length - 1; slot >= 0; slot--) this.move(group, slot, longer);
    return true;
  }

  private move(from: Group, slot: number, to: Group): void {
    const sequence = from.sequences[slot];
    if (sequence === undefined) return;
    to.slots.reserve(to.sequences.length + 1);
    to.slots.copySlot(to.sequences.length, from.slots, slot, sequence.ownLength);
    to.sequences.push(sequence);
    this.leave(from, slot);
    sequence.tile = to.tiles?.join(sequence.job.prefix.blocks) ?? null;
    this.active += 1;
  }

  /** Frees a slot; the last sequence of the group takes it. */
  private leave(group: Group, slot: number): void {
    const left = group.sequences[slot]?.tile;
    const last = group.sequences.pop();
    if (last !== undefined && slot < group.sequences.length) {
      group.slots.copySlot(slot, group.slots, group.sequences.length, last.ownLength);
      group.sequences[slot] = last;
    }
    if (left) group.tiles?.leave(left);
    if (group.sequences.length === 0) group.slots.release();
    this.active -= 1;
  }

  /** Draws the next token of each sequence from its row of logits. */
  private sampleNext(sequences: readonly Sequence[], logits: Float32Array): void {
    const draws = sequences.map(({ job, seen, seed, tokens }) => ({
      sampling: job.request.sampling,
      seen,
      uniform: uniformAt(seed, tokens.length),
    }));
    const sampled = this.sampler.sample(logits, draws);
    for (const [row, { token, logprob }] of sampled.entries()) {
      sequences[row]?.push(token, logprob, this.decoder.shape.maxPositions);
    }
    this.stats.decodedTokens += sampled.length;
  }

  private finish(sequence: Sequence): void {
    const { job, tokens, logprob, finish } = sequence;
    if (finish === null) return;
    job.results[sequence.seedIndex] = { tokens, logprob, finish };
    job.finished += 1;
    if (job.finished < job.results.length) return;
    const sequences = job.results.filter((result) => result !== undefined);
    job.resolve({ sequences, cachedTokens: job.prefix.cachedTokens });
  }

  private scratch(floats: number): Float32Array {
    if (this.embeds.length < floats) this.embeds = new Float32Array(floats * 2);
    return this.embeds.subarray(0, floats);
  }
}
