import { afterEach, describe, expect, it } from 'vitest';
import type { PolicyModel, SampleRequest } from '../../search/types.js';

/** A policy host opened for the contract. Every `open` must give a fresh one that behaves as if
 *  nothing had been asked of it yet. */
export interface ContractSubject {
  open(): Promise<PolicyModel & { close(): Promise<void> }>;
  /** A host whose calls take longer than a test may; left out where no call can be slow. */
  openSlow?(): Promise<PolicyModel & { close(): Promise<void> }>;
  readonly requests: {
    /** Three consecutive seeds, no prefix, to the end. */
    readonly whole: SampleRequest;
    /** Two or more seeds after a prefix of at least two steps, to the end. */
    readonly continued: SampleRequest;
    /** One step after a prefix of at least one step. */
    readonly step: SampleRequest;
    /** A token limit that no solution fits into. */
    readonly truncated: SampleRequest;
  };
  /** False only for servers that give different texts for equal seeds. */
  readonly deterministic: boolean;
}

/** What a search relies on, whichever host it talks to. */
export function policyContract(name: string, subject: ContractSubject): void {
  describe(`the policy contract, kept by ${name}`, () => {
    const opened: { close(): Promise<void> }[] = [];
    const open = async (opener = subject.open) => {
      const policy = await opener();
      opened.push(policy);
      return policy;
    };
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((policy) => policy.close()));
    });
    const { requests } = subject;

    it('gives one rollout per seed', async () => {
      const policy = await open();
      const reply = await policy.sample(requests.whole);
      expect(reply.rollouts).toHaveLength(requests.whole.seeds.length);
      expect(reply.promptTokens).toBeGreaterThanOrEqual(0);
      expect(reply.cachedTokens).toBeGreaterThanOrEqual(0);
    });

    it('gives no rollouts for no seeds', async () => {
      const policy = await open();
      const reply = await policy.sample({ ...requests.whole, seeds: [] });
      expect(reply.rollouts).toEqual([]);
    });

    it('trims steps and never gives an empty one', async () => {
      const policy = await open();
      const { rollouts } = await policy.sample(requests.whole);
      const steps = rollouts.flatMap((rollout) => rollout.steps);
      expect(steps.length).toBeGreaterThan(0);
      expect(steps.filter((step) => step === '' || step !== step.trim())).toEqual([]);
    });

    it('never gives the prefix back as part of a rollout', async () => {
      const policy = await open();
      const { prefix } = requests.continued;
      const { rollouts } = await policy.sample(requests.continued);
      for (const { steps } of rollouts) {
        expect(steps.slice(0, prefix.length)).not.toEqual(prefix);
      }
      expect(rollouts.some((rollout) => rollout.steps.length > 0)).toBe(true);
    });

    it('gives at most one step when asked for a step', async () => {
      const policy = await open();
      const { rollouts } = await policy.sample(requests.step);
      expect(rollouts.length).toBe(requests.step.seeds.length);
      for (const rollout of rollouts) expect(rollout.steps.length).toBeLessThanOrEqual(1);
      expect(rollouts.some((rollout) => rollout.finish === 'step')).toBe(true);
    });

    it('counts at least one token for every rollout', async () => {
      const policy = await open();
      const { rollouts } = await policy.sample(requests.whole);
      for (const { policyTokens } of rollouts) {
        expect(Number.isInteger(policyTokens)).toBe(true);
        expect(policyTokens).toBeGreaterThanOrEqual(1);
      }
    });

    it('says "length" where the token limit cut a solution', async () => {
      const policy = await open();
      const { rollouts } = await policy.sample(requests.truncated);
      expect(rollouts.map((rollout) => rollout.finish)).toEqual(rollouts.map(() => 'length'));
      expect(rollouts.length).toBeGreaterThan(0);
    });

    it.runIf(subject.deterministic)('answers the same request with the same reply', async () => {
      const first = await (await open()).sample(requests.continued);
      const second = await (await open()).sample(requests.continued);
      expect(second).toEqual(first);
    });

    it.runIf(subject.deterministic)('keeps the order of the seeds', async () => {
      const together = await (await open()).sample(requests.whole);
      const policy = await open();
      const apart = [];
      for (const seed of requests.whole.seeds) {
        apart.push(...(await policy.sample({ ...requests.whole, seeds: [seed] })).rollouts);
      }
      const steps = (rollouts: readonly { steps: readonly string[] }[]) =>
        rollouts.map((rollout) => rollout.steps);
      expect(steps(apart)).toEqual(steps(together.rollouts));
    });

    it('refuses a call whose signal has aborted, with the reason', async () => {
      const policy = await open();
      const reason = new Error('not wanted any more');
      const call = policy.sample(requests.whole, AbortSignal.abort(reason));
      await expect(call).rejects.toBe(reason);
    });

    it.runIf(subject.openSlow)('rejects promptly when its signal aborts', async () => {
      const policy = await open(subject.openSlow);
      const abort = new AbortController();
      const call = policy.sample(requests.whole, abort.signal);
      const reason = new Error('changed my mind');
      const startMs = performance.now();
      abort.abort(reason);
      await expect(call).rejects.toBe(reason);
      expect(performance.now() - startMs).toBeLessThan(10_000);
    });

    it('can be closed twice, and then refuses calls', async () => {
      const policy = await open();
      await policy.close();
      await policy.close();
      await expect(policy.sample(requests.whole)).rejects.toThrow();
    });
  });
}
