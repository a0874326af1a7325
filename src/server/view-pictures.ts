/** Pictures of problems, for a browser: only what is a picture, and only from where pictures are. */
import { open, realpath } from 'node:fs/promises';
import { sep } from 'node:path';
import { SteptreeError } from '../../search/errors.js';
import type { ImageRef } from '../../search/types.js';
import { dataUrlBytes } from '../data/images.js';

export interface Picture {
  /** A type that browsers draw and never run. */
  readonly type: string;
  readonly bytes: Buffer;
}

/** Larger files are refused. */
const MAX_PICTURE_BYTES = 32 * 1024 * 1024;

/** @param roots folders that pictures may lie in, links followed; null is anywhere
 *  @throws SteptreeError VIEW_IMAGE_MISSING, VIEW_IMAGE_REFUSED for files outside the roots and
 *  for what is no PNG, JPEG, WebP, GIF or BMP by its first bytes */
export async function loadPicture(
  { source, location }: ImageRef,
  roots: readonly string[] | null,
): Promise<Picture> {
  const name = source.length > 120 ? `${source.slice(0, 60)}…` : source;
  const bytes = location.startsWith('data:')
    ? (dataUrlBytes(location) ?? Buffer.alloc(0))
    : await readInside(location, name, roots);
  const type = pictureType(bytes);
  if (type) return { type, bytes };
  throw refused(name, 'is no PNG, JPEG, WebP, GIF or BMP');
}

async function readInside(
  location: string,
  name: string,
  roots: readonly string[] | null,
): Promise<Buffer> {
  const path = await realpath(location).catch(() => null);
  if (path === null) throw missing(name);
  if (roots !== null) {
    const real = await Promise.all(roots.map((root) => realpath(root).catch(() => null)));
    const isInside = real.some(
      (root) => root !== null && path.startsWith(root.endsWith(sep) ? root : `${root}${sep}`),
    );
    if (!isInside) throw refused(name, 'lies outside the folders of the run and its problem file');
  }
  const handle = await open(path, 'r').catch(() => null);
  if (!handle) throw missing(name);
  try {
    const info = await handle.stat();
    if (!info.isFile() || info.size > MAX_PICTURE_BYTES) {
      throw refused(name, `is no file of at most ${MAX_PICTURE_BYTES} bytes`);
    }
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

/** By its first bytes; names and headers may say anything. */
export function pictureType(bytes: Buffer): string | null {
  const head = bytes.toString('latin1', 0, 12);
  if (head.startsWith('\x89PNG\r\n\x1a\n')) return 'image/png';
  if (head.startsWith('\xff\xd8\xff')) return 'image/jpeg';
  if (head.startsWith('GIF8')) return 'image/gif';
  if (head.startsWith('RIFF') && head.endsWith('WEBP')) return 'image/webp';
  if (head.startsWith('BM')) return 'image/bmp';
  return null;
}

function missing(name: string): SteptreeError {
  return new SteptreeError(
    'VIEW_IMAGE_MISSING',
    `the picture ${name} is not there any more; it is looked for beside the run's problem file`,
    { image: name },
  );
}

function refused(name: string, reason: string): SteptreeError {
  return new SteptreeError('VIEW_IMAGE_REFUSED', `the picture ${name} ${reason}`, { image: name });
}
