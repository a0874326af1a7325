import { describe, expect, it } from 'vitest';
import { claimFolder } from '../../src/runtime/run-files.js';

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
