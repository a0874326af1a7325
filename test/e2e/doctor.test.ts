import { existsSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

  it('reads a model folder, and says what would make it faster', async () => {
    const detailOf = async (folder: string) => {
      const { code, stdout } = await runCli(['doctor', '--json', folder]);
      const { checks } = JSON.parse(stdout) as { checks: { name: string; detail: string }[] };
      return [code, checks.find(({ name }) => name === folder)?.detail];
    };
    const whole = 'models/figmath-policy';
    expect(await detailOf(whole)).toEqual([0, 'policy, llava, 4 layers of 128, vocabulary 640']);
    const merged = await mkdtemp(join(tmpdir(), 'merged-'));
    await cp(whole, merged, { recursive: true });
    await rm(join(merged, 'onnx/decoder_append.onnx'));
    await rm(join(merged, 'onnx/decoder_step.onnx'));
    const [code, detail] = await detailOf(merged);
    expect([code, detail]).toEqual([
      0,
      expect.stringContaining('without decoder_append.onnx and decoder_step.onnx'),
    ]);
    await rm(join(merged, 'tokenizer.json'));
    expect(await detailOf(merged)).toEqual([
      1,
      expect.stringContaining('tokenizer.json is missing'),
    ]);
    await rm(merged, { recursive: true });
  });
});
