import { setMaxListeners } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import sharp, { type Color } from 'sharp';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { MarkedPath, MarkedReply } from '../../../prm/index.js';
import { firstWeights, markedPath, weighedScore } from '../../../prm/index.js';
import { createRandom } from '../../../search/rng.js';
import type { Problem } from '../../../search/types.js';
import { openSession } from '../../../src/policy/onnx/engine.js';
import { VisionEncoder } from '../../../src/policy/onnx/image.js';
import { createScorer, scorerSettings } from '../../../src/scorer/index.js';
import { createOnnxMarkerModel, type OnnxMarkerModel } from '../../../src/scorer/onnx/host.js';
import { MarkedText } from '../../../src/scorer/onnx/marked-text.js';
import type { OnnxPrmHostOptions } from '../../../src/scorer/onnx/options.js';
import { readPrmFolder } from '../../../src/scorer/onnx/prm-folder.js';
import { scorerContract } from '../../prm/contract.js';

/** As tiny-prm, with the likelihood as second term. */
const LIKELIHOOD_FOLDER = 'test/fixtures/tiny-prm-likelihood';

/** Seeded toys that are always there, and the trained model where it is. */
const FOLDERS = [
  'test/fixtures/tiny-prm',
  LIKELIHOOD_FOLDER,
  process.env.STEPTREE_PRM_FOLDER ?? 'models/figmath-prm',
] as const;

async function pictured(id: string, background: Color, question: string): Promise<Problem> {
  const image = sharp({ create: { width: 80, height: 80, channels: 3, background } });
  const location = `data:image/png;base64,${(await image.png().toBuffer()).toString('base64')}`;
  return { id, question, images: [{ source: location, location }] };
}

const PROBLEMS = await Promise.all([
  pictured('red', '#e03020', 'By how much is the sum of D and A larger than B?'),
  pictured('blue', '#2030e0', 'How many circles are there?'),
  pictured('grey', '#777777', 'What is the largest of A, B and C, and what is it twice over?'),
]);
const WORDS = ['A=29', 'D=34.', 'Also B=48.', 'Next 29+34=63.', '63-48=15.', 'So it is 7*2=14.'];

const asked = (problem: Problem, steps: readonly string[]): MarkedPath =>
  markedPath(problem, steps, { template: 'plain', tokens: [], marker: '' });

/** Paths of all problems: six steps of one to four pieces, and of each path every prefix. */
function trees(count: number): MarkedPath[] {
  const random = createRandom('trees');
  const word = () => WORDS[Math.floor(random() * WORDS.length)] ?? '';
  return Array.from({ length: count }, (_, index) => {
    const steps = Array.from({ length: 6 }, () =>
      Array.from({ length: 1 + Math.floor(random() * 4) }, word).join(' '),
    );
    const problem = PROBLEMS[index % PROBLEMS.length] as Problem;
    return steps.map((_, last) => asked(problem, steps.slice(0, last + 1)));
  }).flat();
}

const opened: OnnxMarkerModel[] = [];

async function open(
  folder: string,
  options: Partial<OnnxPrmHostOptions> = {},
): Promise<OnnxMarkerModel> {
  const model = await createOnnxMarkerModel(folder, options);
  opened.push(model);
  return model;
}

const read = (model: OnnxMarkerModel, paths: readonly MarkedPath[]): Promise<MarkedReply[]> => {
  const { signal } = new AbortController();
  setMaxListeners(0, signal);
  return Promise.all(model.read(paths.map((path) => ({ ...path, signal }))));
};

const scores = (replies: readonly MarkedReply[]) => replies.map((one) => one.probabilities);

afterEach(async () => {
  await Promise.all(opened.splice(0).map((model) => model.close()));
});

/** The graph's own answer to a whole path in a single run, without a past. */
async function onePass(folder: string): Promise<(path: MarkedPath) => Promise<number[]>> {
  const model = await readPrmFolder(folder);
  const sessions = new Map<string, InferenceSession>();
  for (const name of ['vision_encoder', 'embed_tokens', 'scorer_append']) {
    sessions.set(name, await openSession(folder, `${name}.onnx`, { intraOpThreads: 1 }));
  }
  const session = (name: string) => sessions.get(name) as InferenceSession;
  const { hidden, kvHeads, headDim } = model.shape;
  const weights = model.likelihood ?? firstWeights();
  const width = model.likelihood ? 3 : 2;
  const vision = new VisionEncoder(session('vision_encoder'), model.images, hidden);
  return async (path) => {
    const images = await Promise.all(path.problem.images.map((image) => vision.encode(image)));
    const { ids, head, segmentEnds } = new MarkedText(model).encode(path, images);
    const input = new Tensor('int64', BigInt64Array.from(ids, BigInt), [1, ids.length]);
    const [embeds] = Object.values(await session('embed_tokens').run({ input_ids: input }));
    const rows = Float32Array.from(embeds?.data as Float32Array);
    const first = ids.indexOf(model.imageToken);
    if (images[0]) rows.set(images[0].features, first * hidden);
    const feeds: Record<string, Tensor> = {
      inputs_embeds: new Tensor('float32', rows, [1, ids.length, hidden]),
      past_length: new Tensor('int64', BigInt64Array.of(0n), [1]),
    };
    for (let layer = 0; layer < model.scorerLayers; layer++) {
      for (const kind of ['key', 'value']) {
        const dims = [1, kvHeads, 0, headDim];
        feeds[`past_key_values.${layer}.${kind}`] = new Tensor('float32', [], dims);
      }
    }
    const { logits } = await session('scorer_append').run(feeds);
    const data = logits?.data as Float32Array;
    const [, , before = 0] = data.subarray(width * (head - 1), width * head);
    return segmentEnds.map((end) => {
      const [yes = 0, no = 0, sum = 0] = data.subarray(width * (end - 1), width * end);
      return weighedScore(yes - no, model.likelihood ? sum - before : 0, weights);
    });
  };
}

for (const folder of FOLDERS) {
  const there = existsSync(folder);

  if (there) {
    const [problem] = PROBLEMS as [Problem, ...Problem[]];
    scorerContract(`the onnx host on ${folder}`, {
      open: () => createScorer(scorerSettings({ prm: folder }), { env: {} }),
      request: {
        problem,
        paths: [WORDS.slice(0, 4), ['Answer: 15'], [...WORDS.slice(0, 2), 'Answer: 63']],
      },
      scores: 'steps',
    });
  }

  describe.skipIf(!there)(`the onnx host on ${folder}`, () => {
    it('gives in blocks, step by step and from the cache what one pass over the path gives', async () => {
      const whole = await onePass(folder);
      const model = await open(folder);
      let worst = 0;
      for (const path of trees(6)) {
        const [reply] = await read(model, [path]);
        const expected = await whole(path);
        expect(reply?.probabilities).toHaveLength(expected.length);
        for (const [index, value] of expected.entries()) {
          worst = Math.max(worst, Math.abs(value - (reply?.probabilities[index] ?? 9)));
        }
      }
      expect(worst).toBeLessThan(1e-5);
    });

    it('gives a path the same bits alone, in a full batch, on two threads, without a cache', async () => {
      const paths = trees(40);
      const inBatch = await open(folder);
      const expected = scores(await read(inBatch, paths));
      expect((await inBatch.stats()).meanBatch).toBeGreaterThan(4);
      expect(new Set(expected.flat()).size).toBeGreaterThan(100);
      const alone = await open(folder, { maxBatch: 1, kvCacheMb: 0 });
      for (const [index, path] of paths.entries()) {
        expect(scores(await read(alone, [path]))).toEqual([expected[index]]);
      }
      const elsewhere = await open(folder, { maxBatch: 23, threads: 2, kvCacheMb: 0.2 });
      expect(scores(await read(elsewhere, [...paths].reverse()))).toEqual([...expected].reverse());
    }, 120_000);

    it("computes only a child's own step, whatever else was read", async () => {
      const model = await open(folder);
      const tree = trees(3);
      const paths = tree.filter((_, index) => index % 6 < 5);
      await read(model, paths);
      const parents = tree.filter((_, index) => index % 6 === 4);
      const children = tree.filter((_, index) => index % 6 === 5);
      const known = await read(model, parents);
      expect(known.map((one) => one.computedTokens)).toEqual([0, 0, 0]);
      const fresh = await read(model, children);
      for (const [index, child] of fresh.entries()) {
        const own = child.pathTokens - (known[index]?.pathTokens ?? 0);
        expect(child.computedTokens).toBe(own);
        expect(child.computedTokens).toBeLessThan(child.pathTokens / 3);
      }
    });

    it('drops an aborted path and leaves the others as they were', async () => {
      const model = await open(folder);
      const [kept, dropped] = [trees(1).slice(-1), trees(8).slice(6)];
      const expected = scores(await read(await open(folder), kept));
      const controller = new AbortController();
      const { signal } = controller;
      setMaxListeners(0, signal);
      const failing = Promise.allSettled(model.read(dropped.map((path) => ({ ...path, signal }))));
      const reading = read(model, kept);
      const reason = new Error('enough');
      controller.abort(reason);
      for (const outcome of await failing) {
        expect(outcome).toMatchObject({ status: 'rejected', reason });
      }
      expect(scores(await reading)).toEqual(expected);
      const [late] = model.read(kept.map((path) => ({ ...path, signal })));
      await expect(late).rejects.toBe(reason);
    });

    it('closes in the middle of a run: the callers hear of it and the process lives', async () => {
      const model = await open(folder, { threads: 2, maxBatch: 1 });
      const running = Promise.allSettled(trees(30).map((path) => read(model, [path])));
      await model.stats();
      await Promise.all([model.close(), model.close()]);
      const outcomes = await running;
      const failed = outcomes.filter((outcome) => outcome.status === 'rejected');
      expect(failed.length).toBeGreaterThan(0);
      for (const { reason } of failed) expect(reason).toMatchObject({ code: 'ONNX_HOST_CLOSED' });
      await expect(read(model, trees(1))).rejects.toMatchObject({ code: 'ONNX_HOST_CLOSED' });
    });

    it('names a missing picture, a path that is too long and a foreign marker', async () => {
      const model = await open(folder);
      const [problem] = PROBLEMS as [Problem, ...Problem[]];
      const image = { source: 'gone.png', location: '/nowhere/gone.png' };
      const cases: [MarkedPath, object][] = [
        [
          asked({ ...problem, images: [image] }, ['A=1']),
          { code: 'POLICY_IMAGE_UNREADABLE', facts: { image: 'gone.png' } },
        ],
        [
          asked(problem, new Array(400).fill('Next 29+34=63.')),
          { code: 'ONNX_PROMPT_TOO_LONG', message: expect.stringMatching(/400 steps takes \d+/) },
        ],
        [
          { ...asked(problem, []), segments: ['A=1<step>'] },
          { code: 'ONNX_CONFIG', message: expect.stringContaining('--prm-marker') },
        ],
      ];
      const { signal } = new AbortController();
      const replies = model.read(cases.map(([path]) => ({ ...path, signal })));
      const outcomes = await Promise.allSettled(replies);
      for (const [index, [, error]] of cases.entries()) {
        expect(outcomes[index]).toMatchObject({ status: 'rejected', reason: error });
      }
      // A path up to the last position is read, one token more is not.
      const { shape } = await readPrmFolder(folder);
      const probe = await read(model, [asked(problem, ['1'.repeat(20)])]);
      const room = shape.maxPositions - (probe[0]?.pathTokens ?? 0);
      const full = await read(model, [asked(problem, ['1'.repeat(20 + room)])]);
      expect(full[0]?.pathTokens).toBe(shape.maxPositions);
      await expect(read(model, [asked(problem, ['1'.repeat(21 + room)])])).rejects.toMatchObject({
        facts: { limit: shape.maxPositions },
      });
    });

    it('reads special tokens that a step or a question spells out as no tokens', async () => {
      const model = await open(folder);
      const [problem] = PROBLEMS as [Problem, ...Problem[]];
      const spelt = { ...problem, question: `${problem.question}<|im_end|>` };
      const raw = (given: Problem, step: string): MarkedPath => ({
        problem: given,
        systemPrompt: '',
        question: given.question,
        segments: [`${step}<prm>`],
      });
      const replies = await read(model, [
        raw(problem, 'A=29'),
        raw(spelt, 'A=<image>2<prm>9<|im_end|>'),
      ]);
      expect(replies[1]).toMatchObject({ probabilities: replies[0]?.probabilities });
    });

    it('reads no score at a marker in the system prompt', async () => {
      const [problem] = PROBLEMS as [Problem, ...Problem[]];
      const path = { ...asked(problem, ['A=1']), systemPrompt: 'Judge at each <prm>.' };
      const [reply] = await read(await open(folder), [path]);
      expect(reply?.probabilities).toHaveLength(1);
    });

    it('obeys its options', async () => {
      const [path] = trees(1).slice(-1) as [MarkedPath];
      const forgetful = await open(folder, { kvCacheMb: 0, maxBatch: 1 });
      const first = await read(forgetful, [path, path]);
      expect((await read(forgetful, [path]))[0]).toMatchObject({
        computedTokens: first[0]?.pathTokens,
      });
      expect(await forgetful.stats()).toMatchObject({ threads: 1, meanBatch: 1 });
      expect(await (await open(folder, { threads: 3 })).stats()).toMatchObject({ threads: 3 });
    });

    it.runIf(existsSync('/proc/self/task'))(
      'runs an operator on several threads if told',
      async () => {
        await open(folder);
        const before = await settledThreads();
        await open(folder, { intraOpThreads: 1 });
        const one = (await settledThreads()) - before;
        await open(folder, { intraOpThreads: 3 });
        // Two more threads for each of the three sessions.
        expect((await settledThreads()) - before - one).toBe(one + 6);
      },
    );
  });
}

describe('a folder that weighs the likelihood', () => {
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((model) => model.close()));
  });
  const reference = JSON.parse(readFileSync(`${LIKELIHOOD_FOLDER}/reference.json`, 'utf8')) as {
    question: string;
    colour: [number, number, number];
    steps: string[];
    logits: [number, number][];
    logLikelihoods: number[];
    scores: number[];
  };
  const [r, g, b] = reference.colour;
  const path = async (question = reference.question) =>
    asked(await pictured('p', { r, g, b }, question), reference.steps);
  const weighed = (valueWeight: number, likelihoodWeight: number, bias: number) =>
    reference.logits.map(([yes, no], step) => {
      const likely = reference.logLikelihoods[step] ?? 0;
      const sum = valueWeight * (yes - no) + likelihoodWeight * likely + bias;
      return expect.closeTo(1 / (1 + Math.exp(-sum)), 5);
    });

  it('gives the scores that PyTorch gives', async () => {
    const [reply] = await read(await open(LIKELIHOOD_FOLDER), [await path()]);
    expect(reply?.probabilities).toEqual(reference.scores.map((score) => expect.closeTo(score, 5)));
  });

  it('leaves the prompt out of the likelihood, and what stood in the cache before', async () => {
    const model = await open(LIKELIHOOD_FOLDER);
    const long = await path(`${reference.question} ${'Count well. '.repeat(4)}`);
    const [first] = await read(model, [long]);
    // A sum over the longer prompt as well would lie some hundred nats lower.
    const lowest = Math.min(...(first?.probabilities ?? []));
    expect(lowest).toBeGreaterThan(0.003);
    const [reply] = await read(model, [await path()]);
    expect(reply?.probabilities).toEqual(reference.scores.map((score) => expect.closeTo(score, 5)));
  });

  it.each([
    ['likelihoodWeight', { likelihoodWeight: 0.002 }, weighed(0.5, 0.002, 2)],
    ['likelihoodWeight 0', { likelihoodWeight: 0 }, weighed(0.5, 0, 2)],
    ['valueWeight', { valueWeight: 3 }, weighed(3, 0.01, 2)],
    ['bias', { bias: -1 }, weighed(0.5, 0.01, -1)],
  ])('takes %s from the options in place of its own', async (_, options, expected) => {
    const [reply] = await read(await open(LIKELIHOOD_FOLDER, options), [await path()]);
    expect(reply?.probabilities).toEqual(expected);
  });

  it('takes value weight and bias for a graph without likelihood too, but no likelihood', async () => {
    const plain = await open('test/fixtures/tiny-prm', { valueWeight: 0.5, bias: 2 });
    const [reply] = await read(plain, [await path()]);
    expect(reply?.probabilities).toEqual(weighed(0.5, 0, 2));
    await expect(open('test/fixtures/tiny-prm', { likelihoodWeight: 1 })).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringContaining('--likelihood'),
    });
  });

  it('gets the options of --prm-likelihood-weight, --prm-value-weight and --prm-bias', async () => {
    const settings = scorerSettings({
      prm: LIKELIHOOD_FOLDER,
      prmLikelihoodWeight: 0.001,
      prmValueWeight: 2,
      prmBias: 0.5,
    });
    const scorer = await createScorer(settings, { env: {} });
    try {
      const { problem } = await path();
      const { paths } = await scorer.score({ problem, paths: [reference.steps] });
      expect(paths[0]?.steps).toEqual(weighed(2, 0.001, 0.5));
      expect(scorer.identity).toMatchObject({ likelihoodWeight: 0.001, valueWeight: 2, bias: 0.5 });
    } finally {
      await scorer.close();
    }
    const silent = await createScorer(scorerSettings({ prm: LIKELIHOOD_FOLDER }), { env: {} });
    // Runs that were there before these options find their scores.
    expect(Object.keys(silent.identity)).not.toContain('bias');
    await silent.close();
  });

  it('is refused when its facts and its graph do not fit', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'steptree-prm-'));
    try {
      cpSync('test/fixtures/tiny-prm', folder, { recursive: true });
      const file = join(folder, 'steptree_prm.json');
      const facts = JSON.parse(readFileSync(file, 'utf8'));
      const likelihood = { weight: 1, valueWeight: 1, bias: 0 };
      writeFileSync(file, JSON.stringify({ ...facts, likelihood }));
      await expect(open(folder)).rejects.toMatchObject({ code: 'ONNX_CONFIG' });
      writeFileSync(file, JSON.stringify({ ...facts, likelihood, scorerLayers: 3 }));
      await expect(open(folder)).rejects.toMatchObject({ code: 'ONNX_GRAPH' });
      writeFileSync(file, JSON.stringify({ ...facts, likelihood: { weight: 'much' } }));
      await expect(open(folder)).rejects.toMatchObject({
        code: 'ONNX_FOLDER',
        message: expect.stringContaining('likelihood.weight'),
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('a folder that is no reward model', () => {
  afterAll(async () => {
    await Promise.all(opened.splice(0).map((model) => model.close()));
  });

  it.each([
    ['test/scorer/no-such-folder', 'config.json is missing'],
    ['models/figmath-policy', 'no reward model: onnx/scorer_append.onnx is missing'],
  ])('is refused: %s', async (folder, message) => {
    await expect(createOnnxMarkerModel(folder)).rejects.toMatchObject({
      code: 'ONNX_FOLDER',
      message: expect.stringContaining(message),
    });
  });
});

/** Threads of this process once their number has stood for half a second: those of models that
 *  earlier tests closed may still be ending. */
async function settledThreads(): Promise<number> {
  const count = () => readdirSync('/proc/self/task').length;
  let last = count();
  for (let same = 0; same < 10; ) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const now = count();
    same = now === last ? same + 1 : 0;
    last = now;
  }
  return last;
}
