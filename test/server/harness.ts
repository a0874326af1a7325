import type { AddressInfo } from 'node:net';
import { afterEach } from 'vitest';
import { NO_BUDGET, type PolicyModel, type Rollout, type Step } from '../../search/index.js';
import { samplingOptions } from '../../src/config/options.js';
import { ScheduledPolicy } from '../../src/runtime/scheduler.js';
import { createService, type RunningService, type ServiceParts } from '../../src/server/app.js';
import { KeyRing } from '../../src/server/keys.js';
import { serverOptions } from '../../src/server/options.js';
import type { ServiceModels } from '../../src/server/service.js';
import { fakePolicy, lastStepGrouper } from '../support/fakes.js';

/** Every third seed is wrong; the wrong answer is worked out in one step less. */
export const mixedAnswers = (_prefix: readonly Step[], _index: number, seed: number): Rollout => {
  const steps =
    seed % 3 === 0 ? ['hasty', 'Answer: 41'] : ['look', `think ${seed % 5}`, 'Answer: 42'];
  return { steps, finish: 'end', policyTokens: 10 };
};

export function fakeModels(
  changes: Partial<ServiceModels> & {
    readonly asked?: PolicyModel;
    readonly takesTurns?: boolean;
  } = {},
): ServiceModels {
  const { asked = fakePolicy(mixedAnswers), takesTurns = false, ...rest } = changes;
  return {
    host: {
      name: 'openai:fake-vlm',
      takesTurns,
      stats: async () => ({}),
      describe: () => ({ host: 'fake' }),
    },
    policy: new ScheduledPolicy(asked, 1000),
    grouper: lastStepGrouper,
    ...rest,
  };
}

export type ServiceChanges = Partial<Omit<ServiceParts, 'settings'>> & {
  readonly server?: Record<string, unknown>;
  readonly sampling?: Record<string, unknown>;
  readonly budget?: Record<string, number>;
};

const open: RunningService[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((service) => service.drain()));
});

export async function startService(changes: ServiceChanges = {}): Promise<RunningService> {
  const { server = {}, sampling = {}, budget = {}, ...parts } = changes;
  const running = await createService({
    models: fakeModels(),
    keys: new KeyRing('', () => {}),
    version: '0.0.0-test',
    jobs: null,
    ...parts,
    settings: {
      server: serverOptions.parse({ drainSeconds: 0, ...server }),
      sampling: samplingOptions.parse(sampling),
      budget: { ...NO_BUDGET, ...budget },
      seed: 0,
    },
  });
  open.push(running);
  return running;
}

/** Listens on a free port. @returns the base URL without `/v1` */
export async function listen({ app }: RunningService): Promise<string> {
  await app.listen({ host: '127.0.0.1', port: 0 });
  return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
}

export const ask = (text: string, more: Record<string, unknown> = {}) => ({
  model: 'steptree/majority',
  messages: [{ role: 'user', content: text }],
  ...more,
});

export async function post(
  { app }: RunningService,
  body: unknown,
  url = '/v1/chat/completions',
  headers: Record<string, string> = {},
) {
  const reply = await app.inject({
    method: 'POST',
    url,
    headers: { host: 'localhost', 'content-type': 'application/json', ...headers },
    payload: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: reply.statusCode, body: reply.json(), headers: reply.headers };
}

/** A picture of one colour. */
export async function png(width = 4, height = 3): Promise<string> {
  const { default: sharp } = await import('sharp');
  const picture = sharp({ create: { width, height, channels: 3, background: '#f80' } });
  return `data:image/png;base64,${(await picture.png().toBuffer()).toString('base64')}`;
}
