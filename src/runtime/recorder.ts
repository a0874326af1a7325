import type { ReplyStore, SampleReply, Step } from '../../search/types.js';
import { formatRecordedReply } from '../policy/recording.js';
import type { SkippingPolicy } from './scheduler.js';

/** Notes every reply of a policy that searches use, asked for or stored, in the order in which they
 *  were asked for, for `recorded:FILE`. A reward model that samples is not asked for scores that are
 *  stored, so its rollouts are missing from the recording of a search that was resumed. */
export class ReplyRecorder {
  private readonly calls: { problemId: string; prefix: readonly Step[]; reply?: SampleReply }[] =
    [];

  /** The same policy, listened to. Rollouts of a reward model that samples are replies too. */
  policy(policy: SkippingPolicy): SkippingPolicy {
    return {
      name: policy.name,
      sample: async (request, signal) => {
        const call = { problemId: request.problem.id, prefix: request.prefix };
        const place = this.calls.push(call) - 1;
        const reply = await policy.sample(request, signal);
        this.calls[place] = { ...call, reply };
        return reply;
      },
      skip: (problemId, prefix, count) => policy.skip?.(problemId, prefix, count),
    };
  }

  /** The same store, listened to: a stored reply takes the place of a call. */
  store(problemId: string, store: ReplyStore): ReplyStore {
    return {
      get: (key) => {
        const value = store.get(key);
        if (value !== undefined && key.startsWith('sample ')) {
          const reply = value as SampleReply & { readonly prefix: readonly Step[] };
          this.calls.push({ problemId, prefix: reply.prefix, reply });
        }
        return value;
      },
      put: (key, value) => store.put(key, value),
    };
  }

  /** The recording so far, as lines of a file. */
  text(): string {
    return this.calls
      .flatMap(({ problemId, prefix, reply }) =>
        reply ? [formatRecordedReply(problemId, prefix, reply)] : [],
      )
      .join('');
  }
}
