/** The shapes in which problem files come, each turned into the fields of Steptree's own. */

export const PROBLEM_FORMATS = [
  'auto',
  'steptree',
  'mm-prm',
  'mathvista',
  'math-vision',
  'gsm8k',
] as const;

export type ProblemFormat = Exclude<(typeof PROBLEM_FORMATS)[number], 'auto'>;

/** A record of a file, before any check. */
export type Fields = Readonly<Record<string, unknown>>;

/** Finds the format by the fields of the first record; what fits no other is taken as Steptree's own,
 *  so that its messages tell what is missing. */
export function detectFormat(fields: Fields): ProblemFormat {
  const has = (...names: string[]) => names.every((name) => name in fields);
  if (has('question', 'correct_answer')) return 'mm-prm';
  if (has('question', 'pid')) return 'mathvista';
  if (has('question', 'options')) return 'math-vision';
  const { answer } = fields;
  if (!has('id') && typeof answer === 'string' && answer.includes('####')) return 'gsm8k';
  return 'steptree';
}

/** The record in Steptree's own fields; those of foreign formats that we don't know go to `metadata`.
 *  @param index of the record in its file, from 0: the id where the format has none
 *  @param key of the record, where the file is an object of records */
export function toOwnFields(
  format: ProblemFormat,
  fields: Fields,
  index: number,
  key?: string,
): Fields {
  switch (format) {
    case 'steptree':
      return key === undefined || 'id' in fields ? fields : { id: key, ...fields };
    case 'mm-prm':
      return fromMmPrm(fields, index);
    case 'mathvista':
      return fromMathVista(fields, key);
    case 'math-vision':
      return fromMathVision(fields, index);
    case 'gsm8k':
      return fromGsm8k(fields, index);
  }
}

/** The name that a field of Steptree's has in the file, for messages. */
export function fieldInFile(format: ProblemFormat, field: string): string {
  return renamed[format]?.[field] ?? field;
}

const renamed: Partial<Record<ProblemFormat, Readonly<Record<string, string>>>> = {
  'mm-prm': { answer: 'correct_answer', image: 'image_path' },
  mathvista: { id: 'pid', answerType: 'answer_type' },
  'math-vision': { choices: 'options' },
};

/** MM-PRM's seed file: id, question, correct_answer, image_path. */
function fromMmPrm(fields: Fields, index: number): Fields {
  const { id = `mm-prm-${index}`, question, correct_answer: answer, image_path: image } = fields;
  return clean({ id, question, answer, image, metadata: rest(fields, mmPrmFields) });
}

const mmPrmFields = ['id', 'question', 'correct_answer', 'image_path'];

/** MathVista: an object of records by pid. */
function fromMathVista(fields: Fields, key?: string): Fields {
  const { pid = key, question, image, choices, answer, precision } = fields;
  const type = fields.question_type === 'multi_choice' ? 'choice' : fields.answer_type;
  const answerType = { choice: 'choice', integer: 'number', float: 'number', list: 'list' }[
    String(type)
  ];
  const metadata = rest(fields, mathVistaFields);
  return clean({ id: pid, question, image, choices, answer, precision, answerType, metadata });
}

const mathVistaFields = ['pid', 'question', 'image', 'choices', 'answer', 'precision'];

/** MATH-Vision: the gold answer of a problem with options is a letter. */
function fromMathVision(fields: Fields, index: number): Fields {
  const { id = `math-vision-${index}`, question, image, options, answer } = fields;
  const hasOptions = Array.isArray(options) && options.length > 0;
  const choices = hasOptions ? { choices: options, answerType: 'choice' } : {};
  const metadata = rest(fields, mathVisionFields);
  return clean({ id, question, image, answer, ...choices, metadata });
}

const mathVisionFields = ['id', 'question', 'image', 'options', 'answer'];

/** GSM8K: the answer is a worked solution that ends in `#### 42`. */
function fromGsm8k(fields: Fields, index: number): Fields {
  const { id = `gsm8k-${index}`, question, answer } = fields;
  const solution = typeof answer === 'string' ? answer : '';
  const final = solution.includes('####') ? solution.split('####').at(-1)?.trim() : answer;
  const metadata = { ...rest(fields, ['id', 'question', 'answer']), solution };
  return clean({ id, question, answer: final, answerType: 'number', metadata });
}

function rest(fields: Fields, known: readonly string[]): Fields | undefined {
  const entries = Object.entries(fields).filter(([name]) => !known.includes(name));
  return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}

function clean(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
