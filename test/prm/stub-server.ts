import type { ImageEncoder, ModelServer, PathHost, ScoredPath } from '../../prm/index.js';
import type { Problem, Step } from '../../search/types.js';

export const PROBLEM: Problem = { id: 'p', question: 'How many?', images: [] };

export const PICTURE = 'data:image/png;base64,iVBORw0KGgo=';
export const WITH_PICTURE: Problem = {
  ...PROBLEM,
  images: [{ source: PICTURE, location: PICTURE }],
};

/** Pictures that are data URLs already. */
export const images: ImageEncoder = { dataUrl: async (image) => image.location };

export interface StubCall {
  readonly path: string;
  // biome-ignore lint/suspicious/noExplicitAny: a request is looked at by tests, field by field
  readonly body: any;
  readonly affinity: string | undefined;
}

/** A model server in this process; what it answers is a function of the call and its number. */
export function stubServer(
  answer: (call: StubCall, index: number) => unknown,
): ModelServer & { readonly calls: StubCall[] } {
  const calls: StubCall[] = [];
  return {
    name: 'stub',
    calls,
    model: async () => 'm',
    async post(path, body, call = {}) {
      const made = { path, body, affinity: call.affinity };
      calls.push(made);
      return answer(made, calls.length - 1);
    },
    close: async () => {},
  };
}

/** A chat reply whose one token has these chances. */
export function tokenReply(
  chances: Readonly<Record<string, number>>,
  changes: Record<string, unknown> = {},
): unknown {
  const top = Object.entries(chances).map(([token, logprob]) => ({ token, logprob }));
  const content = [{ ...top[0], top_logprobs: top }];
  return {
    choices: [{ message: { content: top[0]?.token ?? '' }, logprobs: { content } }],
    usage: { prompt_tokens: 10, completion_tokens: 1 },
    ...changes,
  };
}

/** One path asked of a host, past batching and checks. */
export function scorePath(
  host: PathHost,
  steps: readonly Step[],
  problem: Problem = PROBLEM,
): Promise<ScoredPath> {
  const signal = new AbortController().signal;
  return host.scorePaths([{ problem, steps, signal }])[0] as Promise<ScoredPath>;
}
