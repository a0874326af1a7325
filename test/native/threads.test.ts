import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { addonPath } from '../../native/addon.js';
import { SETTINGS, typescriptKernels, writeSettings } from '../../native/index.js';

/** Draws 200 times, for logits that differ between threads, and says what came. */
const SCRIPT = `
  const { parentPort, workerData: { path, vocab, settings, shift } } = require('node:worker_threads');
  const addon = require(path);
  const logits = Float32Array.from({ length: vocab }, (_, id) => Math.sin(id * shift) * 8);
  const tokens = new Int32Array(200);
  for (let k = 0; k < 200; k++) {
    settings[5] = k / 200;
    addon.sample(logits, vocab, 1, settings, [], tokens.subarray(k, k + 1), new Float64Array(1), new Float64Array(1));
  }
  parentPort.postMessage(tokens);
`;

it.skipIf(addonPath() === null)('works in several threads at once, and when they end', async () => {
  const vocab = 3000;
  const settings = new Float64Array(SETTINGS);
  const options = {
    temperature: 0.8,
    topK: 0,
    topP: 0.9,
    minP: 0,
    repetitionPenalty: 1,
    maxTokens: 1,
  };
  writeSettings(settings, 0, options, 0);
  const shifts = [1.1, 2.3, 3.7, 5.9];
  const drawn = await Promise.all(
    shifts.map(
      (shift) =>
        new Promise<Int32Array>((resolve, reject) => {
          const data = { path: addonPath(), vocab, settings, shift };
          const worker = new Worker(SCRIPT, { eval: true, workerData: data });
          let tokens = new Int32Array(0);
          worker.on('message', (message: Int32Array<ArrayBuffer>) => {
            tokens = message;
          });
          worker.on('error', reject);
          worker.on('exit', () => resolve(tokens));
        }),
    ),
  );
  for (const [at, shift] of shifts.entries()) {
    const logits = Float32Array.from({ length: vocab }, (_, id) => Math.sin(id * shift) * 8);
    const tokens = new Int32Array(1);
    const expected = Array.from({ length: 200 }, (_, k) => {
      settings[5] = k / 200;
      const request = { logits, vocab, rows: 1, settings, seen: [] };
      typescriptKernels.sample(request, tokens, new Float64Array(1));
      return tokens[0];
    });
    expect([...(drawn[at] ?? [])]).toEqual(expected);
  }
});
