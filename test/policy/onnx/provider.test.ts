import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createOnnxPolicy } from '../../../src/policy/onnx/index.js';
import { createOnnxMarkerModel } from '../../../src/scorer/onnx/host.js';

/** Where onnxruntime-node keeps the CUDA provider, if it was installed with it. */
const library = join(
  dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json')),
  `bin/napi-v6/${process.platform}/${process.arch}/libonnxruntime_providers_cuda.so`,
);

// Where the library is there, a GPU may be too, and then nothing is missing.
describe.skipIf(existsSync(library))('--onnx-provider cuda without its libraries', () => {
  const cuda = { onnxProvider: 'cuda', onnxDevice: 3 } as const;

  it('is refused for a policy with what to do, and does not fall back to the CPU', async () => {
    const refusal = await createOnnxPolicy('test/fixtures/tiny-smolvlm', cuda).then(
      (policy) => policy.close(),
      (error: unknown) => error,
    );
    expect(refusal).toMatchObject({
      code: 'ONNX_PROVIDER_MISSING',
      facts: { provider: 'cuda', device: 3 },
    });
    expect(String(refusal)).toMatch(/device 3.*CUDA libraries.*--onnx-provider cpu/s);
  });

  it('is refused for a reward model alike', async () => {
    await expect(createOnnxMarkerModel('test/fixtures/tiny-prm', cuda)).rejects.toMatchObject({
      code: 'ONNX_PROVIDER_MISSING',
    });
  });

  it('names nothing missing for the CPU', async () => {
    const policy = await createOnnxPolicy('test/fixtures/tiny-smolvlm', { onnxProvider: 'cpu' });
    await policy.close();
  });
});
