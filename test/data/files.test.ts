import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openAtomic, writeFileAtomic } from '../../src/data/files.js';

describe('atomic files', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'steptree-files-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  it('writes the whole text, makes missing folders and leaves no temporary file', async () => {
    const path = join(dir, 'a', 'b.json');
    await writeFileAtomic(path, '{"x":"é"}');
    expect(await readFile(path, 'utf8')).toBe('{"x":"é"}');
    expect(await readdir(join(dir, 'a'))).toEqual(['b.json']);
  });

  it('shows the old file until commit, and the new one after', async () => {
    const path = join(dir, 'out.txt');
    await writeFile(path, 'old');
    const file = await openAtomic(path);
    await file.write('new'.repeat(200_000));
    expect(await readFile(path, 'utf8')).toBe('old');
    await file.commit();
    expect(await readFile(path, 'utf8')).toBe('new'.repeat(200_000));
  });

  it('keeps the old file when a write is discarded', async () => {
    const path = join(dir, 'out.txt');
    await writeFile(path, 'old');
    const file = await openAtomic(path);
    await file.write('half');
    await file.discard();
    expect(await readFile(path, 'utf8')).toBe('old');
    expect(await readdir(dir)).toEqual(['out.txt']);
  });

  it('says which file could not be written and what to do', async () => {
    await writeFile(join(dir, 'plain'), '');
    await expect(writeFileAtomic(join(dir, 'plain', 'x.json'), '1')).rejects.toMatchObject({
      code: 'FILE_WRITE_FAILED',
      message: expect.stringMatching(/cannot write .*x\.json.*run the same command again/s),
    });
  });
});
