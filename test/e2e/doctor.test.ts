import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { runCli } from '../support/cli.js';

describe('steptree doctor', () => {
  it('finds the installation well, and says whether a reward model is embedded', async () => {
    const { code, stdout } = await runCli(['doctor', '--json']);
    const { ok, checks } = JSON.parse(stdout);
    expect([code, ok]).toEqual([0, true]);
    const detail = existsSync('models/figmath-prm')
      ? 'models/figmath-prm'
      : 'none; --prm needs a server or a folder';
    expect(checks).toContainEqual({ name: 'embedded reward model', ok: true, detail });
  });

  it('says which kernels run, and that STEPTREE_NATIVE=off is why they do not', async () => {
    const kernelsOf = async (wish: string) => {
      const { stdout } = await runCli(['doctor', '--json'], { STEPTREE_NATIVE: wish });
      const { checks } = JSON.parse(stdout) as { checks: { name: string; detail: string }[] };
      return checks.find(({ name }) => name === 'native kernels')?.detail;
    };
    expect(await kernelsOf('off')).toBe('TypeScript twins (STEPTREE_NATIVE=off)');
    const portable = existsSync('native/build/steptree.node')
      ? 'portable, native/build/steptree.node'
      : 'TypeScript twins (not built; node native/build.mjs builds them)';
    expect(await kernelsOf('portable')).toBe(portable);
  });
});
