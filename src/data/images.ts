/** Finds a problem's pictures and checks them before any model is asked about them. */
import { open } from 'node:fs/promises';
import { isAbsolute, resolve } from 'node:path';
import sharp from 'sharp';
import { errorMessage } from '../../search/errors.js';
import type { ImageRef } from '../../search/types.js';
import type { DataErrorCode } from './errors.js';

export const IMAGE_CHECKS = ['none', 'header', 'decode'] as const;
export type ImageCheck = (typeof IMAGE_CHECKS)[number];

export interface ImageProblem {
  readonly code: DataErrorCode;
  /** What is wrong and what was expected, to follow "the image". */
  readonly message: string;
}

/** @param dir folder that relative paths start from */
export function imageRef(source: string, dir: string): ImageRef {
  const isData = source.startsWith('data:');
  const location = isData || isAbsolute(source) ? source : resolve(dir, source);
  return { source, location };
}

/** A check with a memory: many problems share a picture. The most recent 10,000 findings are kept. */
export function createImageChecker(
  check: ImageCheck,
): (image: ImageRef) => Promise<ImageProblem | null> {
  const known = new Map<string, Promise<ImageProblem | null>>();
  return (image) => {
    if (image.location.startsWith('data:')) return checkImage(image, check);
    const earlier = known.get(image.location);
    if (earlier) return earlier;
    const finding = checkImage(image, check);
    known.set(image.location, finding);
    const oldest = known.size > 10_000 ? known.keys().next() : { done: true as const };
    if (!oldest.done) known.delete(oldest.value as string);
    return finding;
  };
}

/** `header`: the file is there, not empty, and of a format that can be read, by its first bytes;
 *  `decode`: every pixel too. @returns null if all is well */
export async function checkImage(image: ImageRef, check: ImageCheck): Promise<ImageProblem | null> {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(image.source)) {
    return invalid(`${brief(image.source)} is a web address; expected a file or a data: URL`);
  }
  const isData = image.location.startsWith('data:');
  const bytes = isData ? dataUrlBytes(image.location) : undefined;
  if (isData && !bytes) {
    return invalid('is a data: URL without content; expected data:image/png;base64,… or alike');
  }
  if (check === 'none') return null;
  const unreadable = isData ? null : await checkFile(image);
  return unreadable ?? checkPixels(image, bytes ?? image.location, check);
}

/** The bytes of a `data:` URL, base64 or percent-encoded. @returns undefined where it holds none */
export function dataUrlBytes(url: string): Buffer | undefined {
  const comma = url.indexOf(',');
  if (!url.startsWith('data:') || comma < 0) return undefined;
  const head = url.slice(5, comma);
  const body = url.slice(comma + 1);
  try {
    const bytes = /;\s*base64\s*$/i.test(head)
      ? Buffer.from(body, 'base64')
      : Buffer.from(decodeURIComponent(body), 'latin1');
    return bytes.length > 0 ? bytes : undefined;
  } catch {
    return undefined;
  }
}

async function checkFile(image: ImageRef): Promise<ImageProblem | null> {
  try {
    const handle = await open(image.location, 'r');
    try {
      const { size } = await handle.stat();
      if (size === 0) return invalid(`${image.location} is empty; expected a picture`);
      await handle.read(Buffer.alloc(1), 0, 1, 0);
    } finally {
      await handle.close();
    }
    return null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      return {
        code: 'PROBLEM_IMAGE_MISSING',
        message: `${image.location} does not exist; expected a path relative to the problem file`,
      };
    }
    return invalid(`${image.location} cannot be read (${errorMessage(error)}); expected a picture`);
  }
}

async function checkPixels(
  image: ImageRef,
  input: Buffer | string,
  check: ImageCheck,
): Promise<ImageProblem | null> {
  try {
    const picture = sharp(input, { failOn: 'error' });
    if (check === 'decode') await picture.stats();
    else await picture.metadata();
    return null;
  } catch (error) {
    return invalid(
      `${brief(image.location)} cannot be decoded (${errorMessage(error).split('\n', 1)[0]}); expected a PNG, JPEG, WebP or GIF`,
    );
  }
}

function invalid(message: string): ImageProblem {
  return { code: 'PROBLEM_IMAGE_INVALID', message };
}

function brief(text: string): string {
  return text.length > 120 ? `${text.slice(0, 60)}… (${text.length} characters)` : text;
}
