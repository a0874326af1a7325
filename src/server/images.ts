import { readFile, realpath, stat } from 'node:fs/promises';
import { sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { SteptreeError } from '../../search/errors.js';
import { sniffImageType } from '../policy/openai/images.js';
import { brief } from './errors.js';
import type { ImageFetcher } from './image-fetch.js';

export interface ImageLimits {
  readonly maxImages: number;
  readonly maxImageMb: number;
  readonly maxImagePixels: number;
  /** Folders of `file:` URLs; none are allowed without one. */
  readonly allowImageDirs: readonly string[];
}

/** Lets pictures of clients in, as `data:` URLs whose bytes have been looked at. */
export interface ImageAdmitter {
  /** @throws SteptreeError SERVE_IMAGE_TOO_LARGE */
  count(images: number): void;
  /** @returns a `data:` URL
   *  @throws SteptreeError SERVE_IMAGE_REFUSED, SERVE_IMAGE_TOO_LARGE, SERVE_IMAGE_UNREADABLE */
  admit(url: string): Promise<string>;
}

/** What models of this kind read. No SVG, PDF or TIFF: their decoders read more than pixels. */
const TYPES = ['image/png', 'image/jpeg', 'image/webp', 'image/gif'];

export function createImageAdmitter(limits: ImageLimits, fetcher: ImageFetcher): ImageAdmitter {
  const { maxImages } = limits;
  const maxBytes = limits.maxImageMb * 1e6;
  return {
    count: (images) => {
      if (images <= maxImages) return;
      throw new SteptreeError(
        'SERVE_IMAGE_TOO_LARGE',
        `${images} pictures are more than ${maxImages} (--max-images)`,
        { param: 'messages', limit: maxImages },
      );
    },
    admit: async (url) => {
      const bytes = await bytesOf(url, maxBytes, limits.allowImageDirs, fetcher);
      if (bytes.length > maxBytes) throw tooManyBytes(bytes.length, maxBytes);
      const type = sniffImageType(bytes);
      if (type === null || !TYPES.includes(type)) {
        throw unreadable(`${bytes.length} bytes that are no PNG, JPEG, WebP or GIF`);
      }
      await refuseTooManyPixels(bytes, limits.maxImagePixels);
      return `data:${type};base64,${bytes.toString('base64')}`;
    },
  };
}

/** Reads every pixel, so that a broken picture is the client's error and not the model's.
 *  @param url as `admit` returned it
 *  @throws SteptreeError SERVE_IMAGE_UNREADABLE */
export async function refuseBrokenImage(url: string, maxPixels: number): Promise<void> {
  const bytes = Buffer.from(url.slice(url.indexOf(',') + 1), 'base64');
  try {
    await sharp(bytes, { failOn: 'error', limitInputPixels: maxPixels, sequentialRead: true })
      .resize(8, 8, { fit: 'fill', kernel: 'nearest', fastShrinkOnLoad: false })
      .raw()
      .toBuffer();
  } catch (error) {
    throw unreadable(`it can't be decoded (${firstLine(error)})`);
  }
}

async function bytesOf(
  url: string,
  maxBytes: number,
  dirs: readonly string[],
  fetcher: ImageFetcher,
): Promise<Buffer> {
  if (/^data:/i.test(url)) return dataBytes(url, maxBytes);
  if (/^https?:/i.test(url)) return fetcher.fetch(url, maxBytes);
  if (/^file:/i.test(url)) return fileBytes(url, maxBytes, dirs);
  throw refused('a picture must be a data: URL, as data:image/png;base64,…');
}

/** Only base64, whose length tells the size before anything is decoded. */
function dataBytes(url: string, maxBytes: number): Buffer {
  const head = /^data:[a-z0-9.+/-]*(?:;[a-z0-9=.-]+)*;base64,/i.exec(url.slice(0, 200));
  if (!head) throw unreadable('expected data:image/png;base64,…');
  const body = url.length - head[0].length;
  if (body * 0.75 > maxBytes + 2) throw tooManyBytes(Math.floor(body * 0.75), maxBytes);
  const text = url.slice(head[0].length);
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw unreadable('its base64 is malformed or empty');
  return Buffer.from(text, 'base64');
}

async function fileBytes(url: string, maxBytes: number, dirs: readonly string[]): Promise<Buffer> {
  if (dirs.length === 0) {
    throw refused('file: URLs are refused here (--allow-image-dirs); send a data: URL');
  }
  try {
    const path = await realpath(fileURLToPath(url));
    // Real paths on both sides: a link inside a folder must not lead out of it.
    const folders = await Promise.all(dirs.map((dir) => realpath(dir)));
    if (!folders.some((folder) => path.startsWith(folder + sep))) throw new Error('outside');
    const { size } = await stat(path);
    if (size > maxBytes) throw tooManyBytes(size, maxBytes);
    return await readFile(path);
  } catch (error) {
    if (error instanceof SteptreeError) throw error;
    // One answer for all: whether a file exists elsewhere is nobody's business.
    throw refused(`${brief(url)} is no picture in an allowed folder`);
  }
}

/** Width, height and frames stand in the header; nothing is decoded. */
async function refuseTooManyPixels(bytes: Buffer, maxPixels: number): Promise<void> {
  let pixels: number;
  try {
    // Our own limit, below, counts frames too.
    const header = sharp(bytes, { failOn: 'error', limitInputPixels: false, pages: 1 });
    const { width = 0, height = 0, pages = 1 } = await header.metadata();
    pixels = width * height * pages;
  } catch (error) {
    throw unreadable(`its header can't be read (${firstLine(error)})`);
  }
  if (pixels <= maxPixels) return;
  throw new SteptreeError(
    'SERVE_IMAGE_TOO_LARGE',
    `a picture has ${pixels} pixels, more than ${maxPixels} (--max-image-pixels); send a smaller one`,
    { param: 'messages', pixels, limit: maxPixels },
  );
}

function tooManyBytes(bytes: number, limit: number): SteptreeError {
  return new SteptreeError(
    'SERVE_IMAGE_TOO_LARGE',
    `a picture has ${bytes} bytes, more than ${limit} (--max-image-mb); send a smaller one`,
    { param: 'messages', bytes, limit },
  );
}

function unreadable(why: string): SteptreeError {
  return new SteptreeError('SERVE_IMAGE_UNREADABLE', `a picture can't be read: ${why}`, {
    param: 'messages',
  });
}

function refused(why: string): SteptreeError {
  return new SteptreeError('SERVE_IMAGE_REFUSED', why, { param: 'messages' });
}

function firstLine(error: unknown): string {
  return brief(String((error as Error).message ?? error).split('\n', 1)[0] ?? '', 120);
}
