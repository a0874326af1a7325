import { type FileHandle, open } from 'node:fs/promises';
import { errorMessage, SteptreeError } from '../../search/errors.js';
import { contentHash } from '../../search/rng.js';
import type { PolicyModel, Rollout, SampleReply, SampleRequest, Step } from '../../search/types.js';
import {
  cleanSteps,
  lineProblem,
  type RecordedLine,
  recordedLine,
  recordedRollout,
} from './recording.js';

export interface RecordedPolicy extends PolicyModel {
  /** Moves on past `count` rollouts that a resumed run answered from its own store.
   *  @throws SteptreeError RECORDED_MISS if fewer are left */
  skip(problemId: string, prefix: readonly Step[], count: number): void;
  stats(): { readonly lines: number; readonly rollouts: number; readonly used: number };
  describe(): Record<string, unknown>;
  /** Closes the file. Idempotent. */
  close(): Promise<void>;
}

/** Opens a recording: JSONL of `{"problemId", "prefix", "rollouts"}`. The replies for the same
 *  problem and prefix are used in file order; several lines for them are one long list. Only an
 *  index of the file is kept in memory (about 100 bytes a line), the texts stay on disk.
 *  @throws SteptreeError RECORDED_UNREADABLE, RECORDED_MALFORMED naming the line; `sample` and
 *  `skip` RECORDED_MISS, after `close` POLICY_CLOSED */
export async function createRecordedPolicy(path: string): Promise<RecordedPolicy> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    throw unreadable(path, error);
  }
  try {
    return new FilePolicy(path, file, await indexFile(path, file));
  } catch (error) {
    await file.close();
    throw error instanceof SteptreeError ? error : unreadable(path, error);
  }
}

interface LineEntry {
  readonly lineNumber: number;
  readonly offset: number;
  readonly byteLength: number;
  readonly rollouts: number;
}

/** All replies for one (problem, prefix), and how far they are used. */
interface Shelf {
  readonly entries: LineEntry[];
  total: number;
  used: number;
  /** The entry that holds rollout `used`, and the rollouts before it. */
  entryIndex: number;
  before: number;
}

interface Slice {
  readonly entry: LineEntry;
  readonly from: number;
  readonly to: number;
}

interface FileIndex {
  readonly shelves: ReadonlyMap<string, Shelf>;
  readonly lines: number;
  readonly rollouts: number;
}

const CHUNK_BYTES = 1 << 20;
const NEWLINE = 0x0a;

class FilePolicy implements RecordedPolicy {
  readonly name: string;
  private used = 0;
  private closing: Promise<void> | null = null;

  constructor(
    private readonly path: string,
    private readonly file: FileHandle,
    private readonly index: FileIndex,
  ) {
    this.name = `recorded:${path}`;
  }

  async sample(request: SampleRequest, signal?: AbortSignal): Promise<SampleReply> {
    signal?.throwIfAborted();
    const { problem, prefix, seeds, until } = request;
    // Taken before the first await: calls get their replies in the order they were made.
    const slices = this.take(problem.id, prefix, seeds.length);
    const lines = await Promise.all(slices.map(({ entry }) => this.readEntry(entry)));
    signal?.throwIfAborted();
    const rollouts: Rollout[] = [];
    let promptTokens = 0;
    let cachedTokens = 0;
    slices.forEach(({ from, to }, position) => {
      const line = lines[position];
      if (line === undefined) return;
      for (let i = from; i < to; i++) rollouts.push(recordedRollout(line, i, until));
      // A line's prompt is counted once, with its first rollout.
      promptTokens += from === 0 ? (line.promptTokens ?? 0) : 0;
      cachedTokens += from === 0 ? (line.cachedTokens ?? 0) : 0;
    });
    return { rollouts, promptTokens, cachedTokens };
  }

  skip(problemId: string, prefix: readonly Step[], count: number): void {
    this.take(problemId, prefix, count);
  }

  stats() {
    return { lines: this.index.lines, rollouts: this.index.rollouts, used: this.used };
  }

  describe(): Record<string, unknown> {
    const { lines, rollouts } = this.index;
    return { host: 'recorded', file: this.path, lines, rollouts };
  }

  close(): Promise<void> {
    this.closing ??= this.file.close();
    return this.closing;
  }

  private take(problemId: string, prefix: readonly Step[], count: number): Slice[] {
    if (this.closing) {
      throw new SteptreeError('POLICY_CLOSED', `the recording ${this.path} was closed`);
    }
    const shelf = this.index.shelves.get(shelfKey(problemId, prefix));
    const left = shelf === undefined ? 0 : shelf.total - shelf.used;
    if (shelf === undefined || left < count) {
      throw this.miss(problemId, prefix, count, shelf === undefined ? null : left);
    }
    this.used += count;
    return takeFrom(shelf, count);
  }

  private miss(
    problemId: string,
    prefix: readonly Step[],
    asked: number,
    left: number | null,
  ): SteptreeError {
    const had =
      left === null
        ? 'the file has none for it'
        : `${left} of those in the file ${left === 1 ? 'is' : 'are'} left`;
    return new SteptreeError(
      'RECORDED_MISS',
      `${this.path} can't give ${asked} rollouts of problem ${problemId} after ${showPrefix(prefix)}: ${had}; replay with the options and the seed of the recorded run`,
      { file: this.path, problemId, prefix: [...prefix], asked, left: left ?? 0 },
    );
  }

  private async readEntry(entry: LineEntry): Promise<RecordedLine> {
    const bytes = Buffer.alloc(entry.byteLength);
    try {
      let filled = 0;
      while (filled < bytes.length) {
        const rest = bytes.length - filled;
        const { bytesRead } = await this.file.read(bytes, filled, rest, entry.offset + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
    } catch (error) {
      throw unreadable(this.path, error);
    }
    return parseLine(this.path, entry.lineNumber, bytes.toString('utf8'));
  }
}

function takeFrom(shelf: Shelf, count: number): Slice[] {
  const slices: Slice[] = [];
  let wanted = count;
  while (wanted > 0) {
    const entry = shelf.entries[shelf.entryIndex];
    if (entry === undefined) break;
    const from = shelf.used - shelf.before;
    const to = Math.min(entry.rollouts, from + wanted);
    if (to > from) slices.push({ entry, from, to });
    wanted -= to - from;
    shelf.used += to - from;
    if (to === entry.rollouts) {
      shelf.before += entry.rollouts;
      shelf.entryIndex++;
    }
  }
  return slices;
}

async function indexFile(path: string, file: FileHandle): Promise<FileIndex> {
  const shelves = new Map<string, Shelf>();
  let lines = 0;
  let rollouts = 0;
  for await (const { lineNumber, offset, bytes } of readLines(file)) {
    const text = bytes.toString('utf8');
    if (text.trim() === '' || text === '\uFEFF') continue;
    const line = parseLine(path, lineNumber, text);
    lines++;
    rollouts += line.rollouts.length;
    const key = shelfKey(line.problemId, line.prefix);
    let shelf = shelves.get(key);
    if (shelf === undefined) {
      shelf = { entries: [], total: 0, used: 0, entryIndex: 0, before: 0 };
      shelves.set(key, shelf);
    }
    shelf.total += line.rollouts.length;
    const byteLength = bytes.length;
    shelf.entries.push({ lineNumber, offset, byteLength, rollouts: line.rollouts.length });
  }
  return { shelves, lines, rollouts };
}

interface FileLine {
  readonly lineNumber: number;
  readonly offset: number;
  readonly bytes: Buffer;
}

async function* readLines(file: FileHandle): AsyncGenerator<FileLine> {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  let parts: Buffer[] = [];
  let lineNumber = 1;
  let lineStart = 0;
  let position = 0;
  for (;;) {
    const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, position);
    if (bytesRead === 0) break;
    let from = 0;
    for (;;) {
      const end = chunk.subarray(0, bytesRead).indexOf(NEWLINE, from);
      if (end < 0) break;
      const bytes = Buffer.concat([...parts, chunk.subarray(from, end)]);
      yield { lineNumber, offset: lineStart, bytes };
      parts = [];
      lineNumber++;
      from = end + 1;
      lineStart = position + from;
    }
    // The chunk is read into again, so what is left of it must be copied.
    if (from < bytesRead) parts.push(Buffer.from(chunk.subarray(from, bytesRead)));
    position += bytesRead;
  }
  if (parts.length > 0) yield { lineNumber, offset: lineStart, bytes: Buffer.concat(parts) };
}

function parseLine(path: string, lineNumber: number, text: string): RecordedLine {
  let value: unknown;
  try {
    value = JSON.parse(text.startsWith('\uFEFF') ? text.slice(1) : text);
  } catch (error) {
    throw malformed(path, lineNumber, `no valid JSON: ${errorMessage(error)}`);
  }
  const parsed = recordedLine.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const field = issue?.path.join('.') || 'the line';
    throw malformed(path, lineNumber, `${field}: ${issue?.message}`);
  }
  const wrong = lineProblem(parsed.data);
  if (wrong !== null) throw malformed(path, lineNumber, wrong);
  return parsed.data;
}

function shelfKey(problemId: string, prefix: readonly Step[]): string {
  return contentHash([problemId, ...cleanSteps(prefix)]);
}

function showPrefix(prefix: readonly Step[]): string {
  const last = prefix.at(-1);
  if (last === undefined) return 'no steps';
  const shown = last.length > 60 ? `${last.slice(0, 60)}…` : last;
  return `${prefix.length} ${prefix.length === 1 ? 'step' : 'steps'}, the last being ${JSON.stringify(shown)}`;
}

function malformed(path: string, lineNumber: number, why: string): SteptreeError {
  return new SteptreeError(
    'RECORDED_MALFORMED',
    `${path}, line ${lineNumber}: ${why}; expected {"problemId": …, "prefix": [steps], "rollouts": [[steps], …]}`,
    { file: path, line: lineNumber },
  );
}

function unreadable(path: string, cause: unknown): SteptreeError {
  return new SteptreeError(
    'RECORDED_UNREADABLE',
    `the recording ${path} can't be read: ${errorMessage(cause)}`,
    { file: path },
    { cause },
  );
}
