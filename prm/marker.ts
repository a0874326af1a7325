/** Step scores of a local marker model, such as an ONNX folder. */
import type { PromptOptions, TokenLogitsOptions } from './options.js';
import type { MarkerModel, PathHost } from './ports.js';
import { markedPath } from './templates.js';

export interface MarkerHost extends PathHost {
  stats(): {
    /** Tokens of all paths read, and of these the ones that were computed and not cached. */
    readonly pathTokens: number;
    readonly computedTokens: number;
  };
}

/** P(positive) at the marker after each step, all steps in one pass, as MM-PRM (arXiv 2505.13427)
 *  is trained. Parts of a path that its parent had already are the model's to reuse. */
export function createMarkerHost(
  model: MarkerModel,
  options: Pick<TokenLogitsOptions, 'marker'> & PromptOptions,
): MarkerHost {
  const stats = { pathTokens: 0, computedTokens: 0 };
  return {
    name: model.name,
    scores: 'steps',
    batchSize: model.batchSize,
    scorePaths: (jobs) =>
      model
        .read(
          jobs.map(({ problem, steps, signal }) => ({
            ...markedPath(options.images ? problem : { ...problem, images: [] }, steps, {
              ...options,
              template: 'plain',
              tokens: [],
            }),
            signal,
          })),
        )
        .map(async (promise) => {
          const { probabilities, computedTokens, pathTokens } = await promise;
          stats.pathTokens += pathTokens;
          stats.computedTokens += computedTokens;
          return { scores: { steps: probabilities }, prmTokens: computedTokens };
        }),
    stats: () => ({ ...stats }),
    close: () => model.close(),
  };
}
