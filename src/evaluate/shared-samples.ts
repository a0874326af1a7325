import { contentHash } from '../../search/rng.js';
import type { ReplyStore, Rollout, SampleReply, SampleRequest } from '../../search/types.js';
import type { SkippingPolicy } from '../runtime/scheduler.js';

/** The policy with every rollout stored by its prefix and seed. A context stores whole calls, so two
 *  methods that cut the same samples into other calls would pay twice, and a remote server, whose
 *  equal seeds give other texts, would deal them different luck.
 *
 *  Tokens of a prompt are those of the calls that were made. Calls for one prefix must not overlap.
 *  @param store of one problem and sampling */
export function sharedSamples(policy: SkippingPolicy, store: ReplyStore): SkippingPolicy {
  return {
    name: policy.name,
    async sample(request: SampleRequest, signal?: AbortSignal): Promise<SampleReply> {
      const { prefix, until, seeds } = request;
      const place = `rollout ${until} ${contentHash(prefix)}`;
      const keyOf = (seed: number) => `${place} ${seed}`;
      const missing = seeds.filter((seed) => store.get(keyOf(seed)) === undefined);
      let promptTokens = 0;
      let cachedTokens = 0;
      if (missing.length > 0) {
        const reply = await policy.sample({ ...request, seeds: missing }, signal);
        ({ promptTokens, cachedTokens } = reply);
        await Promise.all(missing.map((seed, i) => store.put(keyOf(seed), reply.rollouts[i])));
      }
      const rollouts = seeds.map((seed) => store.get(keyOf(seed)) as Rollout);
      return { rollouts, promptTokens, cachedTokens };
    },
    skip: (problemId, prefix, count) => policy.skip?.(problemId, prefix, count),
  };
}
