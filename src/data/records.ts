/** Streams the records of a JSONL file, a JSON array or a JSON object of records, with line numbers. */
import { createReadStream } from 'node:fs';
import { JSONParser, TokenType } from '@streamparser/json';
import { errorMessage, SteptreeError } from '../../search/errors.js';

/** One record of the file, or what stands in its place and can't be read. */
export type RawRecord = {
  /** Line of the file on which the record starts, from 1. */
  readonly line: number;
} & ({ readonly key?: string; readonly value: unknown } | { readonly error: string });

const chunkBytes = 1 << 18;
/** A longer line is no problem but a file of another kind. */
const maxLineBytes = 128 * 1024 * 1024;
const newline = 0x0a;

/** Reads `path` in one pass; memory holds one chunk and one record, whatever the file's size.
 *  Blank lines, CRLF and a byte order mark are ignored. A broken line of JSONL is one broken record; a
 *  broken JSON array or object ends with one, as nothing behind the break can be trusted.
 *  @throws SteptreeError PROBLEMS_UNREADABLE */
export async function* readRecords(path: string): AsyncGenerator<RawRecord> {
  const chunks = readChunks(path);
  const first = await chunks.next();
  if (first.done) return;
  if (
    (first.value[0] === 0xff && first.value[1] === 0xfe) ||
    first.value.subarray(0, 4).includes(0)
  ) {
    throw new SteptreeError(
      'PROBLEMS_UNREADABLE',
      `${path} is no UTF-8 text; save it as UTF-8 JSONL or JSON`,
      { path },
    );
  }
  const all = rejoin(first.value, chunks);
  const records = isJsonLines(path, first.value) ? readLines(all) : readJson(all);
  yield* records;
}

async function* readChunks(path: string): AsyncGenerator<Buffer> {
  let isFirst = true;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: chunkBytes })) {
      const bytes = chunk as Buffer;
      yield isFirst && bytes.subarray(0, 3).equals(byteOrderMark) ? bytes.subarray(3) : bytes;
      isFirst = false;
    }
  } catch (cause) {
    throw new SteptreeError(
      'PROBLEMS_UNREADABLE',
      `cannot read ${path}: ${errorMessage(cause)}; give the path of a JSONL or JSON file of problems`,
      { path },
      { cause },
    );
  }
}

const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);

async function* rejoin(first: Buffer, rest: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  yield first;
  yield* rest;
}

/** JSONL unless the text opens an array, or an object that goes on past its first line. */
function isJsonLines(path: string, start: Buffer): boolean {
  const text = start.toString('utf8').trimStart();
  const firstLine = text.split('\n', 1)[0] ?? '';
  if (/\.(?:jsonl|ndjson)$/i.test(path)) return !isArrayOfRecords(text, firstLine);
  if (text.startsWith('[')) return false;
  if (isRecordsByKey(parsed(firstLine))) return false;
  if (parsed(firstLine) !== undefined) return true;
  return !(/\.json$/i.test(path) || /^\{\s*(?:"[^"]*"\s*:\s*\{?)?\s*$/.test(firstLine));
}

/** A JSON array under the name of JSONL, on one line or on many; a line that is a list by itself is only one
 *  bad line. */
function isArrayOfRecords(text: string, firstLine: string): boolean {
  const isWhole = parsed(firstLine) === undefined || text.trim() === firstLine.trim();
  return isWhole && /^\[\s*(?:\{|$)/.test(firstLine);
}

function isRecordsByKey(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const records = Object.values(value);
  return (
    records.length > 0 &&
    !('question' in value) &&
    records.every((record) => typeof record === 'object' && record !== null && 'question' in record)
  );
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function* readLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<RawRecord> {
  let line = 0;
  for await (const bytes of splitLines(chunks)) {
    line++;
    const record = bytes && lineRecord(bytes, line);
    if (record === undefined) {
      yield { line, error: `is longer than ${maxLineBytes / 1024 / 1024} MiB` };
    } else if (record !== null) {
      yield record;
    }
  }
}

/** @returns null for a blank line */
function lineRecord(bytes: Buffer, line: number): RawRecord | null {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return { line, error: 'is not valid UTF-8' };
  }
  if (text.trim() === '') return null;
  try {
    return { line, value: JSON.parse(text) };
  } catch (error) {
    return { line, error: `is not valid JSON (${errorMessage(error)})` };
  }
}

/** Lines without their ends; undefined in place of one that is too long. */
async function* splitLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer | undefined> {
  let parts: Buffer[] = [];
  let bytes = 0;
  const take = (): Buffer | undefined => {
    const line = bytes > maxLineBytes ? undefined : Buffer.concat(parts);
    parts = [];
    bytes = 0;
    return line;
  };
  const keep = (part: Buffer) => {
    bytes += part.length;
    if (bytes <= maxLineBytes) parts.push(part);
    else parts = [];
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      keep(chunk.subarray(start, end));
      yield take();
      start = end + 1;
    }
    keep(chunk.subarray(start));
  }
  if (bytes > 0) yield take();
}

async function* readJson(chunks: AsyncIterable<Buffer>): AsyncGenerator<RawRecord> {
  const reader = new JsonRecordReader();
  for await (const chunk of chunks) {
    yield* reader.take(chunk);
    if (reader.broken) return;
  }
  yield* reader.end();
}

/** Elements of a top-level array, or values of a top-level object with their keys. */
class JsonRecordReader {
  broken = false;
  private readonly parser = new JSONParser({ paths: ['$.*'], keepStack: false });
  private line = 1;
  private startLine = 1;
  private depth = 0;
  private ready: RawRecord[] = [];

  constructor() {
    this.parser.onToken = ({ token }) => this.follow(token);
    this.parser.onValue = ({ value, key }) => {
      const named = typeof key === 'string' ? { key } : {};
      this.ready.push({ line: this.startLine, value, ...named });
    };
  }

  /** Feeds line by line, so that a token's line is the current one. */
  take(chunk: Buffer): RawRecord[] {
    let start = 0;
    while (start < chunk.length && !this.broken) {
      const found = chunk.indexOf(newline, start);
      const end = found < 0 ? chunk.length : found + 1;
      this.write(chunk.subarray(start, end));
      if (found >= 0) this.line++;
      start = end;
    }
    return this.flush();
  }

  end(): RawRecord[] {
    if (!this.parser.isEnded && !this.broken) {
      this.fail('the file ends before its JSON is complete');
    }
    return this.flush();
  }

  private write(bytes: Buffer): void {
    if (this.parser.isEnded) {
      if (bytes.toString('latin1').trim() !== '')
        this.fail('more text follows the end of the JSON');
      return;
    }
    try {
      this.parser.write(bytes);
    } catch (error) {
      this.fail(`is not valid JSON (${errorMessage(error)}); nothing after it was read`);
    }
  }

  private fail(error: string): void {
    this.broken = true;
    this.ready.push({ line: this.line, error });
  }

  private follow(token: TokenType): void {
    const opens = token === TokenType.LEFT_BRACE || token === TokenType.LEFT_BRACKET;
    const closes = token === TokenType.RIGHT_BRACE || token === TokenType.RIGHT_BRACKET;
    const startsValue = this.depth === 1 && token !== TokenType.COMMA && token !== TokenType.COLON;
    if (startsValue && !closes) this.startLine = this.line;
    if (opens) this.depth++;
    else if (closes) this.depth--;
  }

  private flush(): RawRecord[] {
    const records = this.ready;
    this.ready = [];
    return records;
  }
}
