import { contentHash } from '../../search/rng.js';
import type { Problem } from '../../search/types.js';
import { isRight } from '../../src/policy/simulated.js';

/** What the reward model behind the simulated server makes of one text. */
export interface ReadText {
  /** Words of the whole prompt, the steps included. */
  readonly tokens: number;
  /** Of these, the words that a prefix cache spares. */
  readonly cachedTokens: number;
  /** Chances [wrong, right] of every step. */
  readonly rows: readonly (readonly [number, number])[];
}

export interface SimulatedScorer {
  /** A request for `/pooling` in the form of Qwen2.5-Math-PRM: one pass over the whole text.
   *  @returns null for a question that it doesn't know */
  pool(body: unknown): ReadText | null;
  /** A request for one token with `logprobs`, steps ended by `<prm>`: asks about the last step. The
   *  server keeps the KV of what it has read, as vLLM does where text is generated. */
  ask(body: unknown): ReadText | null;
}

/** A process reward model that knows the simulated policy's truth and blurs it: steps in force
 *  score 0.35 to 1, the others 0 to 0.65, a pure function of the text. */
export function createSimulatedScorer(problems: readonly Problem[]): SimulatedScorer {
  const byQuestion = new Map(problems.map((problem) => [problem.question, problem]));
  const known = new Set<string>();
  const read = (body: unknown, marker: string, lastOnly: boolean): ReadText | null => {
    const messages = messagesOf(body);
    const problem = byQuestion.get(textOf(messages, 'user'));
    if (problem === undefined) return null;
    const texts = textOf(messages, 'assistant').split(marker).slice(0, -1);
    const steps = texts.map((text) => text.trim());
    const tokens = messages.reduce((sum, { content }) => sum + countWords(content), 0);
    const rows = steps.map((_, index) =>
      lastOnly && index < steps.length - 1
        ? ([0, 1] as const)
        : row(problem, steps.slice(0, index + 1)),
    );
    return { tokens, cachedTokens: lastOnly ? remember(known, problem, steps) : 0, rows };
  };
  return {
    pool: (body) => read(body, '<extra_0>', false),
    ask: (body) => read(body, '<prm>', true),
  };
}

/** Notes all prefixes as read. @returns words of the longest one that was */
function remember(known: Set<string>, problem: Problem, steps: readonly string[]): number {
  let cached = 0;
  let words = countWords(problem.question);
  for (let length = 0; length <= steps.length; length++) {
    words += length === 0 ? 0 : countWords(steps[length - 1] ?? '');
    const key = contentHash([problem.id, ...steps.slice(0, length)]);
    // The last word is always computed: its chances are what is asked for.
    if (known.has(key)) cached = length === steps.length ? words - 1 : words;
    known.add(key);
  }
  return cached;
}

interface Message {
  readonly role: string;
  readonly content: string;
}

function messagesOf(body: unknown): readonly Message[] {
  const { messages } = (body ?? {}) as { messages?: unknown };
  return Array.isArray(messages) ? messages : [];
}

function textOf(messages: readonly Message[], role: string): string {
  return messages.find((message) => message.role === role)?.content ?? '';
}

function countWords(text: string): number {
  return text.split(/\s+/).length;
}

function row(problem: Problem, steps: readonly string[]): [number, number] {
  const last = steps.at(-1) ?? '';
  const right = last.startsWith('Answer:')
    ? last === `Answer: ${problem.answer}`
    : isRight(problem.id, steps);
  const blur = Number.parseInt(contentHash([problem.id, ...steps]).slice(0, 8), 16) / 2 ** 32;
  const chance = (right ? 0.35 : 0) + 0.65 * blur;
  return [1 - chance, chance];
}
