import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import sharp from 'sharp';
import { z } from 'zod';
import { generateProblem } from './problem.js';
import { figureSide, type Raster } from './raster.js';
import { figmathSplits } from './types.js';

/** People see a figure enlarged by whole pixels; nearest-neighbour resizing gives the model's pixels back. */
export const pngScale = 4;

export const figmathOptions = z.strictObject({
  split: z
    .enum(figmathSplits)
    .default('test')
    .describe('train, validation or test; no problem is in two of them'),
  count: z.number().int().min(1).default(100).describe('number of problems'),
  seed: z.number().int().min(0).default(1).describe('seed of the problems'),
  out: z.string().min(1).describe('folder to write problems.jsonl and images/ into'),
});
export type FigmathOptions = z.infer<typeof figmathOptions>;

export interface FigmathSummary {
  problemsFile: string;
  count: number;
}

/** PNG bytes of a figure, each model pixel `scale` pixels wide. Equal on every machine up to the
 *  PNG encoder's version; the pixels are always equal. */
export async function encodePng(image: Raster, scale: number = pngScale): Promise<Buffer> {
  const side = figureSide * scale;
  return await sharp(image.toRgb(scale), { raw: { width: side, height: side, channels: 3 } })
    .png({ compressionLevel: 9, palette: false })
    .toBuffer();
}

/** Writes OUT/problems.jsonl and OUT/images/ID.png; `signal` stops between two problems. */
export async function writeFigmath(
  options: FigmathOptions,
  signal?: AbortSignal,
): Promise<FigmathSummary> {
  const images = join(options.out, 'images');
  await mkdir(images, { recursive: true });
  const problemsFile = join(options.out, 'problems.jsonl');
  const lines = createWriteStream(problemsFile);
  try {
    for (let index = 0; index < options.count; index++) {
      signal?.throwIfAborted();
      const problem = generateProblem(options.split, options.seed, index);
      await writeFile(join(images, `${problem.id}.png`), await encodePng(problem.image));
      const { id, question, answer, family, kind } = problem;
      const line = { id, question, image: `images/${id}.png`, answer, metadata: { family, kind } };
      if (!lines.write(`${JSON.stringify(line)}\n`)) {
        await once(lines, 'drain');
      }
    }
  } finally {
    lines.end();
    await finished(lines);
  }
  return { problemsFile, count: options.count };
}
