/** Responses that were made elsewhere. */
import { readFile } from 'node:fs/promises';
import { errorMessage, SteptreeError } from '../../search/errors.js';

export interface GivenResponse {
  readonly id: string;
  readonly response: string;
  /** An extraction made elsewhere, of whatever kind; absent where there is none. */
  readonly extraction?: unknown;
}

/** JSONL or JSON of `{id | pid, response, extraction?}`, or a JSON object of such records by id, as
 *  MathVista's authors publish them.
 *  @param extractionField another name that the set's authors give to the extraction
 *  @throws SteptreeError RESPONSES_INVALID, naming the record */
export async function readResponses(
  path: string,
  extractionField?: string,
): Promise<GivenResponse[]> {
  const written = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new SteptreeError(
      'RESPONSES_INVALID',
      `cannot read ${path}: ${errorMessage(cause)}; give a JSONL file of {id, response} with --responses`,
      { path },
      { cause },
    );
  });
  // Files from Windows begin with a byte order mark.
  return parseRecords(path, written.replace(/^\uFEFF/, '')).map(({ value, key, place }) => {
    const record = (value ?? {}) as Record<string, unknown>;
    const id = record.id ?? record.pid ?? record.sample_index ?? record.unique_id ?? key;
    const response = record.response ?? record.model_response ?? record.answer_text;
    if ((typeof id !== 'string' && typeof id !== 'number') || typeof response !== 'string') {
      throw new SteptreeError(
        'RESPONSES_INVALID',
        `${path}, record ${place}: expected {id | pid, response, extraction?} with a text as response, got ${JSON.stringify(value).slice(0, 120)}`,
        { path, place },
      );
    }
    const extraction =
      record.extraction ?? (extractionField === undefined ? undefined : record[extractionField]);
    return { id: String(id), response, ...(extraction === undefined ? {} : { extraction }) };
  });
}

interface Placed {
  readonly value: unknown;
  readonly key?: string;
  readonly place: number;
}

function parseRecords(path: string, text: string): Placed[] {
  const whole = parsed(text);
  if (Array.isArray(whole)) return whole.map((value, index) => ({ value, place: index + 1 }));
  if (typeof whole === 'object' && whole !== null && !isResponse(whole)) {
    return Object.entries(whole).map(([key, value], index) => ({ value, key, place: index + 1 }));
  }
  return text.split('\n').flatMap((line, index) => {
    if (line.trim() === '') return [];
    const value = parsed(line);
    if (value !== undefined) return [{ value, place: index + 1 }];
    throw new SteptreeError(
      'RESPONSES_INVALID',
      `${path}, line ${index + 1} is not valid JSON; expected {id, response} on every line`,
      { path, place: index + 1 },
    );
  });
}

/** One record, as against an object of records by id. */
function isResponse(value: object): boolean {
  return ['response', 'model_response', 'answer_text'].some((name) => name in value);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
