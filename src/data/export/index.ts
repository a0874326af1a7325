/** Turns a run's folder into training data of other tools. */
import { resolve } from 'node:path';
import { type AtomicFile, openAtomic } from '../files.js';
import { trlLine, visualPrmLine } from './json-lines.js';
import { type LabelRecord, readLabels } from './label-records.js';
import { writeMmPrm } from './mm-prm.js';
import { type ExportOptions, exportOptions } from './options.js';
import { writeParquet } from './parquet.js';

export { EXPORT_FORMATS, type ExportOptions, exportOptions } from './options.js';

export interface ExportSummary {
  readonly to: ExportOptions['to'];
  /** Absolute path of the file written. */
  readonly out: string;
  /** Training paths in it. */
  readonly examples: number;
}

/** Writes the labels of a run to one file, streamed; an existing file is replaced only by a complete one.
 *  `mm-prm` reads DIR/trees, the others DIR/labels.jsonl.
 *  @param settings.out file to write
 *  @param settings.problemsDir where relative image paths start; needed to embed pictures that have such
 *  @throws SteptreeError EXPORT_NOTHING, EXPORT_INPUT_INVALID, EXPORT_UNSUPPORTED, FILE_WRITE_FAILED;
 *  the signal's reason */
export async function exportRun(
  dir: string,
  settings: Partial<ExportOptions> & { readonly out: string },
  signal?: AbortSignal,
): Promise<ExportSummary> {
  const { out, ...given } = settings;
  const options = exportOptions.parse(given);
  const path = resolve(out);
  const file = await openAtomic(path);
  try {
    const examples = await write(resolve(dir), file, options, signal);
    await file.commit();
    return { to: options.to, out: path, examples };
  } catch (error) {
    await file.discard();
    throw error;
  }
}

function write(
  dir: string,
  file: AtomicFile,
  options: ExportOptions,
  signal?: AbortSignal,
): Promise<number> {
  switch (options.to) {
    case 'mm-prm':
      return writeMmPrm(dir, file, options, signal);
    case 'trl':
      return writeLines(readLabels(dir), file, (record) => trlLine(record, options), signal);
    case 'visualprm':
      return writeLines(readLabels(dir), file, (record) => visualPrmLine(record, options), signal);
    case 'parquet':
      return writeParquet(readLabels(dir), file, { ...options, runDir: dir }, signal);
  }
}

async function writeLines(
  records: AsyncIterable<LabelRecord>,
  file: AtomicFile,
  line: (record: LabelRecord) => string,
  signal?: AbortSignal,
): Promise<number> {
  let count = 0;
  for await (const record of records) {
    signal?.throwIfAborted();
    await file.write(`${line(record)}\n`);
    count++;
  }
  return count;
}
