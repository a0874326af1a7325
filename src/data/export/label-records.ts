/** Reads back labels.jsonl: one training path per line. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { SteptreeError } from '../../../search/errors.js';
import { readRecords } from '../records.js';

const labelRecord = z.object({
  id: z.string(),
  question: z.string(),
  images: z.array(z.string()),
  steps: z.array(z.string()).min(1),
  /** In [0, 1], one per step. */
  labels: z.array(z.number()),
  visits: z.array(z.int()),
  intervals: z.array(z.tuple([z.number(), z.number()])),
  method: z.string(),
  kinds: z.array(z.enum(['perception', 'reasoning'])).optional(),
});

export type LabelRecord = z.infer<typeof labelRecord>;

/** Training paths of a run's folder, in file order, streamed.
 *  @throws SteptreeError EXPORT_NOTHING if the folder has none, EXPORT_INPUT_INVALID naming the line */
export async function* readLabels(dir: string): AsyncGenerator<LabelRecord> {
  const path = join(dir, 'labels.jsonl');
  const isThere = await stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
  if (!isThere) throw nothingIn(dir, 'labels.jsonl');
  for await (const record of readRecords(path)) {
    if ('error' in record) throw invalidLine(path, record.line, record.error);
    const parsed = labelRecord.safeParse(record.value);
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      throw invalidLine(path, record.line, `${issue?.path.join('.')}: ${issue?.message}`);
    }
    const { steps, labels, visits, intervals } = parsed.data;
    const counts = [labels.length, visits.length, intervals.length];
    if (counts.some((count) => count !== steps.length)) {
      const got = `${steps.length} steps with ${counts.join(', ')} labels, visits, intervals`;
      throw invalidLine(path, record.line, `${got}; expected one of each per step`);
    }
    yield parsed.data;
  }
}

/** @param what the file or folder that was looked for */
export function nothingIn(dir: string, what: string): SteptreeError {
  return new SteptreeError(
    'EXPORT_NOTHING',
    `${dir} has no ${what}; give the --out folder of a finished "steptree label" run`,
    { dir, missing: what },
  );
}

function invalidLine(path: string, line: number, why: string): SteptreeError {
  return new SteptreeError(
    'EXPORT_INPUT_INVALID',
    `${path}, line ${line}: ${why}; expected a line as "steptree label" writes it. Resume the run to make the file again`,
    { path, line },
  );
}
