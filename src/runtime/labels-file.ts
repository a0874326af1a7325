import { type FileHandle, open, stat } from 'node:fs/promises';
import { errorMessage, SteptreeError } from '../../search/errors.js';
import type { RunStore } from './run-store.js';

/** labels.jsonl in the order of the problem file, whatever order the problems finish in.
 *
 *  The next problem's lines are appended as soon as all earlier problems are settled. How far the
 *  file is valid stands in the store; what a kill left behind it is cut off on opening. Lines of
 *  problems that finished early are kept in memory up to a limit, else made again from their
 *  trees. So the bytes are the same however often a run was killed. */
export class LabelsFile {
  private readonly early = new Map<number, readonly string[]>();
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
    const known = store.fact<Position>('labels') ?? { next: 0, bytes: 0 };
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
      file.schedule(valid.next);
      return file;
    } catch (error) {
      throw writeError(path, error);
    }
  }

  /** Tells that problem `ordinal` is settled; its lines are written when its turn comes.
   *  Throws what an earlier write met. */
  settled(ordinal: number, lines: readonly string[]): void {
    if (this.failure) throw this.failure;
    const size = lines.reduce((sum, line) => sum + line.length, 0);
    // The next one due is kept whatever its size: it is written at once.
    if (ordinal === this.next || this.earlyBytes + size <= EARLY_LIMIT_BYTES) {
      this.early.set(ordinal, lines);
      this.earlyBytes += size;
    }
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
    await this.store.setFact('labels', { next: start, bytes: offset });
    await this.handle.truncate(offset);
    this.next = start;
    this.bytes = offset;
  }

  private async flush(settled: number): Promise<void> {
    const isLate = settled < this.next && this.store.problem(settled)?.status === 'done';
    if (isLate) await this.rewindTo(settled);
    for (;;) {
      const record = this.store.problem(this.next);
      if (!record) return;
      const lines =
        record.status === 'failed'
          ? []
          : (this.early.get(this.next) ?? (await this.linesOf(record.treeFile)));
      await this.append(lines);
      await this.store.update(this.next, { ...record, labelsOffset: this.bytes });
      this.forget(this.next);
      this.bytes += lines.reduce((sum, line) => sum + Buffer.byteLength(line), 0);
      this.next++;
      await this.store.setFact('labels', { next: this.next, bytes: this.bytes });
    }
  }

  private async append(lines: readonly string[]): Promise<void> {
    if (lines.length === 0) return;
    try {
      await this.handle.appendFile(lines.join(''));
    } catch (error) {
      throw writeError(this.path, error);
    }
  }

  private forget(ordinal: number): void {
    const lines = this.early.get(ordinal);
    if (!lines) return;
    this.early.delete(ordinal);
    this.earlyBytes -= lines.reduce((sum, line) => sum + line.length, 0);
  }
}

interface Position {
  readonly next: number;
  readonly bytes: number;
}

/** Lines of problems that wait for an earlier one, in characters. */
const EARLY_LIMIT_BYTES = 16 * 1024 * 1024;

function writeError(path: string, error: unknown): SteptreeError {
  return new SteptreeError(
    'FILE_WRITE_FAILED',
    `cannot write ${path}: ${errorMessage(error)}; free some space or check the permissions and run the same command again`,
    { path },
    { cause: error },
  );
}
