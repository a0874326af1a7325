import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PathReader, type PathText } from '../../../src/scorer/onnx/path-reader.js';
import {
  HASH_SHAPE,
  hashDecoder,
  hashEmbedder,
  hashLogits,
} from '../../policy/onnx/hash-decoder.js';

const IMAGE = 5;

/** A head and segments of token ids as one path. */
function path(...[head = [], ...segments]: readonly (readonly number[])[]): PathText {
  let end = head.length;
  return {
    ids: [head, ...segments].flat(),
    head: head.length,
    segmentEnds: segments.map((segment) => {
      end += segment.length;
      return end;
    }),
    imageToken: IMAGE,
    imageFeatures: [],
    imageKeys: [],
  };
}

/** What a path must get, each score from the whole text before it: the softmax of the first two
 *  logits. */
function expected(text: PathText): number[] {
  const embeddings = text.ids.map((id) => id + 1);
  return text.segmentEnds.map((end) => {
    const [yes = 0, no = 0] = hashLogits(embeddings.slice(0, end));
    return 1 / (1 + Math.exp(no - yes));
  });
}

const reader = (settings = {}, decoder = hashDecoder()) =>
  new PathReader(decoder, hashEmbedder, { maxBatch: 64, cacheBytes: 1e9, ...settings });

const tokens = (length: number, from = 6) =>
  Array.from({ length }, (_, index) => 6 + ((from + index * 7) % 34));

describe('reading marked paths', () => {
  it('gives every path the scores that it has alone, in any company and with any cache', async () => {
    const piece = fc.array(fc.integer({ min: 6, max: 9 }), { minLength: 1, maxLength: 40 });
    const paths = fc.array(fc.array(piece, { minLength: 2, maxLength: 6 }), {
      minLength: 1,
      maxLength: 12,
    });
    const options = fc.record({
      maxBatch: fc.constantFrom(1, 2, 7, 64),
      cacheBytes: fc.constantFrom(0, 3000, 1e9),
    });
    await fc.assert(
      fc.asyncProperty(paths, options, fc.context(), async (pieces, settings, context) => {
        const subject = reader(settings);
        // Every other one continues the one before it, as children do.
        const texts = pieces.map((own, index) =>
          path(...(index % 2 === 1 ? [...(pieces[index - 1] ?? []), ...own] : own)),
        );
        const readings = await Promise.all(texts.map((text) => subject.submit(text).done));
        context.log(JSON.stringify(subject.stats));
        expect(readings.map((one) => one.probabilities)).toEqual(texts.map(expected));
        await subject.drain();
      }),
      { seed: 5, numRuns: 60 },
    );
  });

  it('adds to each score what the blocks behind the opening say of their likelihood', async () => {
    const weights = { valueWeight: 0.5, likelihoodWeight: -0.1, bias: 0.25 };
    const subject = reader({ weights });
    // The opening is two blocks (32 + 8 tokens), the first segment two (32 + 3), the second one.
    const text = path(tokens(40), tokens(35, 3), tokens(5, 4));
    const { probabilities } = await subject.submit(text).done;
    const at = (end: number) => hashLogits(text.ids.slice(0, end).map((id) => id + 1));
    const third = (end: number) => at(end)[2] ?? 0;
    const score = (end: number, likelihood: number) => {
      const [yes = 0, no = 0] = at(end);
      return 1 / (1 + Math.exp(-(0.5 * (yes - no) - 0.1 * likelihood + 0.25)));
    };
    const first = third(72) + third(75);
    expect(probabilities).toEqual([score(75, first), score(80, first + third(80))]);
    // From the cache the same.
    expect((await subject.submit(text).done).probabilities).toEqual(probabilities);
  });

  it("computes only a child's own step", async () => {
    const subject = reader();
    const head = tokens(70);
    const parent = [tokens(9, 1), tokens(12, 2)];
    const first = await subject.submit(path(head, ...parent)).done;
    expect(first.computedTokens).toBe(70 + 9 + 12);
    const child = await subject.submit(path(head, ...parent, tokens(11, 3))).done;
    expect(child.computedTokens).toBe(11);
    expect(child.probabilities.slice(0, 2)).toEqual(first.probabilities);
    // A sibling of the first step shares the head alone; the same path again, everything.
    expect((await subject.submit(path(head, tokens(9, 4))).done).computedTokens).toBe(9);
    expect((await subject.submit(path(head, ...parent)).done).computedTokens).toBe(0);
    expect(subject.stats).toMatchObject({
      paths: 4,
      pathTokens: 91 + 102 + 79 + 91,
      computedTokens: 91 + 11 + 9,
    });
  });

  it('computes what paths of one pass share once, and says whose it was', async () => {
    const decoder = hashDecoder();
    const subject = reader({}, decoder);
    const siblings = [1, 2, 3].map((from) => path(tokens(20), tokens(10, from)));
    const readings = await Promise.all(siblings.map((text) => subject.submit(text).done));
    expect(readings.map((one) => one.computedTokens)).toEqual([30, 10, 10]);
    // One block of the head for all three, then their own segments in one pass.
    expect(decoder.passes).toEqual([
      { batch: 1, tokens: 32, past: 0 },
      { batch: 3, tokens: 16, past: 32 },
    ]);
  });

  it('puts blocks of equal padding in one pass, and only these', async () => {
    const decoder = hashDecoder();
    const subject = reader({ maxBatch: 2 }, decoder);
    const texts = [path(tokens(20), tokens(4)), path(tokens(40), tokens(20))];
    texts.push(path(tokens(25), tokens(4)), path(tokens(18), tokens(4)));
    await Promise.all(texts.map((text) => subject.submit(text).done));
    // Heads of 20, 40 (32 + 8), 25 and 18 tokens, two at a time; behind 32 padded rows three segments
    // of 4 and the other 8, which all take 16; behind 64 a segment of 20.
    expect(decoder.passes).toEqual([
      { batch: 2, tokens: 32, past: 0 },
      { batch: 2, tokens: 32, past: 0 },
      { batch: 2, tokens: 16, past: 32 },
      { batch: 2, tokens: 16, past: 32 },
      { batch: 1, tokens: 32, past: 64 },
    ]);
  });

  it('never takes the keys and values of one picture for those of another', async () => {
    const subject = reader();
    const withPicture = (key: string, features: number[]) =>
      subject.submit({
        ...path([6, IMAGE, IMAGE], [7, 8]),
        imageFeatures: [Float32Array.from(features)],
        imageKeys: [key],
      }).done;
    const cat = await withPicture('cat', [101, 102]);
    const dog = await withPicture('dog', [201, 202]);
    expect(cat.probabilities).toEqual(expected(path([6, 100, 101], [7, 8])));
    expect(dog.probabilities).toEqual(expected(path([6, 200, 201], [7, 8])));
    expect(dog.computedTokens).toBe(5);
  });

  it('keeps no more than its cache may hold', async () => {
    // A row is 2 layers · 2 · 2 heads · 2 floats; a block also has 40 logits.
    const bytes = (rows: number) => 4 * (16 * rows + HASH_SHAPE.vocab);
    const subject = reader({ cacheBytes: bytes(20) + bytes(10) });
    const [first, second] = [path(tokens(20), tokens(10)), path(tokens(20, 9), tokens(10))];
    await subject.submit(first).done;
    expect((await subject.submit(first).done).computedTokens).toBe(0);
    await subject.submit(second).done;
    expect((await subject.submit(second).done).computedTokens).toBe(0);
    expect((await subject.submit(first).done).computedTokens).toBe(30);
  });

  it('lets no path wait for later ones', async () => {
    let asked = 0;
    const order: string[] = [];
    const decoder = hashDecoder(() => {
      // Short paths arrive at every pass, and would always be the least advanced.
      if (asked < 20)
        void subject.submit(path(tokens(3, asked++), [9])).done.then(() => order.push('short'));
    });
    const subject = reader({ maxBatch: 1 }, decoder);
    await subject.submit(path(tokens(100), tokens(30), tokens(30))).done;
    // Its 4 blocks of head and 2 of segments: the first pass brings a short path, which waits.
    expect(order).toEqual([]);
    await subject.drain();
    expect(order).toHaveLength(20);
  });

  it('drops a cancelled path at the next pass', async () => {
    let cancel = (): void => undefined;
    const decoder = hashDecoder((pass) => {
      if (pass === 1) cancel();
    });
    const subject = reader({}, decoder);
    const dropped = subject.submit(path(tokens(100), tokens(9)));
    cancel = dropped.cancel;
    const kept = await subject.submit(path(tokens(100, 3), tokens(9))).done;
    expect(kept.probabilities).toHaveLength(1);
    expect(decoder.passes.map((pass) => pass.batch)).toEqual([2, 2, 1, 1, 1]);
    await subject.drain();
  });

  it('rejects what is under way when a pass fails, and works on', async () => {
    const decoder = hashDecoder((pass) => {
      if (pass === 1) throw new Error('out of memory');
    });
    const subject = reader({}, decoder);
    const text = path(tokens(40), tokens(9));
    await expect(subject.submit(text).done).rejects.toThrow('out of memory');
    await subject.drain();
    decoder.passes.push({ batch: 0, tokens: 0, past: 0 });
    expect((await subject.submit(text).done).probabilities).toEqual(expected(text));
  });

  it('refuses logits that are no numbers, and names the step', async () => {
    const decoder = hashDecoder();
    const broken = {
      ...decoder,
      run: async (input: Parameters<typeof decoder.run>[0]) => {
        const output = await decoder.run(input);
        if ((input.pastLength[0] ?? 0) > 20) output.logits[1] = Number.NaN;
        return output;
      },
    };
    const subject = reader({}, broken);
    const texts = [path(tokens(20), tokens(9), tokens(9)), path(tokens(20), tokens(9))];
    const [long, short] = texts.map((text) => subject.submit(text).done);
    await expect(long).rejects.toMatchObject({ code: 'SCORE_RANGE', facts: { step: 2 } });
    expect((await short)?.probabilities).toHaveLength(1);
  });

  it('refuses a log-likelihood that is no number, but only where it counts', async () => {
    const decoder = hashDecoder();
    const broken = {
      ...decoder,
      run: async (input: Parameters<typeof decoder.run>[0]) => {
        const output = await decoder.run(input);
        output.logits[2] = Number.NaN;
        return output;
      },
    };
    const text = path(tokens(20), tokens(9));
    expect((await reader({}, broken).submit(text).done).probabilities).toEqual(expected(text));
    const weights = { valueWeight: 1, likelihoodWeight: 1, bias: 0 };
    await expect(reader({ weights }, broken).submit(text).done).rejects.toMatchObject({
      code: 'SCORE_RANGE',
      facts: { step: 1, logLikelihood: 'NaN' },
    });
  });
});
