import { mkdirSync } from 'node:fs';
import { type Database, open, type RootDatabase } from 'lmdb';
import { errorMessage, SteptreeError } from '../../search/errors.js';
import type { ReplyStore, Usage } from '../../search/types.js';
import { isFailedCommit } from './failed-commit.js';

/** What the store knows of one problem, by its place in the problem file. */
export type ProblemRecord = DoneRecord | FailedRecord;

interface RecordBase {
  readonly id: string;
  /** Content hash of the problem, so that a changed file is noticed on resumption. */
  readonly contentHash: string;
  /** Where this problem's lines begin in labels.jsonl, in bytes; absent until they are written. */
  readonly labelsOffset?: number;
  /** Done now, but failed when its turn in labels.jsonl came: its lines are still to be put there. */
  readonly late?: boolean;
}

/** Up to where labels.jsonl is valid: the next problem's ordinal, and bytes. */
export interface LabelsPosition {
  readonly next: number;
  readonly bytes: number;
}

/** A problem whose lines, or none if it had failed, were written from `labelsOffset` on. */
export interface PlacedLabels {
  readonly ordinal: number;
  readonly status: ProblemRecord['status'];
  readonly labelsOffset: number;
}

export interface DoneRecord extends RecordBase {
  readonly status: 'done';
  readonly treeFile: string;
  readonly usage: Usage;
  readonly labels: number;
}

export interface FailedRecord extends RecordBase {
  readonly status: 'failed';
  readonly failure: Failure;
  readonly usage: Usage;
}

export interface Failure {
  /** `input`: the line or picture is bad. `run`: a call or check failed after its retries. */
  readonly kind: 'input' | 'run';
  readonly id?: string;
  readonly line?: number;
  readonly field?: string;
  readonly code: string;
  readonly message: string;
}

/** The run's ACID store (LMDB, msgpackr values): replies of unfinished problems, what became of
 *  each problem, and a few facts about the run. A put resolves once its transaction is
 *  committed; a killed process loses at most what was not committed. */
export class RunStore {
  private readonly root: RootDatabase;
  private readonly replies: Database<unknown, string>;
  private readonly problems: Database<ProblemRecord, number>;
  private readonly facts: Database<unknown, string>;
  /** Content hashes of the problems that the replies answer. */
  private readonly asked: Database<string, number>;

  /** @param dir folder of the store, made if missing
   *  @throws SteptreeError STORE_OPEN_FAILED */
  constructor(private readonly dir: string) {
    try {
      mkdirSync(dir, { recursive: true });
      this.root = open({ path: dir, maxDbs: 4, compression: false });
      this.replies = this.root.openDB({ name: 'replies' });
      this.problems = this.root.openDB({ name: 'problems', keyEncoding: 'ordered-binary' });
      this.facts = this.root.openDB({ name: 'facts' });
      this.asked = this.root.openDB({ name: 'asked', keyEncoding: 'ordered-binary' });
    } catch (error) {
      throw new SteptreeError(
        'STORE_OPEN_FAILED',
        `cannot open the run store in ${dir}: ${errorMessage(error)}; is the folder writable and the disk not full?`,
        { dir },
        { cause: error },
      );
    }
  }

  /** Replies of one problem; keys of other problems never collide with it. */
  repliesOf(ordinal: number): ReplyStore {
    return this.repliesAfter(replyPrefix(ordinal));
  }

  /** Says what the problem at this place is before it is asked about. If replies lie there to a problem
   *  of another content, one that was changed since it failed or was interrupted, they are dropped. */
  async beginProblem(ordinal: number, contentHash: string): Promise<void> {
    // Runs that are older than this memory know the content of failed problems only.
    const known = this.asked.get(ordinal) ?? (this.problem(ordinal)?.contentHash || contentHash);
    if (known === contentHash && this.asked.doesExist(ordinal)) return;
    await this.write(() =>
      this.root.transaction(() => {
        if (known !== contentHash) this.dropReplies(ordinal);
        this.asked.put(ordinal, contentHash);
      }),
    );
  }

  /** Replies under a name of any kind, for stores that no problem file numbers.
   *  @param scope without spaces, longer than an ordinal: a hash */
  repliesUnder(scope: string): ReplyStore {
    return this.repliesAfter(`${scope} `);
  }

  private repliesAfter(prefix: string): ReplyStore {
    return {
      get: (key) => this.replies.get(prefix + key),
      put: async (key, value) => {
        await this.write(() => this.replies.put(prefix + key, value));
      },
    };
  }

  /** Stored replies of one problem as [key, value], in key order. */
  *storedReplies(ordinal: number): Iterable<[string, unknown]> {
    const prefix = replyPrefix(ordinal);
    for (const { key, value } of this.replies.getRange(prefixRange(prefix))) {
      yield [key.slice(prefix.length), value];
    }
  }

  problem(ordinal: number): ProblemRecord | undefined {
    return this.problems.get(ordinal);
  }

  allProblems(from = 0): Iterable<{ key: number; value: ProblemRecord }> {
    return this.problems.getRange({ start: from });
  }

  /** Records what became of a problem and, unless they are kept, drops its replies with it. One whose
   *  turn in labels.jsonl came before keeps its place there, and is late if it is done. */
  async finish(
    ordinal: number,
    record: ProblemRecord,
    options: { keepReplies: boolean },
  ): Promise<void> {
    await this.write(() =>
      this.root.transaction(() => {
        // Read in here: the writer of labels.jsonl may have passed it a moment ago.
        const labelsOffset = this.problems.get(ordinal)?.labelsOffset;
        const late = record.status === 'done' ? { late: true } : {};
        const placed = labelsOffset === undefined ? record : { ...record, labelsOffset, ...late };
        this.problems.put(ordinal, placed);
        if (!options.keepReplies) this.dropReplies(ordinal);
      }),
    );
  }

  /** Records the result rows of a finished benchmark problem and drops its replies with it. */
  async finishRows(ordinal: number, rows: readonly unknown[]): Promise<void> {
    await this.write(() =>
      this.root.transaction(() => {
        this.facts.put(`rows ${ordinal}`, rows);
        this.dropReplies(ordinal);
      }),
    );
  }

  /** What `finishRows` recorded. */
  rows<T>(ordinal: number): readonly T[] | undefined {
    return this.fact<readonly T[]>(`rows ${ordinal}`);
  }

  labelsPosition(): LabelsPosition {
    return this.fact<LabelsPosition>('labels') ?? { next: 0, bytes: 0 };
  }

  /** Records in one transaction what was written to labels.jsonl. A problem that was written as
   *  failed and has been done since is marked late. */
  async placeLabels(placed: readonly PlacedLabels[], position: LabelsPosition): Promise<void> {
    await this.write(() =>
      this.root.transaction(() => {
        for (const { ordinal, status, labelsOffset } of placed) {
          const record = this.problems.get(ordinal);
          if (!record) continue;
          const late = record.status === 'done' && status === 'failed';
          this.problems.put(ordinal, { ...record, labelsOffset, late });
        }
        this.facts.put('labels', position);
      }),
    );
  }

  fact<T>(name: string): T | undefined {
    return this.facts.get(name) as T | undefined;
  }

  async setFact(name: string, value: unknown): Promise<void> {
    await this.write(() => this.facts.put(name, value));
  }

  async close(): Promise<void> {
    await this.root.close();
  }

  private dropReplies(ordinal: number): void {
    for (const key of this.replies.getKeys(prefixRange(replyPrefix(ordinal)))) {
      this.replies.remove(key);
    }
    this.asked.remove(ordinal);
  }

  private async write(put: () => Promise<unknown>): Promise<void> {
    try {
      await put();
    } catch (error) {
      const failedCommit = isFailedCommit(error);
      if (failedCommit) error.commitError.catch(() => {});
      const reason = failedCommit ? 'its commit failed, as on a full disk' : errorMessage(error);
      throw new SteptreeError(
        'STORE_WRITE_FAILED',
        `cannot write to the run store in ${this.dir}: ${reason}; free some space and run the same command again, nothing stored is lost`,
        { dir: this.dir },
        { cause: error },
      );
    }
  }
}

/** Fixed width, so that problem 1 is no prefix of problem 10. */
function replyPrefix(ordinal: number): string {
  return `${ordinal.toString(36).padStart(8, '0')} `;
}

/** All keys that start with `prefix`, whose last character is a space. */
function prefixRange(prefix: string): { start: string; end: string } {
  return { start: prefix, end: `${prefix.slice(0, -1)}!` };
}
