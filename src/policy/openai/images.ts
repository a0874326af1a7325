import { readFile } from 'node:fs/promises';
import { errorMessage, SteptreeError } from '../../../search/errors.js';
import type { ImageRef } from '../../../search/types.js';

/** Data URLs of images, each read and encoded once while it stays in the cache, so that every
 *  request about a picture holds the very same bytes and a server's prefix cache hits. */
export interface ImageEncoder {
  /** @throws SteptreeError POLICY_IMAGE_UNREADABLE naming the path */
  dataUrl(image: ImageRef): Promise<string>;
  /** Bytes held and files read so far. */
  stats(): { readonly cachedBytes: number; readonly reads: number };
}

/** @param maxBytes limit of the cached data URLs; at least the last one is always kept */
export function createImageEncoder(maxBytes: number): ImageEncoder {
  // A Map keeps insertion order, so re-inserting on use makes its first key the oldest.
  const cache = new Map<string, Promise<string>>();
  const sizes = new Map<string, number>();
  let cachedBytes = 0;
  let reads = 0;

  const forget = (location: string) => {
    cache.delete(location);
    cachedBytes -= sizes.get(location) ?? 0;
    sizes.delete(location);
  };
  const makeRoom = () => {
    for (const location of sizes.keys()) {
      if (cachedBytes <= maxBytes || sizes.size <= 1) return;
      forget(location);
    }
  };
  const load = async (image: ImageRef): Promise<string> => {
    reads++;
    try {
      const url = await encodeFile(image);
      sizes.set(image.location, url.length);
      cachedBytes += url.length;
      makeRoom();
      return url;
    } catch (error) {
      cache.delete(image.location);
      throw error;
    }
  };

  return {
    async dataUrl(image) {
      if (image.location.startsWith('data:')) return image.location;
      const known = cache.get(image.location);
      if (known === undefined) {
        const loading = load(image);
        cache.set(image.location, loading);
        return loading;
      }
      const size = sizes.get(image.location);
      if (size !== undefined) {
        sizes.delete(image.location);
        sizes.set(image.location, size);
      }
      return known;
    },
    stats: () => ({ cachedBytes, reads }),
  };
}

/** The media type that the first bytes of a picture show, or null. */
export function sniffImageType(bytes: Uint8Array): string | null {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, 16));
  const text = head.toString('latin1');
  if (text.startsWith('\x89PNG\r\n\x1a\n')) return 'image/png';
  if (text.startsWith('\xff\xd8\xff')) return 'image/jpeg';
  if (text.startsWith('GIF87a') || text.startsWith('GIF89a')) return 'image/gif';
  if (text.startsWith('RIFF') && text.slice(8, 12) === 'WEBP') return 'image/webp';
  if (text.startsWith('BM')) return 'image/bmp';
  if (text.startsWith('II*\0') || text.startsWith('MM\0*')) return 'image/tiff';
  if (/^ftypavi[fs]/.test(text.slice(4))) return 'image/avif';
  return null;
}

async function encodeFile(image: ImageRef): Promise<string> {
  // Fetching what a problem file names would let the file choose whom we call.
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(image.location)) {
    throw unreadable(image, 'remote images are not fetched; save it to a file and name that');
  }
  let bytes: Buffer;
  try {
    bytes = await readFile(image.location);
  } catch (error) {
    throw unreadable(image, errorMessage(error), error);
  }
  const type = sniffImageType(bytes);
  if (type === null) {
    throw unreadable(
      image,
      `${bytes.length} bytes that are no PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF`,
    );
  }
  return `data:${type};base64,${bytes.toString('base64')}`;
}

function unreadable(image: ImageRef, why: string, cause?: unknown): SteptreeError {
  return new SteptreeError(
    'POLICY_IMAGE_UNREADABLE',
    `image ${image.location} can't be used: ${why}`,
    { source: image.source, location: image.location },
    { cause },
  );
}
