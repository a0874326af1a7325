/** Reads problem files: streamed, checked field by field, one bad problem never stopping the others. */
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { SteptreeError } from '../../search/errors.js';
import type { Problem } from '../../search/types.js';
import { nearestName } from '../config/nearest.js';
import { fitsAnswerType } from '../verify/equivalence.js';
import type { DataErrorCode } from './errors.js';
import {
  detectFormat,
  type Fields,
  fieldInFile,
  type PROBLEM_FORMATS,
  type ProblemFormat,
  toOwnFields,
} from './formats.js';
import { createImageChecker, IMAGE_CHECKS, type ImageCheck, imageRef } from './images.js';
import { type RawRecord, readRecords } from './records.js';

export { treeFileName } from './file-names.js';

/** How problem files are read; `format` and `strict` are the run's. */
export const problemOptions = z.strictObject({
  checkImages: z
    .enum(IMAGE_CHECKS)
    .default('header')
    .describe('check pictures on reading: not at all, their header, or every pixel'),
});

export interface ReadOptions {
  readonly format?: (typeof PROBLEM_FORMATS)[number];
  /** Throw at the first bad problem. */
  readonly strict?: boolean;
  readonly checkImages?: ImageCheck;
  /** Labelling needs gold answers, solving doesn't. Default true. */
  readonly requireAnswer?: boolean;
  /** Refuse an id that stands in the file twice. Default true. */
  readonly uniqueIds?: boolean;
  /** Told once which foreign format was detected. */
  readonly onWarning?: (message: string) => void;
}

/** Why a record is no problem. `message` names file, line, field and what was expected. */
export interface Rejection {
  readonly id?: string;
  readonly line?: number;
  readonly field?: string;
  readonly code: DataErrorCode;
  readonly message: string;
}

export type ProblemItem =
  | { readonly problem: Problem; readonly line: number }
  | { readonly rejected: Rejection };

/** Pictures of so many problems are checked at the same time. */
const lookAhead = 8;

/** Problems of a JSONL file, a JSON array or a JSON object of problems by id, in file order. Memory
 *  holds a few records and all ids seen, whatever the file's size. Relative image paths start from
 *  the file's folder.
 *  @throws SteptreeError PROBLEMS_UNREADABLE; with `strict` also the first rejection, by its code */
export async function* readProblems(
  file: string,
  options: ReadOptions = {},
): AsyncGenerator<ProblemItem> {
  const reader = new ProblemReader(file, options);
  const pending: Promise<ProblemItem>[] = [];
  const settle = async (): Promise<ProblemItem> => {
    const item = (await pending.shift()) as ProblemItem;
    if (options.strict && 'rejected' in item) {
      const { code, message, ...facts } = item.rejected;
      throw new SteptreeError(code, message, { file, ...facts });
    }
    return item;
  };
  for await (const record of readRecords(file)) {
    pending.push(reader.item(record));
    if (pending.length >= lookAhead) yield await settle();
  }
  while (pending.length > 0) yield await settle();
}

const text = z.union([z.string(), z.number()]).transform(String);

/** Steptree's own format, one problem per line or array element. */
export const problemSchema = z.strictObject({
  id: text.refine((id) => id.trim() !== ''),
  question: z.string(),
  image: z.string().optional(),
  images: z.array(z.string()).optional(),
  answer: text.optional(),
  choices: z.array(text).optional(),
  answerType: z.enum(['auto', 'number', 'choice', 'list', 'text']).optional(),
  precision: z.number().int().min(0).max(12).optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
});

type OwnProblem = z.infer<typeof problemSchema>;

const expected: Readonly<Record<string, string>> = {
  id: 'a text or number that no other problem has',
  question: 'a text',
  image: 'a path relative to the problem file, or a data: URL',
  images: 'a list of paths relative to the problem file, or data: URLs',
  answer: 'the gold answer as a text or number',
  choices: 'a list of texts',
  answerType: 'one of auto, number, choice, list, text',
  precision: 'a number of decimal places from 0 to 12',
  metadata: 'an object',
};

/** A rejection before its message is joined from its parts. */
interface Complaint {
  readonly code: DataErrorCode;
  readonly field?: string;
  readonly text: string;
}

/** Turns the records of one file into problems, one after the other. */
export class ProblemReader {
  private readonly dir: string;
  private readonly seen = new Map<string, number>();
  private readonly checkImage;
  private format: ProblemFormat | undefined;
  private index = 0;

  constructor(
    private readonly file: string,
    private readonly options: ReadOptions,
  ) {
    this.dir = dirname(resolve(file));
    this.checkImage = createImageChecker(options.checkImages ?? 'header');
    const { format = 'auto' } = options;
    if (format !== 'auto') this.format = format;
  }

  /** Everything but the look at the pictures happens at once, in file order. */
  item(record: RawRecord): Promise<ProblemItem> {
    const { line } = record;
    if ('error' in record) {
      return this.reject(line, { code: 'PROBLEM_JSON_INVALID', text: record.error });
    }
    const { value } = record;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return this.reject(line, {
        code: 'PROBLEM_JSON_INVALID',
        text: `is ${describe(value)}; expected an object with id, question and answer`,
      });
    }
    const raw = value as Fields;
    this.format ??= this.detect(raw);
    const fields = withoutNulls(toOwnFields(this.format, raw, this.index++, record.key));
    const id =
      typeof fields.id === 'string' || typeof fields.id === 'number' ? fields.id : undefined;
    const parsed = this.check(fields, line);
    if ('text' in parsed) return this.reject(line, parsed, id);
    return this.withImages(parsed, line);
  }

  private detect(fields: Fields): ProblemFormat {
    const format = detectFormat(fields);
    if (format !== 'steptree') this.options.onWarning?.(`${this.file} is read as ${format}`);
    return format;
  }

  private check(fields: Fields, line: number): OwnProblem | Complaint {
    const result = problemSchema.safeParse(fields);
    if (!result.success) return fieldComplaint(result.error.issues[0], fields);
    const problem = result.data;
    const first = this.seen.get(problem.id);
    if (first !== undefined && this.options.uniqueIds !== false) {
      return {
        code: 'PROBLEM_ID_DUPLICATE',
        field: 'id',
        text: `"${problem.id}" is the id of line ${first} too; expected every id once`,
      };
    }
    this.seen.set(problem.id, line);
    return (
      checkQuestion(problem) ?? checkAnswer(problem, this.options.requireAnswer ?? true) ?? problem
    );
  }

  private async withImages(fields: OwnProblem, line: number): Promise<ProblemItem> {
    const { image, images, ...rest } = fields;
    const sources = images ?? (image === undefined ? [] : [image]);
    const refs = sources.map((source) => imageRef(source, this.dir));
    const field = images ? 'images' : 'image';
    for (const ref of refs) {
      const found =
        ref.source.trim() === ''
          ? ({
              code: 'PROBLEM_FIELD_INVALID',
              message: `is empty; expected ${expected.image}`,
            } as const)
          : await this.checkImage(ref);
      if (found)
        return this.reject(line, { code: found.code, field, text: found.message }, fields.id);
    }
    const problem = Object.fromEntries(
      Object.entries({ ...rest, images: refs }).filter(([, value]) => value !== undefined),
    );
    return { problem: problem as unknown as Problem, line };
  }

  private async reject(
    line: number,
    { code, field, text: why }: Complaint,
    id?: string | number,
  ): Promise<ProblemItem> {
    const named = field === undefined ? undefined : fieldInFile(this.format ?? 'steptree', field);
    const place = `${this.file}, line ${line}${named === undefined ? '' : `, field ${named}`}`;
    return {
      rejected: {
        ...(id === undefined ? {} : { id: String(id) }),
        line,
        ...(named === undefined ? {} : { field: named }),
        code,
        message: `${place}: ${why}`,
      },
    };
  }
}

function fieldComplaint(issue: z.core.$ZodIssue | undefined, fields: Fields): Complaint {
  if (issue?.code === 'unrecognized_keys') {
    const field = issue.keys[0] ?? '';
    const near = nearestName(field, Object.keys(expected));
    const advice = near
      ? `did you mean ${near}?`
      : `expected one of ${Object.keys(expected).join(', ')}; put anything else into metadata`;
    return { code: 'PROBLEM_FIELD_UNKNOWN', field, text: `is no field of a problem; ${advice}` };
  }
  const field = String(issue?.path[0] ?? '');
  const wanted = expected[field] ?? 'another value';
  const text = field in fields ? `is ${describe(fields[field])}` : 'is missing';
  return { code: 'PROBLEM_FIELD_INVALID', field, text: `${text}; expected ${wanted}` };
}

function checkQuestion(problem: OwnProblem): Complaint | undefined {
  if (problem.question.trim() === '') {
    const text = 'is empty; expected the text of the problem';
    return { code: 'PROBLEM_QUESTION_EMPTY', field: 'question', text };
  }
  if (problem.image !== undefined && problem.images !== undefined) {
    const text = 'stands beside image; expected one of the two';
    return { code: 'PROBLEM_FIELD_INVALID', field: 'images', text };
  }
  return undefined;
}

function checkAnswer(problem: OwnProblem, isRequired: boolean): Complaint | undefined {
  const { answer, answerType, choices, precision } = problem;
  const isMissing = answer === undefined || answer.trim() === '';
  if (isMissing) {
    if (!isRequired && answer === undefined) return undefined;
    const text = `is ${answer === undefined ? 'missing' : 'empty'}; expected ${expected.answer}`;
    return { code: 'PROBLEM_ANSWER_INVALID', field: 'answer', text };
  }
  const gold = {
    answer,
    ...(answerType && { answerType }),
    ...(choices && { choices }),
    ...(precision !== undefined && { precision }),
  };
  if (fitsAnswerType(gold)) return undefined;
  const wanted =
    answerType === 'choice'
      ? `a letter or the text of one of the ${choices?.length ?? 0} choices`
      : 'a number, such as 3/4, 1,000.5 or 28%';
  const text = `is ${describe(answer)}; expected ${wanted}, as answerType is ${answerType}`;
  return { code: 'PROBLEM_ANSWER_INVALID', field: 'answer', text };
}

/** Files of other tools write null for "none". */
function withoutNulls(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  const shown = JSON.stringify(value);
  const kind = Array.isArray(value)
    ? 'a list'
    : typeof value === 'object'
      ? 'an object'
      : undefined;
  if (kind) return kind;
  return shown.length > 60 ? `${shown.slice(0, 57)}…` : shown;
}
