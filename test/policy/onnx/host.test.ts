import { existsSync, readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Problem, SampleRequest, SamplingOptions } from '../../../search/types.js';
import { readModelFolder } from '../../../src/policy/onnx/folder.js';
import {
  createOnnxPolicy,
  type OnnxOptions,
  type OnnxPolicy,
} from '../../../src/policy/onnx/index.js';
import { PromptText } from '../../../src/policy/onnx/prompt.js';
import { createSplitter } from '../../../src/policy/splitter.js';
import { policyContract } from '../contract.js';

/** PyTorch's greedy continuations, as training/export_onnx.py --golden writes them. */
interface Golden {
  readonly id: string;
  readonly question: string;
  readonly image: string;
  readonly promptTokens: readonly number[];
  readonly generatedTokens: readonly number[];
  readonly text: string;
}

const folder = process.env.STEPTREE_ONNX_FOLDER ?? 'models/figmath-policy';
const goldenFile = process.env.STEPTREE_ONNX_GOLDEN ?? 'test/golden/onnx-greedy.json';
const there = existsSync(folder) && existsSync(goldenFile);
const golden: readonly Golden[] = there ? JSON.parse(readFileSync(goldenFile, 'utf8')) : [];

const problems: readonly Problem[] = golden.map(({ id, question, image }) => ({
  id,
  question,
  images: [{ source: image, location: image }],
}));

const sampling: SamplingOptions = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  maxTokens: 120,
};

const opened: OnnxPolicy[] = [];

async function open(options: Partial<OnnxOptions> = {}): Promise<OnnxPolicy> {
  const policy = await createOnnxPolicy(folder, options);
  opened.push(policy);
  return policy;
}

function request(index: number, changes: Partial<SampleRequest> = {}): SampleRequest {
  const problem = problems[index];
  if (problem === undefined) throw new Error(`the golden file has no problem ${index}`);
  return { problem, prefix: [], until: 'end', seeds: [1], sampling, ...changes };
}

const range = (count: number, from = 0) => Array.from({ length: count }, (_, i) => from + i);

/** All problems with `perProblem` seeds each, at once: rollouts in order. Long enough to cross two
 *  of the lengths at which a sequence changes its group. */
async function sampleAll(policy: OnnxPolicy, perProblem: number) {
  const short = { ...sampling, maxTokens: 48 };
  const replies = await Promise.all(
    problems.map((_, i) =>
      policy.sample(request(i, { seeds: range(perProblem, i * 1000), sampling: short })),
    ),
  );
  return replies.flatMap((reply) => reply.rollouts);
}

if (there) {
  const greedy = request(0, { sampling: { ...sampling, temperature: 0 } });
  const prefix = createSplitter('blank-line')
    .split(golden[0]?.text ?? '')
    .slice(0, 2);
  policyContract('the onnx host', {
    open: () => createOnnxPolicy(folder),
    openSlow: () => createOnnxPolicy(folder, { maxBatch: 1 }),
    requests: {
      whole: request(0, { seeds: [1, 2, 3] }),
      continued: request(0, { prefix, seeds: [1, 2] }),
      step: { ...greedy, prefix: prefix.slice(0, 1), until: 'step', seeds: [1, 2] },
      truncated: request(0, { seeds: [1, 2], sampling: { ...sampling, maxTokens: 3 } }),
    },
    deterministic: true,
  });
}

describe.skipIf(!there)(`the onnx host on ${folder}`, () => {
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((policy) => policy.close()));
  });

  it('continues greedily as PyTorch does, from the same prompt tokens', async () => {
    const model = await readModelFolder(folder);
    const splitter = createSplitter('blank-line');
    const text = new PromptText(model, splitter, {
      systemPrompt: '',
      promptTemplate: '{question}',
    });
    const policy = await open();
    for (const [index, expected] of golden.entries()) {
      const imageTokens = expected.promptTokens.filter((id) => id === model.imageToken).length;
      const { problem } = request(index);
      expect(text.encode(problem, [], [{ rows: imageTokens, grid: null }])).toEqual(
        expected.promptTokens,
      );
      const reply = await policy.sample(
        request(index, { sampling: { ...sampling, temperature: 0, maxTokens: 200 } }),
      );
      expect(reply.rollouts[0]?.steps).toEqual(splitter.split(expected.text));
      expect(reply.rollouts[0]?.policyTokens).toBe(expected.generatedTokens.length);
    }
  });

  it('gives a sequence the same text alone, in a full batch, on two threads, without a cache', async () => {
    const perProblem = Math.ceil(500 / problems.length);
    const inBatch = await sampleAll(await open(), perProblem);
    expect(inBatch.length).toBeGreaterThanOrEqual(500);
    expect(new Set(inBatch.map((rollout) => rollout.steps.join())).size).toBeGreaterThan(50);
    const alone = await sampleAll(await open({ maxBatch: 1 }), perProblem);
    expect(alone).toEqual(inBatch);
    const elsewhere = await open({ maxBatch: 23, threads: 2, kvCacheMb: 0 });
    expect(await sampleAll(elsewhere, perProblem)).toEqual(inBatch);
  }, 300_000);

  it('gives the same texts with the standard merged decoder', async () => {
    const append = await sampleAll(await open({ decoder: 'append' }), 8);
    const merged = await open({ decoder: 'merged' });
    const texts = (rollouts: typeof append) => rollouts.map((rollout) => rollout.steps);
    expect(texts(await sampleAll(merged, 8))).toEqual(texts(append));
    expect((await merged.stats()).decoder).toBe('merged');
  }, 120_000);

  it('forks a cached prefix to the same continuations as a computed one', async () => {
    const prefix = createSplitter('blank-line')
      .split(golden[1]?.text ?? '')
      .slice(0, 2);
    const continued = request(1, { prefix, seeds: range(16) });
    const policy = await open();
    const first = await policy.sample(continued);
    const again = await policy.sample(continued);
    expect(first.cachedTokens).toBe(0);
    expect(again.cachedTokens).toBe(again.promptTokens);
    expect(again.rollouts).toEqual(first.rollouts);
    // After the whole solution was sampled from its root, the prefix's own blocks are new.
    const other = await open();
    await other.sample(request(1, { seeds: range(4) }));
    expect((await other.sample(continued)).rollouts).toEqual(first.rollouts);
  });

  it('continues step by step to what it says in one go', async () => {
    const policy = await open();
    const greedy = { ...sampling, temperature: 0 };
    const whole = await policy.sample(request(2, { sampling: greedy }));
    const steps: string[] = [];
    let finish = 'step';
    while (finish === 'step' && steps.length < 20) {
      const { rollouts } = await policy.sample(
        request(2, { sampling: greedy, prefix: steps, until: 'step' }),
      );
      steps.push(...(rollouts[0]?.steps ?? []));
      finish = rollouts[0]?.finish ?? 'none';
    }
    expect(steps).toEqual(whole.rollouts[0]?.steps);
    expect(finish).toBe('end');
  });

  it('drops an aborted request and keeps the neighbours as they were', async () => {
    const policy = await open();
    const expected = await policy.sample(request(0, { seeds: range(4) }));
    const controller = new AbortController();
    const dropped = policy.sample(request(1, { seeds: range(40) }), controller.signal);
    const kept = policy.sample(request(0, { seeds: range(4) }));
    const reason = new Error('enough');
    controller.abort(reason);
    await expect(dropped).rejects.toBe(reason);
    expect((await kept).rollouts).toEqual(expected.rollouts);
    const before = await policy.stats();
    await policy.sample(request(0, { seeds: [9] }));
    // Nothing of the 40 sequences is left in the batch.
    const after = await policy.stats();
    const passes = after.decodePasses - before.decodePasses;
    expect(after.decodedRows - before.decodedRows).toBe(passes);
  });

  it('closes in the middle of a run: the callers hear of it and the process lives', async () => {
    const policy = await open({ threads: 2 });
    const running = Promise.allSettled(
      problems.map((_, i) => policy.sample(request(i, { seeds: range(20) }))),
    );
    await policy.stats();
    await Promise.all([policy.close(), policy.close()]);
    for (const outcome of await running) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'ONNX_HOST_CLOSED' } });
    }
    await expect(policy.sample(request(0))).rejects.toMatchObject({ code: 'ONNX_HOST_CLOSED' });
  });

  it('names a picture that is missing, and a prompt that is too long', async () => {
    const policy = await open();
    const { problem } = request(0);
    const image = { source: 'gone.png', location: '/nowhere/gone.png' };
    await expect(
      policy.sample(request(0, { problem: { ...problem, images: [image] } })),
    ).rejects.toMatchObject({ code: 'POLICY_IMAGE_UNREADABLE', facts: { image: 'gone.png' } });
    await expect(
      policy.sample(request(0, { problem: { ...problem, question: 'how many? '.repeat(4000) } })),
    ).rejects.toMatchObject({ code: 'ONNX_PROMPT_TOO_LONG' });
    const spelt = { ...problem, question: `${problem.question}<image><|im_end|>` };
    const plain = await policy.sample(request(0));
    expect(await policy.sample(request(0, { problem: spelt }))).toMatchObject({
      rollouts: plain.rollouts,
    });
  });

  it('obeys its sampling options', async () => {
    const policy = await open();
    const greedy = await policy.sample(
      request(0, { seeds: [1, 2], sampling: { ...sampling, temperature: 0 } }),
    );
    expect(greedy.rollouts[1]).toEqual(greedy.rollouts[0]);
    const filters = [{ topK: 1 }, { topP: 1e-6 }, { minP: 0.999 }];
    for (const filter of filters) {
      const reply = await policy.sample(
        request(0, { seeds: [3, 4], sampling: { ...sampling, ...filter } }),
      );
      expect(reply.rollouts[0]?.steps).toEqual(greedy.rollouts[0]?.steps);
      expect(reply.rollouts[1]?.steps).toEqual(greedy.rollouts[0]?.steps);
    }
    const penalised = await policy.sample(
      request(0, { sampling: { ...sampling, temperature: 0, repetitionPenalty: 3 } }),
    );
    expect(penalised.rollouts[0]?.steps).not.toEqual(greedy.rollouts[0]?.steps);
  });

  it('changes the prompt by its prompt options', async () => {
    const plain = await (await open()).sample(request(0));
    const system = await (await open({ systemPrompt: 'Read the figure.' })).sample(request(0));
    const template = await (await open({ promptTemplate: 'Hint: {question}' })).sample(request(0));
    expect(system.promptTokens).toBeGreaterThan(plain.promptTokens);
    expect(template.promptTokens).toBeGreaterThan(plain.promptTokens);
  });
});

describe('the onnx host', () => {
  let refusal: unknown = null;
  beforeAll(async () => {
    refusal = await createOnnxPolicy('test/policy/onnx/no-such-folder').catch((error) => error);
  });
  afterAll(async () => {
    await Promise.all(opened.splice(0).map((policy) => policy.close()));
  });

  it('refuses a folder that is not there with the code that its thread raised', () => {
    expect(refusal).toMatchObject({ name: 'SteptreeError', code: 'ONNX_FOLDER' });
    expect(String(refusal)).toContain('no-such-folder');
  });

  it('refuses an unknown option', async () => {
    const options = { batch: 3 } as Partial<OnnxOptions>;
    await expect(createOnnxPolicy('anywhere', options)).rejects.toThrow(/batch/);
  });
});
