import { z } from 'zod';
import { SteptreeError } from '../../search/errors.js';
import { brief } from './errors.js';
import type { Service } from './service.js';
import type { ServiceApp } from './typed-app.js';

/** Health, metrics and the list of models. */
export function addSystemRoutes(
  app: ServiceApp,
  service: Service,
  {
    state,
    version,
  }: { readonly state: { readonly isDraining: boolean }; readonly version: string },
): void {
  const tags = ['System'];
  const createdSeconds = Math.floor(Date.now() / 1000);
  // Open to all, so it says nothing but that the process answers.
  app.get('/health', { schema: { tags, summary: 'Whether the process answers' } }, async () => {
    return { status: 'ok', version };
  });
  app.get(
    '/ready',
    { schema: { tags, summary: 'Whether requests are taken: 503 while the service drains' } },
    async (_request, reply) => {
      reply.code(state.isDraining ? 503 : 200);
      return { status: state.isDraining ? 'draining' : 'ready' };
    },
  );
  app.get('/metrics', { schema: { tags, summary: 'Prometheus' } }, async (_request, reply) => {
    const { registry } = service.metrics;
    reply.type(registry.contentType);
    return registry.metrics();
  });
  const shown = (id: string) => {
    return { id, object: 'model', created: createdSeconds, owned_by: 'steptree' };
  };
  app.get('/v1/models', { schema: { tags: ['OpenAI'], summary: 'Strategies' } }, async () => {
    return { object: 'list', data: service.catalogue.models.map(shown) };
  });
  app.get(
    '/v1/models/*',
    {
      schema: {
        tags: ['OpenAI'],
        summary: 'A strategy by its name, whose slash may be encoded or not',
        params: z.strictObject({ '*': z.string() }),
      },
    },
    async ({ params: { '*': id } }) => {
      if (service.catalogue.models.includes(id)) return shown(id);
      throw new SteptreeError(
        'SERVE_MODEL_UNKNOWN',
        `there is no model "${brief(id)}"; GET /v1/models lists them`,
        { param: 'model' },
      );
    },
  );
}
