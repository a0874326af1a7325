import { z } from 'zod';
import { contentHash, type Problem, SteptreeError } from '../../search/index.js';
import { aggregationOptions } from '../cli/aggregates.js';
import { bestOf, scoredSolution } from '../cli/score-file.js';
import { refuseBrokenImage } from './images.js';
import { refuseBrokenText } from './messages.js';
import { refuseWhenFull, requestLife } from './request-life.js';
import type { Service } from './service.js';
import type { ServiceApp } from './typed-app.js';

const steps = z.array(z.string().regex(/\S/, 'expected a text')).min(1).max(200);

/** As a line of `steptree score` is: one solution as `steps`, or several as `solutions`. */
const scoreRequest = z.strictObject({
  id: z.string().min(1).max(200).optional(),
  question: z.string().regex(/\S/, 'expected a text'),
  image: z.string().min(1).optional().describe('data: URL'),
  images: z.array(z.string().min(1)).optional().describe('data: URLs'),
  choices: z.array(z.string()).min(1).max(100).optional(),
  steps: steps.optional().describe('one solution'),
  solutions: z.array(steps).min(1).max(256).optional().describe('each a list of steps'),
  ...aggregationOptions.shape,
});

type ScoreRequest = z.infer<typeof scoreRequest>;

/** Step scores and aggregates of given solutions, as `steptree score` gives them. */
export function addScoreRoutes(app: ServiceApp, service: Service): void {
  const schema = {
    tags: ['Steptree'],
    summary: 'Step scores and every aggregate of given solutions',
    body: scoreRequest,
  };
  app.post('/v1/score', { schema, onRequest: refuseWhenFull(service) }, async (request, reply) => {
    const { scorer } = service.models;
    if (!scorer) {
      throw new SteptreeError(
        'SERVE_STRATEGY_UNAVAILABLE',
        'there is no reward model to score with; start the service with --prm',
      );
    }
    const life = requestLife(reply, service);
    try {
      const { aggregation, window } = request.body;
      const solutions = solutionsOf(request.body);
      const images = service.pending.counting(service.images, reply);
      const problem = await problemOf({ ...service, images }, request.body, solutions);
      const place = await service.admission.enter(request.client, life.signal);
      try {
        for (const { location } of problem.images) {
          await refuseBrokenImage(location, service.settings.server.maxImagePixels);
        }
        const scores = await scorer.score({ problem, paths: solutions }, life.signal);
        const paths = scores.paths.map((one) => scoredSolution(one, { aggregation, window }));
        service.metrics.judged({ prmTokens: scores.prmTokens, criticTokens: 0 });
        return {
          id: problem.id,
          prm: scorer.name,
          paths,
          best: bestOf(paths),
          usage: {
            prompt_tokens: scores.prmTokens,
            completion_tokens: 0,
            total_tokens: scores.prmTokens,
          },
        };
      } finally {
        place.leave();
      }
    } finally {
      life.end();
    }
  });
}

function solutionsOf({ steps: one, solutions }: ScoreRequest): readonly (readonly string[])[] {
  if ((one === undefined) !== (solutions === undefined)) return solutions ?? [one ?? []];
  throw new SteptreeError(
    'SERVE_REQUEST_INVALID',
    'give steps (one solution) or solutions (a list of them), one of the two',
    { param: 'solutions' },
  );
}

async function problemOf(
  { images, settings }: Service,
  { id, question, image, images: several = [], choices }: ScoreRequest,
  solutions: readonly (readonly string[])[],
): Promise<Problem> {
  const urls = [...(image === undefined ? [] : [image]), ...several];
  const texts = [question, ...(choices ?? []), ...solutions.flat()];
  for (const text of texts) refuseBrokenText(text, 'the text');
  const chars = texts.reduce((sum, { length }) => sum + length, 0);
  if (chars > settings.server.maxTextChars) {
    throw new SteptreeError(
      'SERVE_REQUEST_TOO_LARGE',
      `question and steps have ${chars} characters, more than ${settings.server.maxTextChars} (--max-text-chars); send less`,
    );
  }
  images.count(urls.length);
  const locations = await Promise.all(urls.map((url) => images.admit(url)));
  return {
    id: id ?? `score-${contentHash([question, ...locations]).slice(0, 16)}`,
    question,
    images: locations.map((location) => ({ source: location, location })),
    ...(choices ? { choices } : {}),
  };
}
