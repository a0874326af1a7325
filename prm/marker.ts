/** Step scores of a local marker model, such as an ONNX folder. */
import type { PromptOptions, TokenLogitsOptions } from './options.js';
import type { MarkerModel, PathHost } from './ports.js';
import { markedPath } from './templates.js';

/** P(positive) at the marker after each step, all steps in one pass, as MM-PRM (arXiv 2505.13427)
 *  is trained. Parts of a path that its parent had already are the model's to reuse. */
export function createMarkerHost(
  model: MarkerModel,
  options: Pick<TokenLogitsOptions, 'marker'> & Pick<PromptOptions, 'systemPrompt'>,
): PathHost {
  return {
    name: model.name,
    scores: 'steps',
    batchSize: model.batchSize,
    scorePaths: (jobs) =>
      model
        .read(
          jobs.map(({ problem, steps, signal }) => ({
            ...markedPath(problem, steps, { ...options, template: 'plain', tokens: [] }),
            signal,
          })),
        )
        .map(async (promise) => {
          const { probabilities, computedTokens } = await promise;
          return { scores: { steps: probabilities }, prmTokens: computedTokens };
        }),
    close: () => model.close(),
  };
}
