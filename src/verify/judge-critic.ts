/** A chat server as judge of steps: it reads a whole solution and points at its first wrong step. */
import { z } from 'zod';
import {
  askForJson,
  type Complaint,
  isComplaint,
  readJson,
  type SchemaDialect,
} from '../../prm/json-reply.js';
import { withPictures } from '../../prm/prompt.js';
import { SteptreeError } from '../../search/errors.js';
import type { Critic, Critique, Problem, Step } from '../../search/types.js';
import { createImageEncoder } from '../policy/openai/images.js';
import { createChatServer, type JudgeContext } from './judge.js';
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
  /** Counts of each replica of the judge. */
  replicas(): readonly object[];
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
  const dialect: SchemaDialect = { takesSchema: true };
  return {
    name: server.name,
    replicas: () => server.replicas(),
    close: () => server.close(),
    critique: async (problem, steps, signal) => {
      const images = options.judgeImages
        ? await Promise.all(problem.images.map((image) => encoder.dataUrl(image)))
        : [];
      return askForJson<unknown, string, Critique>(
        {
          messages: critiqueMessages(problem, steps, images),
          ask: (conversation, format) =>
            server.chat(
              {
                messages: conversation,
                maxTokens: options.judgeMaxTokens,
                affinity: problem.id,
                ...(format === undefined ? {} : { responseFormat: format }),
              },
              signal,
            ),
          textOf: (reply) => reply,
          read: (reply) => readCritique(reply, steps.length),
          responseFormat,
          dialect,
          giveUp: (complaint) => replyError(server.name, problem.id, complaint),
        },
        (role, content) => ({ role, content }),
      );
    },
  };
}

function replyError(name: string, problemId: string, complaint: string): SteptreeError {
  return new SteptreeError(
    'JUDGE_REPLY_INVALID',
    `${name} gave no usable judgement of problem "${problemId}", twice: ${complaint}; expected {"steps": [{"kind", "analysis", "correct"}]}. Raise --judge-max-tokens, or take a judge that can write JSON`,
    { problemId, complaint },
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
  return [{ role: 'system', content: systemPrompt }, withPictures('user', images, text)];
}

/** Reads a judgement out of a reply that may wrap its JSON in words or a code fence. */
function readCritique(reply: string, stepCount: number): Critique | Complaint {
  const json = readJson(reply);
  if (isComplaint(json)) return json;
  const parsed = parseJudged(json.value);
  if (isComplaint(parsed)) return parsed;
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

function parseJudged(value: unknown): z.infer<typeof judgedSteps> | Complaint {
  // Some models leave the outer object away.
  const parsed = judgedSteps.safeParse(Array.isArray(value) ? { steps: value } : value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  return { complaint: `${issue?.path.join('.') || 'the object'}: ${issue?.message}` };
}
