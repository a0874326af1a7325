/** Reads files of `{id?, gold, pred, …}` lines for `steptree check`. */
import { z } from 'zod';
import { readRecords } from '../data/records.js';
import type { CheckCase } from './check-case.js';

export interface CheckLine {
  readonly line: number;
  /** As the file has it, else the number of the line. */
  readonly id: string | number;
  readonly check: CheckCase;
  /** What the file says that the verdict should be. */
  readonly expected?: 'equal' | 'different';
}

/** Why a line is none. `message` is one sentence with the file and the line. */
export interface RejectedLine {
  readonly line: number;
  readonly code: 'CHECK_LINE_INVALID';
  readonly message: string;
}

const answerText = z.union([z.string(), z.number()]).transform(String);

/** Other fields are ignored: files of cases have fields of their own. */
const lineSchema = z.object({
  id: z.union([z.string(), z.number()]).optional(),
  gold: z.union([answerText, z.array(answerText).min(1)]),
  pred: answerText,
  precision: z.int().min(0).max(30).optional(),
  strict: z.boolean().optional(),
  allowSetRelation: z.boolean().optional(),
  allow_set_relation_comp: z.boolean().optional(),
  choices: z.array(answerText).optional(),
  match_types: z.array(z.string()).optional(),
  expected: z.union([z.boolean(), z.literal(0), z.literal(1)]).optional(),
});

const expectations: Readonly<Record<string, string>> = {
  id: 'a text or number',
  gold: 'the gold answer as a text or number, or a list of them',
  pred: 'the response as a text or number',
  precision: 'a number of decimal places from 0 to 30',
  strict: 'true or false',
  allowSetRelation: 'true or false',
  allow_set_relation_comp: 'true or false',
  choices: 'a list of texts',
  match_types: 'a list such as ["latex", "expr"]',
  expected: '1 or 0',
};

/** In file order; one bad line stops no other. @throws SteptreeError PROBLEMS_UNREADABLE */
export async function* readCheckLines(
  file: string,
): AsyncGenerator<CheckLine | { readonly rejected: RejectedLine }> {
  let count = 0;
  for await (const record of readRecords(file)) {
    count++;
    const line = record.line ?? count;
    const reject = (text: string) => ({
      rejected: {
        line,
        code: 'CHECK_LINE_INVALID',
        message: `${file}, line ${line}: ${text}`,
      } as const,
    });
    if ('error' in record) {
      yield reject(record.error);
      continue;
    }
    const parsed = lineSchema.safeParse(record.value);
    yield parsed.success
      ? toLine(line, parsed.data)
      : reject(complaint(record.value, parsed.error));
  }
}

function complaint(value: unknown, error: z.ZodError): string {
  const field = String(error.issues[0]?.path[0] ?? '');
  if (field === '' || typeof value !== 'object' || value === null) {
    return 'is no JSON object; expected {"gold": …, "pred": …}';
  }
  const got = (value as Record<string, unknown>)[field];
  const found = got === undefined ? 'is missing' : `is ${JSON.stringify(got).slice(0, 80)}`;
  return `field ${field} ${found}; expected ${expectations[field] ?? 'another value'}`;
}

function toLine(line: number, fields: z.infer<typeof lineSchema>): CheckLine {
  const { gold, pred, precision, strict, choices, expected, match_types: types } = fields;
  const allowSetRelation = fields.allowSetRelation ?? fields.allow_set_relation_comp;
  const latexOnly = types?.includes('latex') && !types.includes('expr');
  return {
    line,
    id: fields.id ?? line,
    check: {
      gold: Array.isArray(gold) ? gold : [gold],
      predicted: pred,
      ...(precision !== undefined && { precision }),
      ...(strict !== undefined && { strict }),
      ...(allowSetRelation !== undefined && { allowSetRelation }),
      ...(choices && { choices }),
      ...(latexOnly && { latexOnly }),
    },
    ...(expected !== undefined && { expected: expected ? 'equal' : 'different' }),
  };
}
