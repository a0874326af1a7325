import { z } from 'zod';
import type { FinishReason, Rollout, Step } from '../../../search/types.js';
import { findStop, type StepSplitter } from '../splitter.js';
import { HttpFailure } from './http.js';

/** One choice of a reply, with its share of the tokens. */
export interface Choice {
  readonly text: string;
  /** `length` where the token limit or a filter cut the text. */
  readonly ended: 'stop' | 'length';
  /** The stop string that ended the text, null for the end token, undefined if the server is
   *  silent about it. */
  readonly stopString: string | null | undefined;
  readonly tokens: number;
  readonly meanLogprob?: number;
}

export interface ParsedReply {
  readonly choices: readonly Choice[];
  readonly promptTokens: number;
  readonly cachedTokens: number;
}

const tokenLogprobs = z.object({
  content: z.array(z.object({ logprob: z.number() })).nullish(),
  /** The older shape of `/completions`. */
  token_logprobs: z.array(z.number().nullable()).nullish(),
});

const choiceShape = z.object({
  message: z.object({ content: z.unknown().optional() }).nullish(),
  text: z.string().nullish(),
  finish_reason: z.string().nullish(),
  stop_reason: z.unknown().optional(),
  matched_stop: z.unknown().optional(),
  token_ids: z.array(z.number()).nullish(),
  logprobs: tokenLogprobs.nullish(),
});

const replyShape = z.object({
  choices: z.array(choiceShape).min(1),
  usage: z
    .object({
      prompt_tokens: z.number().nullish(),
      completion_tokens: z.number().nullish(),
      prompt_tokens_details: z.object({ cached_tokens: z.number().nullish() }).nullish(),
    })
    .nullish(),
});

type RawChoice = z.infer<typeof choiceShape>;

/** Reads a reply of `/chat/completions` or `/completions`.
 *  @throws HttpFailure `body`, retryable, if it isn't one */
export function parseReply(reply: unknown): ParsedReply {
  const parsed = replyShape.safeParse(reply);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const where = issue?.path.join('.') || 'the whole';
    throw new HttpFailure('body', `not a completion: ${where}: ${issue?.message}`, {
      retryable: true,
    });
  }
  const { choices, usage } = parsed.data;
  if (choices.some((choice) => choice.finish_reason === 'abort')) {
    throw new HttpFailure('body', 'the server aborted the generation', { retryable: true });
  }
  const texts = choices.map(choiceText);
  const tokens = splitTokens(texts, choices.map(knownTokens), usage?.completion_tokens);
  return {
    choices: choices.map((choice, index) => toChoice(choice, texts[index], tokens[index])),
    promptTokens: usage?.prompt_tokens ?? 0,
    cachedTokens: usage?.prompt_tokens_details?.cached_tokens ?? 0,
  };
}

/** Tokens of each choice: its own count where known, else the rest of the total in proportion to
 *  the text's length, so that the sum is exactly the server's total; at least 1 each.
 *  @param known per choice, or undefined
 *  @param total of all choices; without it a token is taken as 4 characters */
export function splitTokens(
  texts: readonly string[],
  known: readonly (number | undefined)[],
  total: number | null | undefined,
): number[] {
  const counts = texts.map((text, index) => known[index] ?? 1 + Math.floor(text.length / 4));
  const open = counts.flatMap((_, index) => (known[index] === undefined ? [index] : []));
  if (total == null || open.length === 0) return counts.map((count) => Math.max(1, count));
  const taken = known.reduce<number>((sum, count) => sum + (count ?? 0), 0);
  // Every open choice has one token for sure; the rest goes by length, cumulatively rounded.
  const spare = Math.max(0, total - taken - open.length);
  const lengths = open.map((index) => texts[index]?.length ?? 0);
  const all = lengths.reduce((sum, length) => sum + length, 0);
  let before = 0;
  let given = 0;
  open.forEach((choice, position) => {
    before += all === 0 ? 1 : (lengths[position] ?? 0);
    const upTo = Math.round((spare * before) / (all === 0 ? open.length : all));
    counts[choice] = 1 + upTo - given;
    given = upTo;
  });
  return counts.map((count) => Math.max(1, count));
}

/** The rollout that a choice is, once what it repeats of the prefix is cut off.
 *  @param restated the prefix stood in the user turn, so the reply may start with parts of it */
export function toRollout(
  choice: Choice,
  request: { readonly prefix: readonly Step[]; readonly until: 'step' | 'end' },
  splitter: StepSplitter,
  restated: boolean,
): Rollout {
  const steps = withoutPrefix(splitter.split(choice.text), request.prefix, restated);
  const kept = request.until === 'step' ? steps.slice(0, 1) : steps;
  const cutByUs = steps.length > kept.length;
  return {
    steps: kept,
    finish:
      request.until === 'end'
        ? finishOfWhole(choice)
        : finishOfStep(choice, splitter, kept, cutByUs),
    policyTokens: choice.tokens,
    ...(choice.meanLogprob === undefined ? {} : { meanLogprob: choice.meanLogprob }),
  };
}

/** Steps after what they repeat of the prefix: all of it, or (`tail`) its last steps. */
export function withoutPrefix(
  steps: readonly Step[],
  prefix: readonly Step[],
  tail: boolean,
): Step[] {
  const longest = Math.min(steps.length, prefix.length);
  for (let length = longest; length > 0; length--) {
    if (!tail && length < prefix.length) break;
    const start = prefix.length - length;
    const repeats = steps
      .slice(0, length)
      .every((step, index) => sameText(step, prefix[start + index] ?? ''));
    if (repeats) return steps.slice(length);
  }
  return [...steps];
}

/** Whether two texts differ in the length of their white space at most. Every rollout's first step is
 *  held against the prefix's, so no strings are made for it. */
export function sameText(a: string, b: string): boolean {
  if (a === b) return true;
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const [endA, endB] = [afterSpace(a, i), afterSpace(b, j)];
    const spaces = endA > i;
    if (spaces !== endB > j) return false;
    if (!spaces && a.charCodeAt(i) !== b.charCodeAt(j)) return false;
    i = spaces ? endA : i + 1;
    j = spaces ? endB : j + 1;
  }
  return i === a.length && j === b.length;
}

/** The first index from `from` on that is no white space. */
function afterSpace(text: string, from: number): number {
  let index = from;
  while (index < text.length && isSpace(text.charCodeAt(index))) index++;
  return index;
}

/** As \s of regular expressions. */
function isSpace(code: number): boolean {
  if (code < 0x80) return code === 0x20 || (code >= 0x09 && code <= 0x0d);
  return /\s/.test(String.fromCharCode(code));
}

function finishOfWhole(choice: Choice): FinishReason {
  return choice.ended === 'length' ? 'length' : 'end';
}

function finishOfStep(
  choice: Choice,
  splitter: StepSplitter,
  kept: readonly Step[],
  cutByUs: boolean,
): FinishReason {
  if (cutByUs) return 'step';
  if (kept[0]?.startsWith('<answer>')) return choice.ended === 'length' ? 'length' : 'end';
  if (choice.ended === 'length') return 'length';
  if (findStop(choice.text, splitter.stop) !== null) return 'step';
  if (choice.stopString !== undefined) {
    return splitter.stop.includes(choice.stopString ?? '') ? 'step' : 'end';
  }
  // A server that doesn't say what stopped it: a step that states the answer is the last one.
  const last = kept[0];
  return last === undefined || statesAnswer(last) ? 'end' : 'step';
}

function statesAnswer(step: Step): boolean {
  return /\\boxed\{|<answer>|\banswer\b\s*(is\b|:)/i.test(step);
}

function toChoice(raw: RawChoice, text = '', tokens = 1): Choice {
  const { finish_reason: finish } = raw;
  const mean = meanLogprob(raw);
  return {
    text,
    // A filter's cut leaves no completed solution either.
    ended: finish === 'length' || finish === 'content_filter' ? 'length' : 'stop',
    stopString: stopString(raw),
    tokens,
    ...(mean === undefined ? {} : { meanLogprob: mean }),
  };
}

// vLLM says stop_reason, SGLang matched_stop: the string, or null or a token id at the end token.
function stopString(raw: RawChoice): string | null | undefined {
  const said = raw.stop_reason !== undefined ? raw.stop_reason : raw.matched_stop;
  if (said === undefined) return undefined;
  return typeof said === 'string' ? said : null;
}

function choiceText(raw: RawChoice): string {
  const content = raw.message?.content ?? raw.text ?? '';
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part) => (typeof part?.text === 'string' ? part.text : '')).join('');
}

function logprobsOf(raw: RawChoice): number[] {
  const listed =
    raw.logprobs?.content?.map((token) => token.logprob) ?? raw.logprobs?.token_logprobs ?? [];
  return listed.filter((value): value is number => value !== null);
}

function knownTokens(raw: RawChoice): number | undefined {
  const counted = raw.token_ids?.length ?? logprobsOf(raw).length;
  return counted > 0 ? counted : undefined;
}

function meanLogprob(raw: RawChoice): number | undefined {
  const values = logprobsOf(raw);
  if (values.length === 0) return undefined;
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
