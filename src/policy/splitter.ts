import { SteptreeError } from '../../search/errors.js';

/** How a model separates the steps of a solution, and how its text is put together again.
 *  For clean steps (as `split` returns them) `split(join(steps))` gives the same steps. */
export interface StepSplitter {
  readonly name: SplitterName;
  /** The assistant text of the given steps, ready to be continued: it ends where the next step
   *  starts. The empty string for no steps. */
  join(steps: readonly string[]): string;
  /** The steps of a generated text: trimmed and never empty. Tolerates a missing last separator,
   *  as a cut text has it. */
  split(text: string): string[];
  /** Strings of which the first, after some text, ends a step. */
  readonly stop: readonly string[];
}

export const SPLITTER_NAMES = ['blank-line', 'step-tags', 'step-headings'] as const;

export type SplitterName = (typeof SPLITTER_NAMES)[number];

/** Codes of errors raised by `createSplitter`. */
export const SPLITTER_ERROR_CODES = ['SPLITTER_UNKNOWN'] as const;

/** The splitter of the given name.
 *  @throws SteptreeError SPLITTER_UNKNOWN for a name outside `SPLITTER_NAMES`. */
export function createSplitter(name: string): StepSplitter {
  const splitter = SPLITTERS.find((candidate) => candidate.name === name);
  if (splitter === undefined) {
    throw new SteptreeError(
      'SPLITTER_UNKNOWN',
      `unknown step splitter "${name}"; choose one of ${SPLITTER_NAMES.join(', ')}`,
      { name, known: [...SPLITTER_NAMES] },
    );
  }
  return splitter;
}

/** Index of the first stop string in `text` that has something other than white space before it,
 *  and its length, or null. A separator at the very start ends no step.
 *  @param stop as in `StepSplitter.stop` */
export function findStop(
  text: string,
  stop: readonly string[],
): { index: number; length: number } | null {
  const start = text.length - text.trimStart().length;
  let best: { index: number; length: number } | null = null;
  for (const separator of stop) {
    const index = text.indexOf(separator, start);
    if (index > start && (best === null || index < best.index)) {
      best = { index, length: separator.length };
    }
  }
  return best;
}

/** Steps separated by an empty line, as most chat models write them. */
const blankLine: StepSplitter = {
  name: 'blank-line',
  stop: ['\n\n'],
  join: (steps) => steps.map((step) => `${withoutBlankLines(step)}\n\n`).join(''),
  split: (text) => cleanSteps(text.split(/\n[^\S\n]*\n/)),
};

/** `<step>…</step>` per step; the last one may be `<answer>…</answer>`, which keeps its tags so
 *  that the answer is still recognised as one. Text outside of tags is a step of its own. */
const stepTags: StepSplitter = {
  name: 'step-tags',
  stop: ['</step>', '</answer>'],
  join: (steps) => steps.map((step) => `${tagged(step)}\n`).join(''),
  split: (text) => {
    const pieces = text.split(/(<answer>[\s\S]*?(?:<\/answer>|$))|<\/?step>/);
    return cleanSteps(pieces.map(closedAnswer));
  },
};

/** `Step N:` headings at line starts. Steps are kept without the heading, so that the same step
 *  in another place is the same text; `join` numbers them again. */
const stepHeadings: StepSplitter = {
  name: 'step-headings',
  stop: ['\nStep '],
  join: (steps) => steps.map((step, index) => `Step ${index + 1}: ${step.trim()}\n`).join(''),
  split: (text) => cleanSteps(text.split(/^[^\S\n]*Step[^\S\n]+\d+[^\S\n]*:|\nStep[^\S\n]*$/m)),
};

const SPLITTERS: readonly StepSplitter[] = [blankLine, stepTags, stepHeadings];

function cleanSteps(pieces: readonly (string | undefined)[]): string[] {
  return pieces.map((piece) => (piece ?? '').trim()).filter((piece) => piece !== '');
}

// A blank line inside a step would turn it into two when the prefix is read back.
function withoutBlankLines(step: string): string {
  return step.trim().replace(/\n(?:[^\S\n]*\n)+/g, '\n');
}

function tagged(step: string): string {
  const text = step.trim();
  return text.startsWith('<answer>') ? text : `<step>${text}</step>`;
}

// The stop string is often not part of a server's reply, so the closing tag may be missing.
function closedAnswer(piece: string | undefined): string {
  const text = (piece ?? '').trim();
  return text.startsWith('<answer>') && !text.endsWith('</answer>') ? `${text}</answer>` : text;
}
