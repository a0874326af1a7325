import { type FileHandle, open, stat } from 'node:fs/promises';
import { errorMessage, SteptreeError } from '../../search/errors.js';
import type { PlacedLabels, ProblemRecord, RunStore } from './run-store.js';

/** labels.jsonl in the order of the problem file, whatever order the problems finish in.
 *
 *  The next problem's lines are appended as soon as all earlier problems are settled. How far the
 *  file is valid stands in the store; what a kill left behind it is cut off on opening. Lines of
 *  problems that finished early are kept in memory up to a limit, else made again from their
 *  trees. So the bytes are the same however often a run was killed. */
export class LabelsFile {
  private readonly early = new Map<number, readonly Buffer[]>();
  private earlyBytes = 0;
  private flushing: Promise<void> = Promise.resolve();
  private failure: unknown = null;

  private constructor(
    private readonly path: string,
    private readonly handle: FileHandle,
    private readonly store: RunStore,
    private readonly linesOf: (treeFile: string) => Promise<readonly string[]>,
    private next: number,
    private bytes: number,
  ) {}

  /** @param linesOf makes a finished problem's lines from its tree file */
  static async open(
    path: string,
    store: RunStore,
    linesOf: (treeFile: string) => Promise<readonly string[]>,
  ): Promise<LabelsFile> {
    const known = store.labelsPosition();
    const size = await stat(path).then(
      (found) => found.size,
      () => 0,
    );
    // A file shorter than promised was harmed from outside; all of it can be made again.
    const valid = size >= known.bytes ? known : { next: 0, bytes: 0 };
    try {
      const handle = await open(path, 'a');
      await handle.truncate(valid.bytes);
      const file = new LabelsFile(path, handle, store, linesOf, valid.next, valid.bytes);
      // A kill may have come between a problem's record and its lines.
      for (const { key, value } of store.allProblems()) {
        if (key < valid.next && isLate(value)) file.schedule(key);
      }
      file.schedule(valid.next);
      return file;
    } catch (error) {
      throw writeError(path, error);
    }
  }

  /** Hands over a problem's lines, before it is settled: the writer may come to it at once.
   *  Throws what an earlier write met. */
  async offer(ordinal: number, lines: readonly string[]): Promise<void> {
    const chunks = encodeLines(lines);
    const size = sizeOf(chunks);
    // Perhaps the writer is only behind; making lines again would put it further behind.
    if (this.earlyBytes + size > EARLY_LIMIT_BYTES) await this.flushing;
    if (this.failure) throw this.failure;
    // The next one due is kept whatever its size: it is written at once.
    if (ordinal !== this.next && this.earlyBytes + size > EARLY_LIMIT_BYTES) return;
    this.early.set(ordinal, chunks);
    this.earlyBytes += size;
  }

  /** Tells that problem `ordinal` is settled; its lines are written when its turn comes.
   *  Throws what an earlier write met. */
  settled(ordinal: number): void {
    if (this.failure) throw this.failure;
    this.schedule(ordinal);
  }

  private schedule(ordinal: number): void {
    this.flushing = this.flushing
      .then(() => this.flush(ordinal))
      .catch((error: unknown) => {
        this.failure ??= error;
      });
  }

  /** Writes what is due and closes the file. */
  async close(): Promise<void> {
    await this.flushing;
    await this.handle.close();
    if (this.failure) throw this.failure;
  }

  /** A problem that failed in an earlier session and is settled now stands before lines that
   *  were written already: cut back to its place and write on from there. */
  private async rewindTo(ordinal: number): Promise<void> {
    const offset = this.store.problem(ordinal)?.labelsOffset ?? 0;
    const start = this.store.problem(ordinal)?.labelsOffset === undefined ? 0 : ordinal;
    await this.store.placeLabels([], { next: start, bytes: offset });
    await this.handle.truncate(offset);
    this.next = start;
    this.bytes = offset;
  }

  private async flush(settled: number): Promise<void> {
    // The writer may have passed a problem before it was told of it: only late ones go back.
    if (settled < this.next && isLate(this.store.problem(settled))) await this.rewindTo(settled);
    while (await this.writeDue()) {}
  }

  /** Appends the lines of settled problems, a few megabytes, and records them in one transaction.
   *  @returns false if none was due */
  private async writeDue(): Promise<boolean> {
    const placed: PlacedLabels[] = [];
    let { next, bytes } = this;
    let unwritten: Buffer[] = [];
    for (
      let record = this.store.problem(next);
      record && bytes - this.bytes < WRITE_BYTES;
      record = this.store.problem(next)
    ) {
      const chunks = await this.chunksOf(next, record);
      unwritten.push(...chunks);
      if (sizeOf(unwritten) >= WRITE_BYTES) {
        await this.append(unwritten);
        unwritten = [];
      }
      placed.push({ ordinal: next, status: record.status, labelsOffset: bytes });
      bytes += sizeOf(chunks);
      next++;
    }
    if (placed.length === 0) return false;
    await this.append(unwritten);
    await this.store.placeLabels(placed, { next, bytes });
    for (const { ordinal } of placed) this.forget(ordinal);
    this.next = next;
    this.bytes = bytes;
    return true;
  }

  private async chunksOf(ordinal: number, record: ProblemRecord): Promise<readonly Buffer[]> {
    if (record.status === 'failed') return [];
    return this.early.get(ordinal) ?? encodeLines(await this.linesOf(record.treeFile));
  }

  private async append(chunks: readonly Buffer[]): Promise<void> {
    try {
      // One write for many small problems: with one each the writer falls behind a fast policy.
      const isSmall = sizeOf(chunks) <= 2 * WRITE_BYTES;
      for (const chunk of isSmall ? [Buffer.concat(chunks)] : chunks) {
        if (chunk.length > 0) await this.handle.appendFile(chunk);
      }
    } catch (error) {
      throw writeError(this.path, error);
    }
  }

  private forget(ordinal: number): void {
    const chunks = this.early.get(ordinal);
    if (!chunks) return;
    this.early.delete(ordinal);
    this.earlyBytes -= sizeOf(chunks);
  }
}

function isLate(record: ProblemRecord | undefined): boolean {
  return record?.status === 'done' && record.late === true;
}

/** Written between two transactions. */
const WRITE_BYTES = 4 * 1024 * 1024;

/** Lines of problems that wait for an earlier one. Beyond it they are made again from the tree,
 *  which costs more than all the rest of the bookkeeping. */
const EARLY_LIMIT_BYTES = 64 * 1024 * 1024;

/** Lines go to the file in pieces of about so many characters: a tree of 20,000 rollouts can have
 *  more text than one string may hold. */
const CHUNK_CHARACTERS = 1024 * 1024;

function encodeLines(lines: readonly string[]): Buffer[] {
  const chunks: Buffer[] = [];
  let from = 0;
  let characters = 0;
  lines.forEach((line, i) => {
    characters += line.length;
    if (characters < CHUNK_CHARACTERS && i < lines.length - 1) return;
    chunks.push(Buffer.from(lines.slice(from, i + 1).join('')));
    from = i + 1;
    characters = 0;
  });
  return chunks;
}

function sizeOf(chunks: readonly Buffer[]): number {
  return chunks.reduce((sum, chunk) => sum + chunk.length, 0);
}

function writeError(path: string, error: unknown): SteptreeError {
  return new SteptreeError(
    'FILE_WRITE_FAILED',
    `cannot write ${path}: ${errorMessage(error)}; free some space or check the permissions and run the same command again`,
    { path },
    { cause: error },
  );
}
