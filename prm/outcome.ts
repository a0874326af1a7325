/** One score for a whole solution, from reward models and from PRMs used once. */
import { z } from 'zod';
import { SteptreeError } from '../search/errors.js';
import type { Problem } from '../search/types.js';
import type { OutcomeOptions, PromptOptions, TokenLogitsOptions } from './options.js';
import { readPooling, rowScore } from './pooling.js';
import type { ImageEncoder, ModelServer, PathHost, PathJob, ScoredPath } from './ports.js';
import { escapeMarkers, questionText, systemMessage, withPictures } from './prompt.js';
import { createTokenLogitsHost, type TokenLogitsHost } from './token-logits.js';

export const OUTCOME_ROUTES = [
  'token-logits',
  'pooling',
  'classify',
  'score',
  'label-score',
] as const;

const classified = z.object({
  data: z.array(z.object({ probs: z.array(z.number()) })).length(1),
  usage: z.object({ prompt_tokens: z.number().nullish() }).nullish(),
});
const crossScored = z.object({
  data: z.array(z.object({ score: z.number() })).length(1),
  usage: z.object({ prompt_tokens: z.number().nullish() }).nullish(),
});
const labelScored = z.object({ scores: z.array(z.array(z.number())).length(1) });

/** A PRM asked once, with the whole solution as its one step: VL-PRM's "one-shot" scoring (arXiv
 *  2509.23250, section on test-time scaling), which its authors found better than step by step. */
export function oneShot(prm: TokenLogitsHost): TokenLogitsHost {
  return {
    ...hostFields(prm.name.replace('token-logits', 'outcome')),
    scorePaths: (jobs) =>
      prm
        .scorePaths(jobs.map((job) => ({ ...job, steps: [job.steps.join('\n\n')] })))
        .map(async (promise) => {
          const { scores, prmTokens } = await promise;
          return { scores: { steps: [], outcome: scores.steps[0] ?? Number.NaN }, prmTokens };
        }),
    stats: () => prm.stats(),
    close: () => prm.close(),
  };
}

/** An outcome reward model behind one of the routes that servers have for it:
 *  `pooling` (a scalar head at the last token) and `classify` of vLLM, `score` of vLLM (cross-encoders:
 *  question against solution), `label-score` (SGLang's `/v1/score`: two label tokens at the end).
 *  Jobs fail with SCORE_REPLY_INVALID, SCORE_ROW_INVALID and what server and encoder throw. */
export function createOutcomeHost(
  server: ModelServer,
  images: ImageEncoder,
  options: OutcomeOptions & PromptOptions & { readonly tokenLogits: TokenLogitsOptions },
): PathHost {
  const { route } = options;
  if (route === 'token-logits')
    return oneShot(
      createTokenLogitsHost(server, images, { ...options.tokenLogits, ...promptPart(options) }),
    );
  const ask = ROUTES[route];
  return {
    ...hostFields(`outcome ${server.name}`),
    scorePaths: (jobs) => jobs.map((job) => ask({ server, images, options, job })),
    close: () => server.close(),
  };
}

interface OutcomeCall {
  readonly server: ModelServer;
  readonly images: ImageEncoder;
  readonly options: OutcomeOptions & PromptOptions;
  readonly job: PathJob;
}

type OutcomeRoute = Exclude<(typeof OUTCOME_ROUTES)[number], 'token-logits'>;

const ROUTES: Readonly<Record<OutcomeRoute, (call: OutcomeCall) => Promise<ScoredPath>>> = {
  pooling: async (call) => {
    const { server, options } = call;
    const body = { messages: await conversation(call), ...taskField(options) };
    const { rows, promptTokens } = readPooling(await post(call, '../pooling', body), server.name);
    // One row, or one per token: the head is read at the end.
    const last = Array.isArray(rows.at(-1)) || rows.length === 1 ? rows.at(-1) : rows;
    const { activation } = options;
    return outcome(
      rowScore(last, { width: 1, positive: 0, activation }, server.name),
      promptTokens,
    );
  },
  classify: async (call) => {
    const { server, options } = call;
    const reply = await post(call, '../classify', { messages: await conversation(call) });
    const parsed = classified.safeParse(reply);
    const probability = parsed.data?.data[0]?.probs[options.class];
    if (probability === undefined) {
      throw replyError(server, `data[0].probs[${options.class}]`, '/classify');
    }
    return outcome(activated(probability, options), parsed.data?.usage?.prompt_tokens);
  },
  score: async (call) => {
    const { server, options, job } = call;
    const body = { text_1: questionText(job.problem), text_2: solutionText(job) };
    const parsed = crossScored.safeParse(await post(call, '../score', body));
    const score = parsed.data?.data[0]?.score;
    if (score === undefined) throw replyError(server, 'data[0].score', '/score');
    return outcome(activated(score, options), parsed.data?.usage?.prompt_tokens);
  },
  'label-score': async (call) => {
    const { server, options, job } = call;
    const body = {
      query: `${questionText(job.problem)}\n\n`,
      items: [`${solutionText(job)}${options.suffix}`],
      label_token_ids: options.labelIds,
      apply_softmax: true,
    };
    const parsed = labelScored.safeParse(await post(call, '/score', body));
    const row = parsed.data?.scores[0];
    if (row === undefined) throw replyError(server, 'scores[0]', '/v1/score');
    return outcome(rowScore(row, { width: 2, positive: 0, activation: 'none' }, server.name), 0);
  },
};

function promptPart({ systemPrompt, images }: PromptOptions): PromptOptions {
  return { images, ...(systemPrompt === undefined ? {} : { systemPrompt }) };
}

function hostFields(name: string) {
  return { name, scores: 'outcome', batchSize: 1 } as const;
}

async function post(
  { server, job }: OutcomeCall,
  path: string,
  fields: Record<string, unknown>,
): Promise<unknown> {
  const body = { model: await server.model(job.signal), ...fields };
  return server.post(path, body, { affinity: job.problem.id, signal: job.signal });
}

async function conversation({ images, options, job }: OutcomeCall) {
  const { problem } = job;
  const pictures = options.images ? await picturesOf(problem, images) : [];
  return [
    ...systemMessage(options.systemPrompt ?? ''),
    withPictures('user', pictures, escapeMarkers(questionText(problem), [])),
    { role: 'assistant', content: solutionText(job) },
  ];
}

function picturesOf(problem: Problem, images: ImageEncoder): Promise<string[]> {
  return Promise.all(problem.images.map((image) => images.dataUrl(image)));
}

function solutionText({ steps }: PathJob): string {
  return escapeMarkers(steps.join('\n\n'), []);
}

function taskField({ task }: OutcomeOptions): Record<string, unknown> {
  return task === '' ? {} : { task };
}

/** Rewards on a scale of their own become scores by the logistic function. */
function activated(value: number, { activation }: OutcomeOptions): number {
  return activation === 'sigmoid' ? 1 / (1 + Math.exp(-value)) : value;
}

function outcome(score: number, promptTokens: number | null | undefined): ScoredPath {
  return { scores: { steps: [], outcome: score }, prmTokens: promptTokens ?? 0 };
}

function replyError(server: ModelServer, field: string, route: string): SteptreeError {
  return new SteptreeError(
    'SCORE_REPLY_INVALID',
    `${server.name} replied to ${route} without ${field}; check --outcome-route, and that the server runs a reward model`,
    { server: server.name, route },
  );
}
