/** How a path is put before a reward model that answers with one of two tokens per step. */
import type { Problem, Step } from '../search/types.js';
import type { MarkedPath } from './ports.js';
import {
  type ChatMessage,
  escapeMarkers,
  questionText,
  systemMessage,
  withPictures,
} from './prompt.js';

export const TEMPLATE_NAMES = ['plain', 'mm-prm', 'visualprm', 'vl-prm'] as const;
export type TemplateName = (typeof TEMPLATE_NAMES)[number];

/** A template filled with the options that change it. */
export interface StepTemplate {
  readonly name: TemplateName;
  readonly positive: string;
  readonly negative: string;
  /** Text at which the model answers, after each step; null where it answers in turns of its own. */
  readonly marker: string | null;
  /** The whole path, answered "positive" after every step: what one pass reads. */
  whole(problem: Problem, steps: readonly Step[], images: readonly string[]): ChatMessage[];
  /** The path up to its last step, so that the next token is the answer to it.
   *  @returns `continueLast`: the last message is the assistant's, to be continued */
  asking(
    problem: Problem,
    steps: readonly Step[],
    images: readonly string[],
  ): { readonly messages: ChatMessage[]; readonly continueLast: boolean };
}

export interface TemplateOptions {
  readonly template: TemplateName;
  /** Positive and negative token; empty for the template's own. */
  readonly tokens: readonly string[];
  /** Empty for the template's own. */
  readonly marker: string;
  /** Absent for the template's own. */
  readonly systemPrompt?: string | undefined;
}

interface InlineLayout {
  readonly marker: string;
  /** What stands between a marker and the next step. */
  readonly join: string;
  readonly tokens: readonly [string, string];
}

// The policy's own paragraphs, with a marker at the end of each.
const plain: InlineLayout = { marker: '<prm>', join: '\n\n', tokens: ['Yes', 'No'] };
// MM-PRM (arXiv 2505.13427) as its evaluator writes it: bare markers between the steps.
const mmPrm: InlineLayout = { marker: '<prm>', join: '', tokens: ['Yes', 'No'] };

const turnsPrompt =
  'You check a solution step by step. The first message holds a problem and the first step of its ' +
  'solution, each later message the next step. Answer every message with one character: + if the ' +
  'solution is correct up to and including that step, - if it is not.';

/** The template of a name with its tokens, marker and system prompt. */
export function createTemplate(options: TemplateOptions): StepTemplate {
  switch (options.template) {
    case 'plain':
      return inlineTemplate('plain', plain, options, plainMessages);
    case 'mm-prm':
      return inlineTemplate('mm-prm', mmPrm, options, mmPrmMessages);
    case 'visualprm':
    case 'vl-prm':
      return turnsTemplate(options.template, options);
  }
}

/** The same path for a marker model; only for templates with a marker. */
export function markedPath(
  problem: Problem,
  steps: readonly Step[],
  options: TemplateOptions,
): MarkedPath {
  const marker = options.marker || plain.marker;
  return {
    problem,
    systemPrompt: options.systemPrompt ?? '',
    question: escapeMarkers(questionText(problem), [marker]),
    segments: segments(steps, marker, plain.join),
  };
}

function segments(steps: readonly Step[], marker: string, join: string): string[] {
  return steps.map(
    (step, index) => `${index === 0 ? '' : join}${escapeMarkers(step, [marker])}${marker}`,
  );
}

type InlineMessages = (
  question: string,
  process: string,
  images: readonly string[],
) => ChatMessage[];

// As a chat model solves: the problem in the user's turn, the steps in the assistant's.
const plainMessages: InlineMessages = (question, process, images) => [
  withPictures('user', images, question),
  { role: 'assistant', content: process },
];

// MM-PRM's user turn is empty, and everything, the picture too, stands in the assistant's turn.
const mmPrmMessages: InlineMessages = (question, process, images) => [
  { role: 'user', content: '' },
  withPictures('assistant', images, `Question: ${question}\nProcess: ${process}`),
];

function inlineTemplate(
  name: TemplateName,
  layout: InlineLayout,
  options: TemplateOptions,
  messagesOf: InlineMessages,
): StepTemplate {
  const marker = options.marker || layout.marker;
  const [positive, negative] = pairOf(options, layout.tokens);
  const whole: StepTemplate['whole'] = (problem, steps, images) => [
    ...systemMessage(options.systemPrompt ?? ''),
    ...messagesOf(
      escapeMarkers(questionText(problem), [marker]),
      segments(steps, marker, layout.join).join(''),
      images,
    ),
  ];
  return {
    name,
    positive,
    negative,
    marker,
    whole,
    asking: (problem, steps, images) => ({
      messages: whole(problem, steps, images),
      continueLast: true,
    }),
  };
}

/** VisualPRM's conversation (arXiv 2503.10291), which VL-PRM (arXiv 2509.23250) keeps: a user turn
 *  per step, the first one with the question, and "+" as the answer to all that came before. */
function turnsTemplate(name: TemplateName, options: TemplateOptions): StepTemplate {
  const [positive, negative] = pairOf(options, ['+', '-']);
  const turns = (problem: Problem, steps: readonly Step[], images: readonly string[]) =>
    steps.map((step, index) => {
      const text = escapeMarkers(step, []);
      if (index > 0) return withPictures('user', [], text);
      const question = escapeMarkers(questionText(problem), []);
      return withPictures(
        'user',
        images,
        `### Question:\n${question}\n\n### Solution Process:\n${text}`,
      );
    });
  const answer: ChatMessage = { role: 'assistant', content: positive };
  const head = systemMessage(options.systemPrompt ?? turnsPrompt);
  return {
    name,
    positive,
    negative,
    marker: null,
    whole: (problem, steps, images) => [
      ...head,
      ...turns(problem, steps, images).flatMap((turn) => [turn, answer]),
    ],
    asking: (problem, steps, images) => {
      const asked = turns(problem, steps, images);
      const before = asked.slice(0, -1).flatMap((turn) => [turn, answer]);
      return { messages: [...head, ...before, ...asked.slice(-1)], continueLast: false };
    },
  };
}

function pairOf(
  options: TemplateOptions,
  own: readonly [string, string],
): readonly [string, string] {
  const [positive = own[0], negative = own[1]] = options.tokens;
  return [positive, negative];
}
