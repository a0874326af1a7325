/** The prefix cache of a model server as vLLM keeps it: KV memory in blocks of 16 tokens, a full
 *  block found by the hash of all tokens up to its end (pictures' tokens too), blocks that nobody
 *  uses kept until their memory is needed, the least recently used going first, the end of a sequence
 *  before its beginning. PagedAttention, arXiv 2309.06180; automatic prefix caching in vLLM's docs.
 *
 *  Simpler than vLLM in one thing: a sequence reserves the blocks of its whole output when it is let
 *  in, so none is ever preempted. */
export const BLOCK_TOKENS = 16;

export interface CacheStats {
  /** Prompt tokens of all sequences, and of these the ones found, as vLLM's own counters have it:
   *  the further rollouts of one call all hit what its first computed. */
  readonly queriedTokens: number;
  readonly hitTokens: number;
  /** The same of the first sequence of every call, where routing shows. */
  readonly queriedByCalls: number;
  readonly hitByCalls: number;
  /** Prompt tokens that had to be computed. */
  readonly prefillTokens: number;
  readonly evictedBlocks: number;
  /** Most blocks in use at once. */
  readonly peakBlocks: number;
}

/** A sequence's hold on its blocks. */
export interface HeldBlocks {
  readonly prefillTokens: number;
  readonly keys: readonly number[];
  readonly privateBlocks: number;
}

export class PrefixCache {
  /** Users of each block that is in use. */
  private readonly users = new Map<number, number>();
  /** Blocks that nobody uses, the one to go first in front. */
  private readonly unused = new Map<number, true>();
  private privateBlocks = 0;
  private readonly counts = {
    queriedTokens: 0,
    hitTokens: 0,
    queriedByCalls: 0,
    hitByCalls: 0,
    prefillTokens: 0,
    evictedBlocks: 0,
    peakBlocks: 0,
  };

  /** @param blocks of KV memory */
  constructor(private readonly blocks: number) {}

  /** Takes the blocks of a sequence, or null if memory has no room for them now.
   *  @param keys of the prompt's full blocks, see `TokenHasher`
   *  @param first of its call */
  admit(
    keys: readonly number[],
    promptTokens: number,
    outputTokens: number,
    first: boolean,
  ): HeldBlocks | null {
    // The last prompt token is always computed: its output is the first token's distribution.
    const mostHits = Math.floor((promptTokens - 1) / BLOCK_TOKENS);
    let hits = 0;
    while (hits < mostHits && this.has(keys[hits])) hits++;
    const woken = keys.filter((key) => !this.users.has(key)).length;
    const whole = Math.ceil((promptTokens + outputTokens) / BLOCK_TOKENS);
    const privateBlocks = whole - keys.length;
    const inUse = this.users.size + this.privateBlocks;
    if (inUse + woken + privateBlocks > this.blocks && inUse > 0) return null;
    for (const key of keys) {
      this.unused.delete(key);
      this.users.set(key, (this.users.get(key) ?? 0) + 1);
    }
    this.privateBlocks += privateBlocks;
    this.evict();
    const prefillTokens = promptTokens - hits * BLOCK_TOKENS;
    this.count(promptTokens, prefillTokens, first);
    return { prefillTokens, keys, privateBlocks };
  }

  /** Gives the blocks back; the full ones stay findable.
   *  @param outputKeys of the full blocks behind the prompt's */
  release({ keys, privateBlocks }: HeldBlocks, outputKeys: readonly number[]): void {
    this.privateBlocks -= privateBlocks;
    // The end first, so that beginnings live longest.
    for (const key of [...outputKeys].reverse()) if (!this.users.has(key)) this.rest(key);
    for (const key of [...keys].reverse()) {
      const users = this.users.get(key) ?? 0;
      if (users > 1) {
        this.users.set(key, users - 1);
        continue;
      }
      this.users.delete(key);
      this.rest(key);
    }
    this.evict();
  }

  stats(): CacheStats {
    return { ...this.counts };
  }

  resetStats(): void {
    for (const name of Object.keys(this.counts) as (keyof CacheStats)[]) this.counts[name] = 0;
  }

  private has(key: number | undefined): boolean {
    return key !== undefined && (this.users.has(key) || this.unused.has(key));
  }

  private rest(key: number): void {
    this.unused.delete(key);
    this.unused.set(key, true);
  }

  private evict(): void {
    const inUse = this.users.size + this.privateBlocks;
    this.counts.peakBlocks = Math.max(this.counts.peakBlocks, inUse);
    while (inUse + this.unused.size > this.blocks) {
      const oldest = this.unused.keys().next();
      if (oldest.done) return;
      this.unused.delete(oldest.value);
      this.counts.evictedBlocks++;
    }
  }

  private count(promptTokens: number, prefillTokens: number, first: boolean): void {
    const { counts } = this;
    counts.queriedTokens += promptTokens;
    counts.hitTokens += promptTokens - prefillTokens;
    counts.prefillTokens += prefillTokens;
    if (!first) return;
    counts.queriedByCalls += promptTokens;
    counts.hitByCalls += promptTokens - prefillTokens;
  }
}

/** Hashes a stream of tokens block by block: a block's key depends on all tokens up to its end.
 *  53 bits, so that among a million blocks two are equal with odds of 1 to 18,000. */
export class TokenHasher {
  tokens = 0;
  /** Of the full blocks so far. */
  readonly keys: number[] = [];
  private high = 0x9e3779b9 | 0;
  private low = 0x85ebca6b | 0;

  /** A copy that goes on from here. */
  fork(): TokenHasher {
    const copy = new TokenHasher();
    copy.tokens = this.tokens;
    copy.keys.push(...this.keys);
    copy.high = this.high;
    copy.low = this.low;
    return copy;
  }

  /** @param token any 32-bit integer */
  add(token: number): void {
    this.high = Math.imul(this.high ^ token, 0x01000193);
    this.high ^= this.high >>> 15;
    this.low = Math.imul(this.low + token, 0xcc9e2d51 | 0);
    this.low ^= this.low >>> 13;
    this.tokens++;
    if (this.tokens % BLOCK_TOKENS !== 0) return;
    this.keys.push((this.high >>> 0) * 2 ** 21 + ((this.low >>> 0) & 0x1fffff));
  }

  /** A word is a token, as for the simulated policy. */
  addText(text: string): void {
    for (const word of text.split(/\s+/)) if (word !== '') this.add(hashWord(word));
  }

  /** A picture's tokens: nothing of them but which picture and which place. */
  addPicture(picture: string, tokens: number): void {
    const seed = hashWord(picture);
    for (let i = 0; i < tokens; i++) this.add(Math.imul(seed, 2 * i + 1));
  }
}

function hashWord(word: string): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), 0x01000193);
  return hash;
}
