/** Reads files of solutions: problems with the steps that somebody wrote for them. */
import type { Problem, Step } from '../../search/types.js';
import type { ImageCheck } from './images.js';
import { ProblemReader, type Rejection } from './problems.js';
import { type RawRecord, readRecords } from './records.js';

/** A problem with the paths to score, or why a line is none. */
export type SolutionItem =
  | {
      readonly problem: Problem;
      readonly paths: readonly (readonly Step[])[];
      readonly line: number;
    }
  | { readonly rejected: Rejection };

/** Lines of `{id, question, image | images, choices?, steps | solutions}` of a JSONL file or a JSON
 *  array, in file order: `steps` is one solution, `solutions` several. An id may stand on several
 *  lines. One bad line stops no other.
 *  @throws SteptreeError PROBLEMS_UNREADABLE */
export async function* readSolutions(
  file: string,
  checkImages: ImageCheck,
): AsyncGenerator<SolutionItem> {
  const reader = new ProblemReader(file, {
    format: 'steptree',
    requireAnswer: false,
    uniqueIds: false,
    checkImages,
  });
  for await (const record of readRecords(file)) yield readSolution(reader, record, file);
}

async function readSolution(
  reader: ProblemReader,
  record: RawRecord,
  file: string,
): Promise<SolutionItem> {
  const fields = 'value' in record ? record.value : undefined;
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) {
    return reader.item(record) as Promise<SolutionItem>;
  }
  const { steps, solutions, ...problemFields } = fields as Record<string, unknown>;
  const item = await reader.item({ ...record, value: problemFields } as RawRecord);
  if ('rejected' in item) return item;
  const { problem, line } = item;
  const complaint = complaintAbout(steps, solutions);
  if (complaint === null) {
    const paths = (solutions ?? [steps]) as readonly (readonly Step[])[];
    return { problem, paths, line };
  }
  const { field, text } = complaint;
  return {
    rejected: {
      id: problem.id,
      line,
      field,
      code: 'PROBLEM_FIELD_INVALID',
      message: `${file}, line ${line}, field ${field}: ${text}`,
    },
  };
}

function complaintAbout(
  steps: unknown,
  solutions: unknown,
): { readonly field: string; readonly text: string } | null {
  if ((steps === undefined) === (solutions === undefined)) {
    const text = `${steps === undefined ? 'is missing' : 'stands beside solutions'}; expected steps (one solution) or solutions (a list of them)`;
    return { field: 'steps', text };
  }
  if (solutions === undefined) return isSteps(steps) ? null : { field: 'steps', text: BAD_STEPS };
  if (!Array.isArray(solutions) || solutions.length === 0) {
    return { field: 'solutions', text: 'is no list of solutions, or an empty one' };
  }
  const bad = solutions.findIndex((one) => !isSteps(one));
  return bad < 0 ? null : { field: `solutions.${bad}`, text: BAD_STEPS };
}

const BAD_STEPS = 'is no solution; expected a list of at least one text, none of them empty';

function isSteps(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((step) => typeof step === 'string' && step.trim() !== '')
  );
}
