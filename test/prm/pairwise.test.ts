import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createPairwiseScorer,
  drawPairs,
  type PairwiseOptions,
  pairwiseOptions,
} from '../../prm/index.js';
import {
  images,
  PICTURE,
  PROBLEM,
  type StubCall,
  stubServer,
  tokenReply,
  WITH_PICTURE,
} from './stub-server.js';

/** What the judge is asked to compare. */
const askedOf = ({ body }: StubCall) => {
  const [, a = '', b = ''] =
    /Solution A:\n(.*)\n\nSolution B:\n(.*)\n\nWhich/s.exec(body.messages.at(-1).content) ?? [];
  return [a, b] as const;
};

const verdict = (chanceOfA: number) =>
  tokenReply({ A: Math.log(chanceOfA), B: Math.log(1 - chanceOfA) });

describe('pairwise', () => {
  const tournament = (
    answer: (a: string, b: string, index: number) => unknown,
    given: Partial<PairwiseOptions> = {},
  ) => {
    const server = stubServer((call, index) => answer(...askedOf(call), index));
    return { server, scorer: createPairwiseScorer(server, images, pairwiseOptions.parse(given)) };
  };
  const ratesOf = async (made: ReturnType<typeof tournament>, texts: readonly string[]) => {
    const request = { problem: PROBLEM, paths: texts.map((text) => [text]) };
    const { paths } = await made.scorer.score(request);
    return paths.map((path) => path.outcome ?? Number.NaN);
  };

  it('gives the mean chance of winning over all opponents and both orders', async () => {
    const chances: Readonly<Record<string, number>> = {
      'x y': 0.8,
      'y x': 0.4,
      'x z': 0.9,
      'z x': 0.1,
      'y z': 0.5,
      'z y': 0.7,
    };
    const made = tournament((a, b) => verdict(chances[`${a} ${b}`] ?? Number.NaN));
    const rates = await ratesOf(made, ['x', 'y', 'z']);
    // x beats y with (0.8 + 1 - 0.4)/2 = 0.7, x beats z with (0.9 + 1 - 0.1)/2 = 0.9,
    // y beats z with (0.5 + 1 - 0.7)/2 = 0.4: x 0.8, y (0.3 + 0.4)/2, z (0.1 + 0.6)/2
    expect(rates[0]).toBeCloseTo(0.8, 12);
    expect(rates[1]).toBeCloseTo(0.35, 12);
    expect(rates[2]).toBeCloseTo(0.35, 12);
    expect(made.server.calls).toHaveLength(6);
    expect(made.scorer.setwise).toBe(true);
  });

  it('cancels a preference for the first place', async () => {
    const made = tournament(() => verdict(0.9));
    for (const rate of await ratesOf(made, ['x', 'y', 'z'])) expect(rate).toBeCloseTo(0.5, 12);
  });

  it('asks about equal solutions once, and gives one without opponent a half', async () => {
    const made = tournament((a) => verdict(a === 'x' ? 0.75 : 0.25));
    expect(await ratesOf(made, ['x', 'y', 'x'])).toEqual([0.75, 0.25, 0.75]);
    expect(made.server.calls).toHaveLength(2);
    expect(await ratesOf(made, ['x', 'x'])).toEqual([0.5, 0.5]);
    expect(made.server.calls).toHaveLength(2);
  });

  it('compares a seeded part of many pairs, the same one whatever the order of the paths', async () => {
    const texts = Array.from({ length: 12 }, (_, index) => `solution ${index}`);
    const asked = async (order: readonly string[], seed: number) => {
      const made = tournament(() => verdict(0.5), { maxPairs: 20, seed });
      await ratesOf(made, order);
      return made.server.calls.map((call) => askedOf(call).join()).sort();
    };
    const first = await asked(texts, 1);
    expect(first).toHaveLength(40);
    expect(await asked([...texts].reverse(), 1)).toEqual(first);
    expect(await asked(texts, 2)).not.toEqual(first);
  });

  it('reads a verdict in words, thoughts left out, and asks once more for a missing one', async () => {
    const said = (content: string) => ({ choices: [{ message: { content } }] });
    const thinking = tournament(
      () => said('<think>A? B?</think> A reads the bar wrong. Better: B'),
      { maxTokens: 500 },
    );
    expect(await ratesOf(thinking, ['x', 'y'])).toEqual([0.5, 0.5]);
    expect(thinking.server.calls[0]?.body.max_tokens).toBe(500);
    const slow = tournament((_a, _b, index) => said(index < 2 ? 'Both are fine.' : 'A'));
    expect(await ratesOf(slow, ['x', 'y'])).toEqual([0.5, 0.5]);
    expect(slow.scorer.stats()).toMatchObject({ askedAgain: 2 });
    const never = tournament(() => said('Both are fine.'));
    await expect(ratesOf(never, ['x', 'y'])).rejects.toMatchObject({ code: 'SCORE_REPLY_INVALID' });
  });

  it('shows the pictures unless told not to, and takes another system prompt', async () => {
    const server = stubServer(() => verdict(0.5));
    const request = { problem: WITH_PICTURE, paths: [['x'], ['y']] };
    const seeing = createPairwiseScorer(server, images, pairwiseOptions.parse({}));
    await seeing.score(request);
    expect(server.calls[0]?.body.messages[1].content[0].image_url.url).toBe(PICTURE);
    const options = { images: false, systemPrompt: 'Choose.', topLogprobs: 4 };
    await createPairwiseScorer(server, images, pairwiseOptions.parse(options)).score(request);
    const { messages, top_logprobs } = server.calls.at(-1)?.body ?? {};
    expect(messages[0]).toEqual({ role: 'system', content: 'Choose.' });
    expect(messages[1].content).toContain('Solution A:');
    expect(top_logprobs).toBe(4);
  });

  it('keeps to its limit of comparisons under way', async () => {
    let now = 0;
    let most = 0;
    const made = tournament(
      async () => {
        most = Math.max(most, ++now);
        await Promise.resolve();
        now--;
        return verdict(0.5);
      },
      { maxInFlight: 3 },
    );
    await ratesOf(made, ['a', 'b', 'c', 'd', 'e']);
    expect(most).toBe(3);
  });
});

describe('the draw of a tournament', () => {
  it('has different pairs, at most one too many rounds apart, and leaves nobody out', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 40 }), fc.integer({ min: 1, max: 200 }), (n, bound) => {
        const pairs = drawPairs(n, bound, 'seed');
        const all = (n * (n - 1)) / 2;
        expect(pairs).toHaveLength(Math.min(all, Math.max(bound, Math.ceil(n / 2))));
        expect(new Set(pairs.map((pair) => pair.join())).size).toBe(pairs.length);
        const games = new Array<number>(n).fill(0);
        for (const [a, b] of pairs) {
          expect(a).toBeLessThan(b);
          games[a] = (games[a] ?? 0) + 1;
          games[b] = (games[b] ?? 0) + 1;
        }
        expect(Math.min(...games)).toBeGreaterThanOrEqual(1);
        // A round gives everyone two games, and only the last one may be incomplete.
        expect(Math.max(...games) - Math.min(...games)).toBeLessThanOrEqual(2);
      }),
    );
  });
});
