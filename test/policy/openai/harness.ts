import { type OpenAiOptions, openaiOptions } from '../../../src/policy/openai/options.js';
import {
  createOpenAiPolicy,
  type OpenAiPolicy,
  type OpenAiPolicyContext,
} from '../../../src/policy/openai/policy.js';
import type { Timing } from '../../../src/policy/openai/retry.js';
import { createSplitter } from '../../../src/policy/splitter.js';

/** Time that passes only by sleeping, so that waits are seen and cost nothing. */
export interface FakeTiming extends Timing {
  readonly sleptMs: number[];
  /** Lets time pass, with the deadlines that fall into it, in their order. */
  pass(ms: number): void;
  /** Lets every deadline that is now running pass. */
  passDeadlines(): void;
}

export function fakeTiming(random = 0.5): FakeTiming {
  let now = Date.UTC(2026, 0, 1);
  const sleptMs: number[] = [];
  const deadlines = new Set<{ readonly atMs: number; readonly fire: () => void }>();
  return {
    sleptMs,
    now: () => now,
    pass: (ms) => {
      const untilMs = now + ms;
      for (;;) {
        const due = [...deadlines].filter(({ atMs }) => atMs <= untilMs);
        const [next] = due.sort((a, b) => a.atMs - b.atMs);
        if (next === undefined) break;
        deadlines.delete(next);
        now = Math.max(now, next.atMs);
        next.fire();
      }
      now = untilMs;
    },
    passDeadlines: () => {
      for (const { fire } of [...deadlines]) fire();
    },
    after: (ms, fire) => {
      const deadline = { atMs: now + ms, fire };
      deadlines.add(deadline);
      return () => deadlines.delete(deadline);
    },
    random: () => random,
    async sleep(ms, signal) {
      signal?.throwIfAborted();
      sleptMs.push(ms);
      now += ms;
    },
  };
}

/** Things to close after a test, last opened first. */
export class Closer {
  private readonly opened: { close(): Promise<void> }[] = [];

  add<T extends { close(): Promise<void> }>(thing: T): T {
    this.opened.push(thing);
    return thing;
  }

  async closeAll(): Promise<void> {
    for (const thing of this.opened.splice(0).reverse()) await thing.close();
  }
}

export async function connectTo(
  urls: string | readonly string[],
  options: Partial<OpenAiOptions> = {},
  context: Partial<OpenAiPolicyContext> = {},
): Promise<OpenAiPolicy> {
  return createOpenAiPolicy(
    typeof urls === 'string' ? [urls] : urls,
    openaiOptions.parse({ continuation: 'prefill', requestTimeoutMs: 10_000, ...options }),
    { splitter: createSplitter('blank-line'), timing: fakeTiming(), env: {}, ...context },
  );
}
