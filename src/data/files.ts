/** Files that are either complete or absent: write beside the target, then rename. */
import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errorMessage, SteptreeError } from '../../search/errors.js';

/** A target that only appears, or changes, on `commit`. */
export interface AtomicFile {
  /** The temporary file beside the target, for writers that want a path of their own. */
  readonly temporaryPath: string;
  write(chunk: string | Uint8Array): Promise<void>;
  /** Flushes to the disk and renames over the target. */
  commit(): Promise<void>;
  /** Removes the temporary file and leaves the target as it was. Does nothing after `commit`. */
  discard(): Promise<void>;
}

/** Chunks are gathered to this many bytes before they reach the file. */
const WRITE_BUFFER_BYTES = 1 << 18;

/** Replaces `path` in one step; a reader sees the old file or the whole new one.
 *  @param data text is written as UTF-8
 *  @throws SteptreeError FILE_WRITE_FAILED (full disk, no permission, …); the old file is unharmed */
export async function writeFileAtomic(path: string, data: string | Uint8Array): Promise<void> {
  const file = await openAtomic(path);
  try {
    await file.write(data);
    await file.commit();
  } catch (error) {
    await file.discard();
    throw error;
  }
}

/** Opens `path` for a long write that must not be seen before it is complete. Missing folders are made.
 *  @throws SteptreeError FILE_WRITE_FAILED, here and from `write` and `commit` */
export async function openAtomic(path: string): Promise<AtomicFile> {
  const temporaryPath = join(
    dirname(path),
    `.${basename(path).slice(0, 100)}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`,
  );
  const handle = await guard(path, async () => {
    try {
      return await open(temporaryPath, 'wx');
    } catch (error) {
      // Nearly always the folder is there: thousands of trees go into one.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      await mkdir(dirname(path), { recursive: true });
      return open(temporaryPath, 'wx');
    }
  });
  return new BufferedAtomicFile(path, temporaryPath, handle);
}

class BufferedAtomicFile implements AtomicFile {
  private pending: Uint8Array[] = [];
  private pendingBytes = 0;
  private open = true;

  constructor(
    private readonly path: string,
    readonly temporaryPath: string,
    private readonly handle: FileHandle,
  ) {}

  async write(chunk: string | Uint8Array): Promise<void> {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk, 'utf8') : chunk;
    this.pending.push(bytes);
    this.pendingBytes += bytes.byteLength;
    if (this.pendingBytes >= WRITE_BUFFER_BYTES) await this.flush();
  }

  async commit(): Promise<void> {
    await this.flush();
    await guard(this.path, async () => {
      // Without the flush to disk a power cut could leave a renamed, empty file.
      await this.handle.sync();
      await this.handle.close();
      this.open = false;
      await rename(this.temporaryPath, this.path);
    });
  }

  async discard(): Promise<void> {
    if (this.open) {
      this.open = false;
      await this.handle.close().catch(() => undefined);
    }
    await rm(this.temporaryPath, { force: true }).catch(() => undefined);
  }

  private async flush(): Promise<void> {
    const bytes = Buffer.concat(this.pending);
    this.pending = [];
    this.pendingBytes = 0;
    if (bytes.byteLength > 0) await guard(this.path, () => this.handle.appendFile(bytes));
  }
}

async function guard<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    const why =
      (cause as NodeJS.ErrnoException).code === 'ENOSPC' ? 'the disk is full' : errorMessage(cause);
    throw new SteptreeError(
      'FILE_WRITE_FAILED',
      `cannot write ${path}: ${why}; nothing already there was changed. Free some space or choose another folder, then run the same command again`,
      { path, reason: why },
      { cause },
    );
  }
}
