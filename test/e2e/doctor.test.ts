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
});
