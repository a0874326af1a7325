/** Typed columns for pyarrow, DuckDB and Hugging Face datasets; pictures as its Image feature has them. */
import { readFile } from 'node:fs/promises';
import { basename, isAbsolute } from 'node:path';
import type { SchemaElement } from 'hyparquet';
import { ByteWriter, type ColumnSource, ParquetWriter, type Writer } from 'hyparquet-writer';
import { errorMessage, SteptreeError } from '../../../search/errors.js';
import type { AtomicFile } from '../files.js';
import { dataUrlBytes, imageRef } from '../images.js';
import { isStoredPicture } from '../pictures.js';
import type { LabelRecord } from './label-records.js';

interface ImageCell {
  readonly bytes: Uint8Array | null;
  readonly path: string | null;
}

/** A row group is written at so many rows or bytes of pictures and text, whichever comes first. */
const groupRows = 10_000;
const groupBytes = 64 * 1024 * 1024;
/** Pictures kept while rows of the same problem follow each other. */
const rememberedImages = 16;

/** Everything is nullable, though nothing but image cells ever is null: `datasets` takes the features in
 *  the metadata only where the column types equal its own, and those are nullable. */
const schema: SchemaElement[] = [
  { name: 'root', num_children: 9 },
  text('id'),
  text('question'),
  ...list('images', [
    { name: 'element', repetition_type: 'OPTIONAL', num_children: 2 },
    { name: 'bytes', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' },
    { name: 'path', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' },
  ]),
  ...list('steps', [element({ type: 'BYTE_ARRAY', converted_type: 'UTF8' })]),
  ...list('labels', [element({ type: 'DOUBLE' })]),
  ...list('visits', [element({ type: 'INT32' })]),
  ...list('intervals', list('element', [element({ type: 'DOUBLE' })])),
  ...list('kinds', [element({ type: 'BYTE_ARRAY', converted_type: 'UTF8' })]),
  text('method'),
];

/** Tells `datasets.load_dataset('parquet', …)` that `images` are pictures. */
const huggingFaceFeatures = JSON.stringify({
  info: {
    features: {
      id: value('string'),
      question: value('string'),
      images: sequence({ _type: 'Image' }),
      steps: sequence(value('string')),
      labels: sequence(value('float64')),
      visits: sequence(value('int32')),
      intervals: sequence(sequence(value('float64'))),
      kinds: sequence(value('string')),
      method: value('string'),
    },
  },
});

/** Columns id, question, images (list of {bytes, path}), steps, labels, visits, intervals (list of
 *  [low, high]), kinds (empty unless a judge gave them) and method. Memory holds one row group.
 *  @param settings.images `embed` holds the bytes, `path` the paths only
 *  @param settings.problemsDir where relative paths start
 *  @param settings.runDir where those of stored pictures start
 *  @returns how many rows were written
 *  @throws SteptreeError EXPORT_INPUT_INVALID for a picture that can't be read, EXPORT_UNSUPPORTED for a
 *  relative path without `problemsDir`; the signal's reason */
export async function writeParquet(
  records: AsyncIterable<LabelRecord>,
  file: AtomicFile,
  settings: {
    readonly images: 'embed' | 'path';
    readonly problemsDir: string;
    readonly runDir: string;
  },
  signal?: AbortSignal,
): Promise<number> {
  const writer = new ParquetWriter({
    writer: flushingWriter(file),
    schema,
    kvMetadata: [{ key: 'huggingface', value: huggingFaceFeatures }],
    createdBy: 'steptree',
  });
  const images = new ImageCells(settings);
  let rows: (LabelRecord & { cells: readonly ImageCell[] })[] = [];
  let bytes = 0;
  let count = 0;
  const writeGroup = async () => {
    if (rows.length > 0)
      await writer.write({ columnData: columns(rows), rowGroupSize: rows.length });
    count += rows.length;
    rows = [];
    bytes = 0;
  };
  for await (const record of records) {
    signal?.throwIfAborted();
    const cells = await images.of(record);
    rows.push({ ...record, cells });
    bytes += cells.reduce((sum, cell) => sum + (cell.bytes?.length ?? 0), 0);
    bytes += record.question.length + record.steps.reduce((sum, step) => sum + step.length, 0);
    if (rows.length >= groupRows || bytes >= groupBytes) await writeGroup();
  }
  await writeGroup();
  await writer.finish();
  return count;
}

function columns(rows: readonly (LabelRecord & { cells: readonly ImageCell[] })[]): ColumnSource[] {
  const column = (name: string, read: (row: (typeof rows)[number]) => unknown): ColumnSource => ({
    name,
    data: rows.map(read),
  });
  return [
    column('id', (row) => row.id),
    column('question', (row) => row.question),
    // Pictures are compressed already, and their smallest and largest bytes tell nothing.
    { ...column('images', (row) => row.cells), codec: 'UNCOMPRESSED', statistics: false },
    column('steps', (row) => row.steps),
    column('labels', (row) => row.labels),
    column('visits', (row) => row.visits),
    column('intervals', (row) => row.intervals),
    column('kinds', (row) => row.kinds ?? []),
    column('method', (row) => row.method),
  ];
}

/** Reads each picture once while the rows of its problem pass by. */
class ImageCells {
  private readonly known = new Map<string, Promise<ImageCell>>();

  constructor(
    private readonly settings: {
      readonly images: 'embed' | 'path';
      readonly problemsDir: string;
      readonly runDir: string;
    },
  ) {}

  of(record: LabelRecord): Promise<ImageCell[]> {
    return Promise.all(record.images.map((source) => this.cell(source, record.id)));
  }

  private cell(source: string, id: string): Promise<ImageCell> {
    const known = this.known.get(source);
    if (known) return known;
    const made = this.read(source, id);
    this.known.set(source, made);
    if (this.known.size > rememberedImages) {
      this.known.delete(this.known.keys().next().value ?? '');
    }
    return made;
  }

  private async read(source: string, id: string): Promise<ImageCell> {
    if (source.startsWith('data:')) return { bytes: dataUrlBytes(source) ?? null, path: null };
    if (this.settings.images === 'path') return { bytes: null, path: source };
    const { runDir } = this.settings;
    const problemsDir = isStoredPicture(source) ? runDir : this.settings.problemsDir;
    if (problemsDir === '' && !isAbsolute(source)) throw dirUnknown(source, id);
    const { location } = imageRef(source, problemsDir);
    try {
      return { bytes: await readFile(location), path: basename(source) };
    } catch (cause) {
      throw new SteptreeError(
        'EXPORT_INPUT_INVALID',
        `cannot read ${location}, a picture of problem "${id}": ${errorMessage(cause)}; expected it where the problem file names it. Give that file's folder with --problems-dir, or export with --images path`,
        { id, path: location },
        { cause },
      );
    }
  }
}

function dirUnknown(source: string, id: string): SteptreeError {
  return new SteptreeError(
    'EXPORT_UNSUPPORTED',
    `${source}, a picture of problem "${id}", is a relative path, and the folder that it starts from is not known; give it with --problems-dir, or export with --images path`,
    { id, source },
  );
}

/** Hands every finished row group to the file instead of growing in memory. */
function flushingWriter(file: AtomicFile): Writer {
  const bytes = new ByteWriter();
  const flush = async (): Promise<void> => {
    const part = bytes.getBytes().slice();
    bytes.index = 0;
    await file.write(part);
  };
  return Object.assign(bytes, { flush, finish: flush }) as unknown as Writer;
}

function text(name: string): SchemaElement {
  return { name, type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' };
}

function element(type: Pick<SchemaElement, 'type' | 'converted_type'>): SchemaElement {
  return { name: 'element', repetition_type: 'OPTIONAL', ...type };
}

/** Parquet's standard three levels. */
function list(name: string, content: SchemaElement[]): SchemaElement[] {
  return [
    { name, converted_type: 'LIST', repetition_type: 'OPTIONAL', num_children: 1 },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    ...content,
  ];
}

function value(dtype: string): { dtype: string; _type: 'Value' } {
  return { dtype, _type: 'Value' };
}

function sequence(feature: object): { feature: object; _type: 'Sequence' } {
  return { feature, _type: 'Sequence' };
}
