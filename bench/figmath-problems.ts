import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Problem } from '../search/types.js';
import { writeFigmath } from '../src/figmath/index.js';

/** The first problems of figmath's test split with seed 1, their pictures as `data:` URLs. */
export async function figmathProblems(count: number): Promise<Problem[]> {
  const out = await mkdtemp(join(tmpdir(), 'steptree-bench-'));
  try {
    const { signal } = new AbortController();
    const { problemsFile } = await writeFigmath({ split: 'test', count, seed: 1, out }, signal);
    const lines = (await readFile(problemsFile, 'utf8')).trim().split('\n');
    return await Promise.all(
      lines.map(async (line) => {
        const { id, question, image } = JSON.parse(line);
        const bytes = await readFile(join(out, image));
        const location = `data:image/png;base64,${bytes.toString('base64')}`;
        return { id, question, images: [{ source: image, location }] };
      }),
    );
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}
