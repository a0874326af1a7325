/** A chat model that judges every step in words and rewrites the first wrong one. */
import { z } from 'zod';
import { SteptreeError } from '../search/errors.js';
import type { Critic, Critique, Problem, Step, StepFinding } from '../search/types.js';
import { type ChatReply, chat, readPair, type WrittenToken } from './chat.js';
import { pathKey } from './content-key.js';
import {
  askForJson,
  type Complaint,
  isComplaint,
  readJson,
  type SchemaDialect,
} from './json-reply.js';
import { LruMap } from './lru.js';
import type { CriticOptions } from './options.js';
import type { ImageEncoder, ModelServer, PathHost } from './ports.js';
import {
  type ChatMessage,
  escapeMarkers,
  numberedSteps,
  questionText,
  systemMessage,
  withPictures,
} from './prompt.js';

const criticPrompt =
  'You check solutions of mathematical problems with pictures, step by step. For every step, in ' +
  'order, write its intent (what it sets out to do), its visual alignment (whether it agrees with ' +
  'the picture), its soundness (whether it follows from the problem and the steps before it, and ' +
  'computes right), a verdict, "Correct" or "Incorrect", and the probability from 0 to 1 that the ' +
  'step is correct. If a step is incorrect, write as correction what the first incorrect step ' +
  'should say instead: that one step alone, in the style of the solution; else write null. Reply ' +
  'with JSON only, in this form: {"steps": [{"intent": "…", "visual_alignment": "…", "soundness": ' +
  '"…", "verdict": "Correct", "probability": 0.9}], "correction": null}';

const VERDICTS = ['Correct', 'Incorrect'] as const;

const finding = z.object({
  intent: z.string().optional().catch(undefined),
  visual_alignment: z.string().optional().catch(undefined),
  soundness: z.string().optional().catch(undefined),
  verdict: z.enum(VERDICTS),
  probability: z.number().min(0).max(1).optional(),
});
const findings = z.object({
  steps: z.array(finding),
  correction: z.string().nullish().catch(undefined),
});
type RawFindings = z.infer<typeof findings>;

const words = { type: 'string' } as const;
const responseFormat = {
  type: 'json_schema',
  json_schema: {
    name: 'step_critique',
    strict: true,
    schema: {
      type: 'object',
      additionalProperties: false,
      required: ['steps', 'correction'],
      properties: {
        steps: {
          type: 'array',
          items: {
            type: 'object',
            additionalProperties: false,
            required: ['intent', 'visual_alignment', 'soundness', 'verdict', 'probability'],
            properties: {
              intent: words,
              visual_alignment: words,
              soundness: words,
              verdict: { type: 'string', enum: VERDICTS },
              probability: { type: 'number' },
            },
          },
        },
        correction: { type: ['string', 'null'] },
      },
    },
  },
} as const;

/** A critic that is a scorer too: each step's P(correct) is its score. */
export interface CriticHost extends Critic, PathHost {}

/** The critic of GM-PRM (arXiv 2508.04088): per step intent, visual alignment, soundness and verdict,
 *  and the first wrong step rewritten. A step's probability is that of the verdict's token where
 *  the server gives log-probabilities (the paper's "Correct" token), else what the critic states.
 *  It never sees the gold answer.
 *  @throws from `critique`, and jobs fail with: SteptreeError CRITIC_REPLY_INVALID after one repair,
 *  SCORE_REPLY_INVALID, and what the server and the encoder throw */
export function createCriticHost(
  server: ModelServer,
  images: ImageEncoder,
  options: CriticOptions,
): CriticHost {
  const dialect: SchemaDialect = { takesSchema: true };
  const known = new LruMap<Critique>(options.knownCritiques);
  const name = `critic ${server.name}`;

  const critique = async (
    problem: Problem,
    steps: readonly Step[],
    signal?: AbortSignal,
  ): Promise<Critique> => {
    signal?.throwIfAborted();
    const key = pathKey(problem, steps);
    const earlier = known.get(key);
    if (earlier) return earlier;
    let criticTokens = 0;
    const ask = async (messages: readonly ChatMessage[], format?: unknown) => {
      const fields = {
        ...(format === undefined ? {} : { response_format: format }),
        ...(options.probability === 'stated'
          ? {}
          : { logprobs: true, top_logprobs: options.topLogprobs }),
      };
      const call = { affinity: problem.id, signal };
      const reply = await chat(server, { messages, maxTokens: options.maxTokens, fields }, call);
      criticTokens += reply.computedTokens;
      return reply;
    };
    const judged = await askForJson<ChatMessage, ChatReply, Critique>(
      {
        messages: await critiqueMessages(problem, steps, images, options),
        ask,
        textOf: (reply) => reply.text,
        read: (reply) => readCritique(reply, steps, options.probability),
        responseFormat,
        dialect,
        giveUp: (complaint) => replyError(name, problem.id, complaint),
      },
      (role, content) => ({ role, content }),
    );
    const complete = { ...judged, criticTokens };
    known.set(key, complete);
    return complete;
  };

  return {
    name,
    scores: 'steps',
    batchSize: 1,
    critique,
    scorePaths: (jobs) =>
      jobs.map(async ({ problem, steps, signal }) => {
        const remembered = known.get(pathKey(problem, steps)) !== undefined;
        const { findings: found = [], criticTokens = 0 } = await critique(problem, steps, signal);
        return {
          scores: { steps: found.map((one) => one.probability) },
          prmTokens: remembered ? 0 : criticTokens,
        };
      }),
    close: () => server.close(),
  };
}

async function critiqueMessages(
  problem: Problem,
  steps: readonly Step[],
  images: ImageEncoder,
  options: CriticOptions,
): Promise<ChatMessage[]> {
  const pictures = options.images
    ? await Promise.all(problem.images.map((image) => images.dataUrl(image)))
    : [];
  const count = `${steps.length} ${steps.length === 1 ? 'step' : 'steps'}`;
  const text = [
    `Problem:\n${questionText(problem)}`,
    `Solution in ${count}:\n\n${numberedSteps(steps)}`,
  ].join('\n\n');
  return [
    ...systemMessage(options.systemPrompt ?? criticPrompt),
    withPictures('user', pictures, escapeMarkers(text, [])),
  ];
}

/** Reads a critique, or says what is wrong with it. */
function readCritique(
  reply: ChatReply,
  steps: readonly Step[],
  source: CriticOptions['probability'],
): Critique | Complaint {
  const raw = parseFindings(reply.text);
  if (isComplaint(raw)) return raw;
  if (raw.steps.length !== steps.length) {
    return { complaint: `it judges ${raw.steps.length} of ${steps.length} steps` };
  }
  const chances = source === 'stated' ? null : verdictChances(reply.tokens, raw.steps.length);
  if (chances === null && source === 'token') {
    return { complaint: 'its verdicts could not be found among the tokens of the reply' };
  }
  const found: StepFinding[] = [];
  for (const [index, step] of raw.steps.entries()) {
    const probability = chances?.[index] ?? step.probability;
    if (probability === undefined) {
      return { complaint: `steps.${index}.probability is missing; expected a number from 0 to 1` };
    }
    found.push(toFinding(step, probability));
  }
  const wrong = raw.steps.findIndex((step) => step.verdict === 'Incorrect');
  const correction = wrong < 0 ? undefined : usableCorrection(raw.correction, steps[wrong]);
  return {
    firstError: wrong < 0 ? null : wrong,
    findings: found,
    ...(correction === undefined ? {} : { correction }),
  };
}

function parseFindings(text: string): RawFindings | Complaint {
  const json = readJson(text);
  if (isComplaint(json)) return json;
  // Some models leave the outer object away.
  const value = Array.isArray(json.value) ? { steps: json.value } : json.value;
  const parsed = findings.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  return { complaint: `${issue?.path.join('.') || 'the object'}: ${issue?.message}` };
}

function toFinding(raw: RawFindings['steps'][number], probability: number): StepFinding {
  return {
    ...(raw.intent === undefined ? {} : { intent: raw.intent }),
    ...(raw.visual_alignment === undefined ? {} : { visualAlignment: raw.visual_alignment }),
    ...(raw.soundness === undefined ? {} : { soundness: raw.soundness }),
    probability,
  };
}

/** A correction that corrects: one step, and not the wrong one again. A blank line would make two
 *  steps of it. */
function usableCorrection(
  correction: string | null | undefined,
  wrong: Step | undefined,
): Step | undefined {
  const heading = /^\s*step \d+\s*:\s*/i;
  const text = (correction ?? '').replace(/\n\s*\n/g, '\n');
  // Our own numbering of the steps, given back.
  const step = (heading.test(wrong ?? '') ? text : text.replace(heading, '')).trim();
  return step === '' || step === wrong?.trim() ? undefined : step;
}

/** P("Correct") against P("Incorrect") where each verdict begins, or null if the tokens don't show
 *  one verdict per step. The words differ in their first letter, so one token tells them apart.
 *  @param tokens of the reply, in order */
function verdictChances(tokens: readonly WrittenToken[], stepCount: number): number[] | null {
  const text = tokens.map((token) => token.token).join('');
  const begin = Math.max(0, text.lastIndexOf('</think>'));
  // Inside a string the quotes would have backslashes before them.
  const places = [...text.matchAll(/"verdict"\s*:\s*"/g)]
    .map((match) => match.index + match[0].length)
    .filter((place) => place > begin);
  if (places.length !== stepCount) return null;
  const chances: number[] = [];
  let index = 0;
  let start = 0;
  for (const place of places) {
    while (start + (tokens[index]?.token.length ?? Number.POSITIVE_INFINITY) <= place) {
      start += tokens[index]?.token.length ?? 0;
      index++;
    }
    const chance = verdictChance(tokens[index], place - start);
    if (chance === null) return null;
    chances.push(chance);
  }
  return chances;
}

/** @param offset of the verdict's first letter in the token, which may begin with a quote */
function verdictChance(token: WrittenToken | undefined, offset: number): number | null {
  if (token === undefined || token.top.length === 0) return null;
  const opening = token.token.slice(0, offset);
  const sums = { Correct: 0, Incorrect: 0 };
  for (const { token: text, logprob } of token.top) {
    const word = text.startsWith(opening) ? text.slice(offset) : '';
    const verdict = VERDICTS.find(
      (one) => word !== '' && (one.startsWith(word) || word.startsWith(one)),
    );
    if (verdict) sums[verdict] += Math.exp(logprob);
  }
  const logOf = (sum: number) => (sum > 0 ? Math.log(sum) : undefined);
  const lowest = Math.min(...token.top.map((one) => one.logprob));
  return readPair(logOf(sums.Correct), logOf(sums.Incorrect), lowest)?.probability ?? null;
}

function replyError(name: string, problemId: string, complaint: string): SteptreeError {
  return new SteptreeError(
    'CRITIC_REPLY_INVALID',
    `${name} gave no usable critique of problem "${problemId}", twice: ${complaint}. Raise --critic-max-tokens, or take a critic that can write JSON`,
    { problemId, complaint },
  );
}
