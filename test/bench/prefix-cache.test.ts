import { describe, expect, it } from 'vitest';
import { PrefixCache, TokenHasher } from '../../bench/servers/prefix-cache.js';
import { measureRouting } from '../../bench/speed/routing.js';

function prompt(picture: string, tokens: number, text = ''): TokenHasher {
  const hasher = new TokenHasher();
  hasher.addPicture(picture, tokens);
  hasher.addText(text);
  return hasher;
}

describe('the simulated prefix cache', () => {
  it('finds whole blocks of 16, and always computes the last prompt token', () => {
    const cache = new PrefixCache(100);
    const { keys, tokens } = prompt('a', 32);
    expect(cache.admit(keys, tokens, 8, true)?.prefillTokens).toBe(32);
    // Both blocks are there, but the last token must be computed, and with it its block.
    expect(cache.admit(keys, tokens, 8, false)?.prefillTokens).toBe(16);
    const longer = prompt('a', 40);
    // 40 tokens: two blocks found, eight tokens left.
    expect(cache.admit(longer.keys, longer.tokens, 8, true)?.prefillTokens).toBe(8);
    expect(cache.stats()).toMatchObject({
      queriedTokens: 104,
      hitTokens: 48,
      queriedByCalls: 72,
      hitByCalls: 32,
      prefillTokens: 56,
    });
  });

  it('finds nothing behind the first token that differs', () => {
    const cache = new PrefixCache(100);
    const words = (first: string) => `${first} ${'w '.repeat(31)}`;
    const one = prompt('a', 16, words('x'));
    const other = prompt('a', 16, words('y'));
    cache.admit(one.keys, one.tokens, 1, true);
    expect(cache.admit(other.keys, other.tokens, 1, true)?.prefillTokens).toBe(48 - 16);
  });

  it('knows the text of a finished rollout, as the prefix of a continuation', () => {
    const cache = new PrefixCache(100);
    const first = prompt('a', 16);
    const held = cache.admit(first.keys, first.tokens, 32, true);
    const all = first.fork();
    all.addText('w '.repeat(32));
    if (held) cache.release(held, all.keys.slice(first.keys.length));
    const next = prompt('a', 16, 'w '.repeat(30));
    // 46 tokens: the prompt's block and the first of the output are found.
    expect(cache.admit(next.keys, next.tokens, 8, true)?.prefillTokens).toBe(46 - 32);
  });

  it('forgets the least recently used block, ends before beginnings, and never one in use', () => {
    const cache = new PrefixCache(4);
    const hold = (name: string, tokens: number) => {
      const { keys, tokens: count } = prompt(name, tokens);
      return cache.admit(keys, count, 0, true);
    };
    const a = hold('a', 32);
    if (a) cache.release(a, []);
    // Two blocks of a are kept, two are free; b takes three: the end of a has to go.
    const b = hold('b', 48);
    expect(cache.stats().evictedBlocks).toBe(1);
    expect(hold('a', 17)?.prefillTokens ?? null).toBe(null);
    if (b) cache.release(b, []);
    expect(hold('a', 17)?.prefillTokens).toBe(1);
  });

  it('lets nobody in whom memory has no room for', () => {
    const cache = new PrefixCache(4);
    const { keys, tokens } = prompt('a', 32);
    const held = cache.admit(keys, tokens, 16, true);
    const other = prompt('b', 32);
    expect(cache.admit(other.keys, other.tokens, 16, true)).toBe(null);
    if (held) cache.release(held, []);
    expect(cache.admit(other.keys, other.tokens, 16, true)?.prefillTokens).toBe(32);
  });
});

// Virtual time and seeded texts: the numbers are the same in every run.
describe('four replicas in virtual time', { timeout: 120_000 }, () => {
  const settings = { problems: 24, replicas: 4, cacheBlocks: 25_000 };

  it('compute far fewer prompt tokens if problems stay where they are', async () => {
    const affinity = await measureRouting({ name: 'affinity', routing: 'affinity' }, settings);
    const turns = await measureRouting({ name: 'turns', routing: 'round-robin' }, settings);
    expect(affinity.policyTokens).toBe(turns.policyTokens);
    expect(affinity.hitRateOfCalls).toBeGreaterThan(0.8);
    expect(turns.hitRateOfCalls).toBeLessThan(0.75);
    expect(affinity.prefillTokens).toBeLessThan(0.65 * turns.prefillTokens);
  });
});
