import type { Problem, Step } from '../../../search/types.js';
import type { SplitterName, StepSplitter } from '../splitter.js';

export type ContentPart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image_url'; readonly image_url: { readonly url: string } };

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string | readonly ContentPart[];
}

/** What a problem is turned into, before anything server-specific. */
export interface PromptParts {
  readonly system: string;
  readonly question: string;
  /** Data URLs. */
  readonly images: readonly string[];
  readonly prefix: readonly Step[];
  /** Earlier turns, their pictures as data URLs. */
  readonly turns?: readonly ChatTurn[];
}

export interface ChatTurn {
  readonly role: 'system' | 'user' | 'assistant';
  readonly text: string;
  readonly images: readonly string[];
}

const SYSTEM_PROMPTS: Record<SplitterName, string> = {
  'blank-line':
    'Solve the problem step by step. Write one short step per paragraph, with an empty line between the steps. End with a paragraph of the form "Answer: …".',
  'step-tags':
    'Solve the problem step by step. Put each step between <step> and </step>, and at the end the final answer between <answer> and </answer>.',
  'step-headings':
    'Solve the problem step by step. Start each step on a new line with "Step 1:", "Step 2:" and so on. End the last step with "Answer: …".',
};

/** The system prompt that makes a chat model write steps as the splitter cuts them. */
export function defaultSystemPrompt(splitter: StepSplitter): string {
  return SYSTEM_PROMPTS[splitter.name];
}

/** Fills `{question}` and `{choices}`; the choices become lines of `(A) …`. */
export function fillTemplate(template: string, problem: Problem): string {
  const choices = problem.choices?.length
    ? `\n\nChoices:\n${problem.choices.map(choiceLine).join('\n')}`
    : '';
  return template.replace(/\{(question|choices)\}/g, (_, name) =>
    name === 'question' ? problem.question : choices,
  );
}

/** Messages that ask for the continuation of the prefix as the assistant's own text: the last
 *  message is the assistant's, unless the prefix is empty. */
export function prefillMessages(parts: PromptParts, splitter: StepSplitter): ChatMessage[] {
  const messages = baseMessages(parts, parts.question);
  const started = splitter.join(parts.prefix);
  return started === '' ? messages : [...messages, { role: 'assistant', content: started }];
}

/** Messages that give the prefix back in the user turn, for servers that can't continue an
 *  assistant's message; MM-PRM, arXiv 2505.13427, continues this way. */
export function restateMessages(parts: PromptParts, splitter: StepSplitter): ChatMessage[] {
  if (parts.prefix.length === 0) return baseMessages(parts, parts.question);
  const steps = splitter.join(parts.prefix).trim();
  return baseMessages(
    parts,
    `${parts.question}\n\nThese previous steps are given:\n\n${steps}\n\nContinue with the next step, in the same form. Do not repeat the previous steps.`,
  );
}

/** One raw text for `/completions`. */
export function completionPrompt(parts: PromptParts, splitter: StepSplitter): string {
  const head = parts.system === '' ? '' : `${parts.system}\n\n`;
  return `${head}Problem: ${parts.question}\n\nSolution:\n\n${splitter.join(parts.prefix)}`;
}

function baseMessages(parts: PromptParts, userText: string): ChatMessage[] {
  const { system, images, turns = [] } = parts;
  // Many chat templates know one system message, at the start: a client's follows ours there.
  const given = turns.filter(({ role }) => role === 'system').map(({ text }) => text);
  const rules = [system, ...given].filter((text) => text !== '').join('\n\n');
  return [
    ...(rules === '' ? [] : [{ role: 'system' as const, content: rules }]),
    ...turns
      .filter(({ role }) => role !== 'system')
      .map(({ role, text, images: shown }) => ({ role, content: contentOf(text, shown) })),
    { role: 'user', content: contentOf(userText, images) },
  ];
}

/** Images first and always the same bytes: then every rollout of a problem shares one prefix. */
function contentOf(text: string, images: readonly string[]): string | ContentPart[] {
  if (images.length === 0) return text;
  return [
    ...images.map((url): ContentPart => ({ type: 'image_url', image_url: { url } })),
    { type: 'text', text },
  ];
}

function choiceLine(choice: string, index: number): string {
  return `(${String.fromCharCode(65 + index)}) ${choice}`;
}
