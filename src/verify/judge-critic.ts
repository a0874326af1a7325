/** A chat server as judge of steps: it reads a whole solution and points at its first wrong step. */
import { z } from 'zod';
import { errorMessage, SteptreeError } from '../../search/errors.js';
import type { Critic, Critique, Problem, Step } from '../../search/types.js';
import { createImageEncoder } from '../policy/openai/images.js';
import { type ChatServer, createChatServer, type JudgeContext } from './judge.js';
import type { JudgeOptions } from './options.js';

const systemPrompt =
  'You check solutions of mathematical problems step by step. For each step, in order, write what ' +
  'kind of step it is ("perception" if it mainly reads something off the picture, "reasoning" if it ' +
  'mainly computes or concludes), one or two sentences of analysis, and whether it is correct: true ' +
  'to the picture and the problem, and following from the steps before it. Stop after the first ' +
  'step that is not correct. Reply with JSON only, in this form: {"steps": [{"kind": "perception", ' +
  '"analysis": "…", "correct": true}]}';

const judgedStep = z.object({
  kind: z.enum(['perception', 'reasoning']).optional().catch(undefined),
  analysis: z.string().optional().catch(undefined),
  correct: z.boolean(),
});
const judgedSteps = z.object({ steps: z.array(judgedStep).min(1) });

const responseFormat = {
  type: 'json_schema',
  json_schema: {
    name: 'step_judgements',
    strict: true,
    schema: {
      type: 'object',
      additionalProperties: false,
      required: ['steps'],
      properties: {
        steps: {
          type: 'array',
          items: {
            type: 'object',
            additionalProperties: false,
            required: ['kind', 'analysis', 'correct'],
            properties: {
              kind: { type: 'string', enum: ['perception', 'reasoning'] },
              analysis: { type: 'string' },
              correct: { type: 'boolean' },
            },
          },
        },
      },
    },
  },
} as const;

export interface JudgeCritic extends Critic {
  /** Ends calls in flight. Idempotent. */
  close(): Promise<void>;
}

/** The judge of VL-PRM's hybrid labels (arXiv 2509.23250): one analysis per step up to the first error.
 *  Asks for a JSON schema where the server takes one, reads what came with tolerance, and asks once
 *  more where that fails.
 *  @param url of an OpenAI-compatible chat server, with vision unless `judgeImages` is off
 *  @throws SteptreeError POLICY_URL_INVALID, POLICY_API_KEY_MISSING; from `critique` also
 *  JUDGE_REPLY_INVALID, POLICY_CALL_FAILED, POLICY_CALL_REFUSED, POLICY_MODEL_UNKNOWN,
 *  POLICY_IMAGE_UNREADABLE */
export function createJudgeCritic(
  url: string,
  options: JudgeOptions,
  context: JudgeContext = {},
): JudgeCritic {
  const server = createChatServer(url, options, context);
  const encoder = createImageEncoder(64e6);
  // Found out by the first refusal, then kept to.
  const dialect = { takesSchema: true };
  return {
    name: server.name,
    close: () => server.close(),
    critique: async (problem, steps, signal) => {
      const images = options.judgeImages
        ? await Promise.all(problem.images.map((image) => encoder.dataUrl(image)))
        : [];
      const messages = critiqueMessages(problem, steps, images);
      const ask = (conversation: readonly unknown[]) =>
        chat(server, dialect, conversation, options.judgeMaxTokens, signal);
      const reply = await ask(messages);
      const first = readCritique(reply, steps.length);
      if (!('complaint' in first)) return first;
      const repaired = readCritique(
        await ask([...messages, ...repairMessages(reply, first.complaint)]),
        steps.length,
      );
      if (!('complaint' in repaired)) return repaired;
      throw new SteptreeError(
        'JUDGE_REPLY_INVALID',
        `${server.name} gave no usable judgement of problem "${problem.id}", twice: ${repaired.complaint}; expected {"steps": [{"kind", "analysis", "correct"}]}. Raise --judge-max-tokens, or take a judge that can write JSON`,
        { problemId: problem.id, complaint: repaired.complaint },
      );
    },
  };
}

async function chat(
  server: ChatServer,
  dialect: { takesSchema: boolean },
  messages: readonly unknown[],
  maxTokens: number,
  signal: AbortSignal | undefined,
): Promise<string> {
  const request = { messages, maxTokens };
  if (!dialect.takesSchema) return server.chat(request, signal);
  try {
    return await server.chat({ ...request, responseFormat }, signal);
  } catch (error) {
    if (!isFieldRefused(error)) throw error;
    const reply = await server.chat(request, signal);
    // Only now it is known that the schema was what the server disliked.
    dialect.takesSchema = false;
    return reply;
  }
}

function isFieldRefused(error: unknown): boolean {
  return (
    error instanceof SteptreeError &&
    error.code === 'POLICY_CALL_REFUSED' &&
    (error.facts.status === 400 || error.facts.status === 422 || error.facts.status === 501)
  );
}

function critiqueMessages(
  problem: Problem,
  steps: readonly Step[],
  images: readonly string[],
): unknown[] {
  const numbered = steps.map((step, index) => `Step ${index + 1}: ${step}`).join('\n\n');
  const answer = problem.answer === undefined ? [] : [`Reference answer:\n${problem.answer}`];
  const text = [
    `Problem:\n${problem.question}`,
    ...answer,
    `Solution in ${steps.length} ${steps.length === 1 ? 'step' : 'steps'}:\n\n${numbered}`,
  ].join('\n\n');
  const pictures = images.map((url) => ({ type: 'image_url', image_url: { url } }));
  return [
    { role: 'system', content: systemPrompt },
    {
      role: 'user',
      content: pictures.length === 0 ? text : [...pictures, { type: 'text', text }],
    },
  ];
}

function repairMessages(reply: string, complaint: string): unknown[] {
  return [
    { role: 'assistant', content: reply },
    {
      role: 'user',
      content: `That could not be used: ${complaint}. Reply again with the JSON object alone.`,
    },
  ];
}

/** Reads a judgement out of a reply that may wrap its JSON in words or a code fence. */
function readCritique(reply: string, stepCount: number): Critique | { complaint: string } {
  const json = findObject(reply);
  if (json === undefined) return { complaint: 'it holds no complete JSON object' };
  const parsed = parseJudged(json);
  if ('complaint' in parsed) return parsed;
  const { steps } = parsed;
  const wrong = steps.findIndex((step) => !step.correct);
  if (wrong < 0 && steps.length !== stepCount) {
    return { complaint: `it judges ${steps.length} of ${stepCount} steps and finds no error` };
  }
  if (wrong >= stepCount) return { complaint: `there is no step ${wrong + 1}` };
  // A judge may go on behind its first error; only what leads up to it counts.
  const judged = wrong < 0 ? steps : steps.slice(0, wrong + 1);
  const kinds = judged.flatMap((step) => step.kind ?? []);
  const analyses = judged.map((step) => step.analysis ?? '');
  return {
    firstError: wrong < 0 ? null : wrong,
    ...(kinds.length === judged.length ? { kinds } : {}),
    ...(analyses.some((analysis) => analysis !== '') ? { analyses } : {}),
  };
}

function parseJudged(json: string): z.infer<typeof judgedSteps> | { complaint: string } {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    return { complaint: `its JSON is broken (${errorMessage(error)})` };
  }
  // Some models leave the outer object away.
  const parsed = judgedSteps.safeParse(Array.isArray(value) ? { steps: value } : value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  return { complaint: `${issue?.path.join('.') || 'the object'}: ${issue?.message}` };
}

/** The text from the first `{` or `[` to its partner, strings minded. */
function findObject(reply: string): string | undefined {
  const text = reply.split('</think>').at(-1) ?? '';
  const start = text.search(/\{\s*"|\[\s*\{/);
  if (start < 0) return undefined;
  let depth = 0;
  let inString = false;
  for (let index = start; index < text.length; index++) {
    const character = text[index];
    if (inString) {
      if (character === '\\') index++;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === '{' || character === '[') depth++;
    else if (character === '}' || character === ']') {
      depth--;
      if (depth === 0) return text.slice(start, index + 1);
    }
  }
  return undefined;
}
