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

const scoreRequest = z.strictObject({
  id: z.string().min(1).max(200).optional(),
  question: z.string().regex(/\S/, 'expected a text'),
  images: z.array(z.string().min(1)).default([]).describe('data: URLs'),
  choices: z.array(z.string()).min(1).max(100).optional(),
  solutions: z.array(steps).min(1).max(256).describe('each a list of steps'),
  ...aggregationOptions.shape,
});

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
      const { solutions, aggregation, window } = request.body;
      const problem = await problemOf(service, request.body);
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

async function problemOf(
  { images, settings }: Service,
  { id, question, images: urls, choices, solutions }: z.infer<typeof scoreRequest>,
): Promise<Problem> {
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
