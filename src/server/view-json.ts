/** Files that others wrote: read whole, checked for shape, remembered by time and size. */
import { readFile, stat } from 'node:fs/promises';
import type { z } from 'zod';
import { errorMessage, SteptreeError } from '../../search/errors.js';

/** @throws SteptreeError VIEW_FILE_INVALID for what is missing, no JSON, or of another shape */
export async function readJson<T>(path: string, schema: z.ZodType<T>): Promise<T> {
  return parseJson(path, await readText(path), schema);
}

/** @throws SteptreeError VIEW_FILE_INVALID naming the line */
export async function readJsonLines<T>(path: string, schema: z.ZodType<T>): Promise<T[]> {
  const lines = (await readText(path)).split('\n');
  return lines.flatMap((line, i) =>
    line.trim() === '' ? [] : [parseJson(`${path}, line ${i + 1}`, line, schema)],
  );
}

function parseJson<T>(place: string, text: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(place, `is no JSON (${errorMessage(error)})`);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw invalid(place, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'another shape'}`);
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw invalid(path, `can't be read (${errorMessage(error)})`);
  }
}

function invalid(place: string, reason: string): SteptreeError {
  return new SteptreeError(
    'VIEW_FILE_INVALID',
    `${place} ${reason}; expected a file that steptree label, solve or bench wrote`,
    { file: place },
  );
}

/** What was made of a file, until the file changes. */
export class FileCache<T> {
  private readonly kept = new Map<string, { stamp: string; value: Promise<T> }>();

  constructor(private readonly maxFiles: number) {}

  async get(path: string, make: (path: string) => Promise<T>): Promise<T> {
    const stamp = await fileStamp(path);
    const known = this.kept.get(path);
    if (known?.stamp === stamp) return known.value;
    const value = make(path);
    this.kept.delete(path);
    this.kept.set(path, { stamp, value });
    // A failure is told to whoever asked, and tried again by the next one.
    value.catch(() => this.kept.delete(path));
    const oldest = this.kept.keys().next();
    if (this.kept.size > this.maxFiles && !oldest.done) this.kept.delete(oldest.value);
    return value;
  }
}

/** Changes when the file or folder does; `-` where there is none. */
export async function fileStamp(path: string): Promise<string> {
  const info = await stat(path).catch(() => null);
  return info ? `${info.mtimeMs}.${info.size}.${info.ino}` : '-';
}
