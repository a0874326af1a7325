/** Pictures travel by content, so that workers need no file of the coordinator's machine and problems
 *  that share one share its bytes. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { SteptreeError } from '../../search/errors.js';
import type { ImageRef, Problem } from '../../search/types.js';
import { dataUrlBytes } from '../data/images.js';
import { sniffImageType } from '../policy/openai/images.js';

/** A problem as it travels. */
export interface TravellingProblem extends Omit<Problem, 'images'> {
  readonly images: readonly TravellingImage[];
}

export interface TravellingImage {
  /** As the tree names it. */
  readonly source: string;
  /** Hash of its bytes; null where they can't be read. */
  readonly picture: string | null;
  readonly mediaType: string;
}

export interface PackedProblem {
  readonly problem: TravellingProblem;
  /** Bytes by hash. */
  readonly pictures: ReadonlyMap<string, Buffer>;
}

/** @param named the problem with its pictures named as the tree is to name them
 *  @param original the same with `data:` pictures where the problem file has them */
export async function packProblem(original: Problem, named: Problem): Promise<PackedProblem> {
  const pictures = new Map<string, Buffer>();
  const images = await Promise.all(
    original.images.map(async (image, i): Promise<TravellingImage> => {
      const source = named.images[i]?.source ?? image.source;
      const bytes = await bytesOf(image);
      if (!bytes) return { source, picture: null, mediaType: '' };
      const picture = createHash('sha256').update(bytes).digest('hex').slice(0, 32);
      pictures.set(picture, bytes);
      return { source, picture, mediaType: mediaTypeOf(image, bytes) };
    }),
  );
  return { problem: { ...original, images }, pictures };
}

/** The problem with its pictures in it, as `data:` URLs.
 *  @param fetch bytes by hash, null for none
 *  @throws SteptreeError QUEUE_PICTURE_MISSING */
export async function unpackProblem(
  problem: TravellingProblem,
  fetch: (picture: string) => Promise<Buffer | null>,
): Promise<Problem> {
  const images = await Promise.all(
    problem.images.map(async ({ source, picture, mediaType }): Promise<ImageRef> => {
      // A host that needs the pixels says what is wrong, as it does for a missing file.
      if (picture === null) return { source, location: source };
      const bytes = await fetch(picture);
      if (bytes) {
        return { source, location: `data:${mediaType};base64,${bytes.toString('base64')}` };
      }
      throw new SteptreeError(
        'QUEUE_PICTURE_MISSING',
        `Redis has no more the picture ${source} of problem ${problem.id}; let it evict nothing (maxmemory-policy noeviction) and run the same command again`,
        { problemId: problem.id, source },
      );
    }),
  );
  return { ...problem, images };
}

/** A picture that can't be read has none: recorded replies need no pictures. */
async function bytesOf({ location }: ImageRef): Promise<Buffer | undefined> {
  if (location.startsWith('data:')) return dataUrlBytes(location);
  return readFile(location).catch(() => undefined);
}

/** What a `data:` URL says of itself goes before what its bytes look like: hosts see it that way too. */
function mediaTypeOf({ location }: ImageRef, bytes: Buffer): string {
  const stated = /^data:([^;,]+)/.exec(location)?.[1];
  return stated ?? sniffImageType(bytes) ?? 'application/octet-stream';
}
