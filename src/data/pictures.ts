/** Pictures that came inside the problem file get files of their own in the run's folder: a tree and
 *  every one of its labels name the picture, and must not carry it. */
import { createHash } from 'node:crypto';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import type { ImageRef, Problem } from '../../search/types.js';
import { writeFileAtomic } from './files.js';
import { dataUrlBytes } from './images.js';

const FOLDER = 'images';
const NAME = /^images\/sha256-[0-9a-f]{32}\.[a-z]+$/;

/** The problem with its `data:` pictures written to DIR/images/ and named from DIR, the others as
 *  they are. Equal pictures share a file.
 *  @throws SteptreeError FILE_WRITE_FAILED */
export async function withStoredPictures(problem: Problem, dir: string): Promise<Problem> {
  if (!problem.images.some(isData)) return problem;
  return {
    ...problem,
    images: await Promise.all(problem.images.map((image) => store(image, dir))),
  };
}

/** Whether a label's picture is one that `withStoredPictures` wrote: relative to the run's folder
 *  and not, as others, to the problem file. */
export function isStoredPicture(source: string): boolean {
  return NAME.test(source);
}

async function store(image: ImageRef, dir: string): Promise<ImageRef> {
  const bytes = isData(image) ? dataUrlBytes(image.location) : undefined;
  if (!bytes) return image;
  const hash = createHash('sha256').update(bytes).digest('hex').slice(0, 32);
  const source = `${FOLDER}/sha256-${hash}.${extensionOf(image.location)}`;
  const location = join(dir, source);
  const exists = await access(location).then(
    () => true,
    () => false,
  );
  if (!exists) await writeFileAtomic(location, bytes);
  return { source, location };
}

function isData(image: ImageRef): boolean {
  return image.location.startsWith('data:');
}

/** `data:image/svg+xml;…` gives `svg`. */
function extensionOf(url: string): string {
  return /^data:image\/([a-z]+)/i.exec(url)?.[1]?.toLowerCase() ?? 'bin';
}
