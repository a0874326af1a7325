import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { claimFolder, lockRun } from '../../src/runtime/run-files.js';
import { temporaryFolder } from '../support/cli.js';

/** What a run store remembers of its folder. */
function folderMadeWith(identity?: Record<string, unknown>) {
  const facts = new Map<string, unknown>(identity ? [['identity', identity]] : []);
  return {
    facts,
    fact: <T>(name: string) => facts.get(name) as T | undefined,
    setFact: async (name: string, value: unknown) => {
      facts.set(name, value);
    },
  };
}

describe('a run folder', () => {
  it('remembers the configuration that it was made with', async () => {
    const store = folderMadeWith();
    await claimFolder(store, 'run', { seed: 1 });
    expect(store.facts.get('identity')).toEqual({ seed: 1 });
    await expect(claimFolder(store, 'run', { seed: 2 })).rejects.toThrow('seed was 1 and is now 2');
  });

  it('that is older than an option resumes with its default, and with nothing else', async () => {
    const store = folderMadeWith({ seed: 1 });
    const defaults = { adaptiveRule: 'width' };
    await claimFolder(store, 'run', { seed: 1, adaptiveRule: 'width' }, defaults);
    await expect(
      claimFolder(store, 'run', { seed: 1, adaptiveRule: 'gain' }, defaults),
    ).rejects.toThrow('adaptiveRule was "width" and is now "gain"');
  });
});

describe('the lock of a run folder', () => {
  const folder = temporaryFolder();

  /** A folder whose lock holds `pid`, with a tree that is just being written. */
  function heldBy(name: string, pid: number) {
    const dir = join(folder, name);
    const writing = join(dir, 'trees', '.p1.json.1-abcd.tmp');
    mkdirSync(join(dir, 'trees'), { recursive: true });
    writeFileSync(writing, '{"id"');
    writeFileSync(join(dir, 'run.lock'), `${pid}\n`);
    return { dir, writing };
  }

  it('of a living process is refused, and what that process is writing is left alone', () => {
    const { dir, writing } = heldBy('living', process.ppid);
    expect(() => lockRun(dir, 'trees')).toThrow(`process ${process.ppid} is writing`);
    expect(existsSync(writing)).toBe(true);
  });

  it('of a process that has ended is taken over, and its unfinished files go', () => {
    const { dir, writing } = heldBy('ended', 2 ** 22 + 1);
    const unlock = lockRun(dir, 'trees');
    expect(readFileSync(join(dir, 'run.lock'), 'utf8')).toBe(`${process.pid}\n`);
    expect(existsSync(writing)).toBe(false);
    unlock();
    expect(existsSync(join(dir, 'run.lock'))).toBe(false);
  });
});
