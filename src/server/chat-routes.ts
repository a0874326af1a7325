import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { SolveResult } from '../../search/index.js';
import { answerText, choiceFacts, chooseAnswers, finishReason, usageOf } from './answers.js';
import { type Chat, prepareChat, runChat } from './chat.js';
import { type ChatRequest, chatRequest } from './chat-schema.js';
import { errorBody, statusOf } from './errors.js';
import { loggedError } from './log.js';
import { refuseWhenFull, requestLife } from './request-life.js';
import type { Service } from './service.js';
import { EventStream } from './stream.js';
import { underCaller } from './telemetry.js';
import type { TraceEvent } from './traces.js';
import type { ServiceApp } from './typed-app.js';
import { STEP_SEPARATOR } from './watched-models.js';

const chatReply = z.looseObject({
  id: z.string(),
  object: z.literal('chat.completion'),
  created: z.int(),
  model: z.string(),
  choices: z.array(
    z.looseObject({
      index: z.int(),
      message: z.looseObject({ role: z.literal('assistant'), content: z.string() }),
      finish_reason: z.enum(['stop', 'length']),
      steptree: z
        .looseObject({})
        .describe('steps, step scores, candidates with votes, spend, warnings, trace id'),
    }),
  ),
  usage: z.looseObject({
    prompt_tokens: z.int().describe('read: the policy’s prompts, and all of reward models'),
    completion_tokens: z.int().describe('written: the policy’s, and all of critics'),
    total_tokens: z.int(),
  }),
});

type ChatReply = z.infer<typeof chatReply>;

export function addChatRoutes(app: ServiceApp, service: Service): void {
  const schema = {
    tags: ['OpenAI'],
    summary: 'Answers with a search strategy; a picture may stand in the messages',
    body: chatRequest,
    response: { 200: chatReply },
  };
  const onRequest = refuseWhenFull(service);
  const params = z.strictObject({ strategy: z.string().describe('a strategy’s name') });
  app.post('/v1/chat/completions', { schema, onRequest }, (request, reply) =>
    answer(service, request, reply, request.body),
  );
  app.post(
    '/v1/:strategy/chat/completions',
    { schema: { ...schema, params }, onRequest },
    (request, reply) => answer(service, request, reply, request.body, request.params.strategy),
  );
}

async function answer(
  service: Service,
  request: FastifyRequest,
  reply: FastifyReply,
  body: ChatRequest,
  strategy?: string,
): Promise<ChatReply | undefined> {
  const life = requestLife(reply, service);
  try {
    return await underCaller(request.headers, async () => {
      const images = service.pending.counting(service.images, reply);
      const chat = await prepareChat({ ...service, images }, body, strategy, request.client);
      if (chat.traceId !== null) reply.header('x-steptree-trace', chat.traceId);
      if (body.stream) {
        await stream(service, chat, request, reply, life.signal);
        return undefined;
      }
      const result = await runChat(service, chat, request.client, life.signal);
      logContent(service, request, chat, result);
      return completion(chat, result);
    });
  } finally {
    life.end();
  }
}

function completion(chat: Chat, result: SolveResult): ChatReply {
  const created = Math.floor(chat.trace.createdMs / 1000);
  return {
    id: `chatcmpl-${chat.id}`,
    object: 'chat.completion',
    created,
    model: chat.plan.model,
    choices: choicesOf(chat, result).map(({ text, finish, facts }, index) => {
      return {
        index,
        message: { role: 'assistant', content: text },
        finish_reason: finish,
        logprobs: null,
        steptree: facts,
      };
    }),
    usage: usageOf(result.usage),
  };
}

/** At least one, also where no solution was begun: then its text is empty, and its facts say why. */
function choicesOf(chat: Chat, result: SolveResult) {
  const { plan, answers, traceId: trace } = chat;
  const chosen = chooseAnswers(result, plan.options.selection, answers);
  const missing =
    chosen.length < answers
      ? [`only ${chosen.length} of n = ${answers} answers: the search found no more solutions`]
      : [];
  return (chosen.length === 0 ? [null] : chosen).map((index) => {
    const candidate = index === null ? undefined : result.candidates[index];
    return {
      steps: candidate?.steps ?? [],
      text: answerText(candidate),
      finish: finishReason(candidate),
      facts: choiceFacts(result, index, { plan, trace, warnings: missing }),
    };
  });
}

/** Progress as comments while the search runs, then the chosen answer step by step as deltas. What is
 *  refused is refused before the first byte, with its status. */
async function stream(
  service: Service,
  chat: Chat,
  request: FastifyRequest,
  reply: FastifyReply,
  signal: AbortSignal,
): Promise<void> {
  service.admission.check();
  const events = new EventStream(reply);
  const stopListening = chat.trace.listen(progressComments(events));
  try {
    const result = await runChat(service, chat, request.client, signal);
    logContent(service, request, chat, result);
    for (const chunk of chunks(chat, result)) events.data(chunk);
    events.data('[DONE]');
  } catch (error) {
    service.metrics.failed(errorBody(error, request.id).error.code);
    logFailure(service, request, error);
    events.data(errorBody(error, request.id));
  } finally {
    stopListening();
    events.end();
  }
}

const PROGRESS_MS = 200;

function progressComments(events: EventStream): (event: TraceEvent) => void {
  let toldMs = Number.NEGATIVE_INFINITY;
  return (event) => {
    if (event.type !== 'usage' || performance.now() - toldMs < PROGRESS_MS) return;
    toldMs = performance.now();
    const { rollouts, policyTokens, prmTokens } = event.usage;
    const facts = { rollouts, policyTokens, prmTokens, elapsedMs: event.elapsedMs };
    events.comment(`progress ${JSON.stringify(facts)}`);
  };
}

function* chunks(chat: Chat, result: SolveResult) {
  const head = {
    id: `chatcmpl-${chat.id}`,
    object: 'chat.completion.chunk',
    created: Math.floor(chat.trace.createdMs / 1000),
    model: chat.plan.model,
  };
  const withUsage = chat.body.stream_options?.include_usage === true;
  const chunk = (index: number, delta: object, more: object = {}) => ({
    ...head,
    choices: [{ index, delta, logprobs: null, finish_reason: null, ...more }],
    ...(withUsage ? { usage: null } : {}),
  });
  for (const [index, choice] of choicesOf(chat, result).entries()) {
    yield chunk(index, { role: 'assistant', content: '' });
    for (const [place, step] of choice.steps.entries()) {
      yield chunk(index, { content: place === 0 ? step : STEP_SEPARATOR + step });
    }
    yield chunk(index, {}, { finish_reason: choice.finish, steptree: choice.facts });
  }
  if (withUsage) yield { ...head, choices: [], usage: usageOf(result.usage) };
}

/** Only where the operator asks for it. */
function logContent(
  { settings }: Service,
  { log }: FastifyRequest,
  { trace }: Chat,
  result: SolveResult,
): void {
  if (!settings.server.logContent) return;
  const { question } = trace.facts.problem;
  log.info({ trace: trace.facts.id, question, answer: result.answer }, 'content');
}

function logFailure({ settings }: Service, { log }: FastifyRequest, error: unknown): void {
  if (statusOf(error) < 500) return;
  log.error(loggedError(error, settings.server.logContent), 'stream failed');
}
