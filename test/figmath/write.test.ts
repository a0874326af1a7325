import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import {
  encodePng,
  figmathOptions,
  generateProblem,
  writeFigmath,
} from '../../src/figmath/index.js';
import { figureSide } from '../../src/figmath/raster.js';

describe('figmath files', () => {
  it('give the model its exact pixels back when the PNG is resized with nearest neighbour', async () => {
    for (let index = 0; index < 8; index++) {
      const { image } = generateProblem('test', 1, index);
      const back = await sharp(await encodePng(image))
        .resize(figureSide, figureSide, { kernel: 'nearest' })
        .removeAlpha()
        .raw()
        .toBuffer();
      expect(Buffer.compare(back, image.toRgb(1))).toBe(0);
    }
  });

  it('are the same bytes when written twice, one line and one picture per problem', async () => {
    const folders = await Promise.all([0, 1].map(() => mkdtemp(join(tmpdir(), 'figmath-'))));
    try {
      const texts: string[] = [];
      for (const out of folders) {
        const options = figmathOptions.parse({ split: 'test', count: 9, seed: 4, out });
        const summary = await writeFigmath(options);
        expect(summary.count).toBe(9);
        texts.push(await readFile(summary.problemsFile, 'utf8'));
      }
      expect(texts[0]).toBe(texts[1]);
      const lines = texts[0]!.trimEnd().split('\n');
      expect(lines).toHaveLength(9);
      for (const line of lines) {
        const problem = JSON.parse(line);
        expect(Object.keys(problem)).toEqual(['id', 'question', 'image', 'answer', 'metadata']);
        const [first, second] = await Promise.all(
          folders.map((folder) => readFile(join(folder, problem.image))),
        );
        expect(Buffer.compare(first!, second!)).toBe(0);
      }
    } finally {
      await Promise.all(folders.map((folder) => rm(folder, { recursive: true })));
    }
  });

  it('stop between two problems when told to', async () => {
    const out = await mkdtemp(join(tmpdir(), 'figmath-'));
    const options = figmathOptions.parse({ count: 5, out });
    await expect(writeFigmath(options, AbortSignal.abort())).rejects.toThrow('abort');
    await rm(out, { recursive: true });
  });
});
