/** Step scores from vLLM's `/pooling`: a reward head's rows at the step separators. */
import { z } from 'zod';
import { SteptreeError } from '../search/errors.js';
import type { Step } from '../search/types.js';
import { countError } from './check.js';
import type { PoolingOptions, PromptOptions } from './options.js';
import type { ModelServer, PathHost, PathJob, ScoredPath, ServerCall } from './ports.js';
import { type ChatMessage, escapeMarkers, questionText, systemMessage } from './prompt.js';
import { Vocabulary } from './vocabulary.js';

export const POOLING_TEMPLATES = ['qwen-prm', 'math-shepherd', 'skywork'] as const;
export type PoolingTemplate = (typeof POOLING_TEMPLATES)[number];

/** How one published PRM is asked, and what its rows are. */
interface PoolingFormat {
  readonly separator: string;
  /** Numbers in a row: a reward, or the chances of two classes. */
  readonly width: 1 | 2;
  /** Which of two classes is "correct". */
  readonly positive: 0 | 1;
  readonly activation: 'none' | 'sigmoid';
  readonly rows: 'steps' | 'tokens';
  /** How question and steps are put together; null where steps are tokenised one by one. */
  readonly prompt:
    | ((
        question: string,
        steps: readonly Step[],
        systemPrompt: string | undefined,
      ) => { readonly messages: readonly ChatMessage[] } | { readonly input: string })
    | null;
}

const FORMATS: Readonly<Record<PoolingTemplate, PoolingFormat>> = {
  // Qwen2.5-Math-PRM (arXiv 2501.07301): a two-class head, softmax taken by the server, which
  // returns the rows at <extra_0> alone (STEP pooling).
  'qwen-prm': {
    separator: '<extra_0>',
    width: 2,
    positive: 1,
    activation: 'none',
    rows: 'steps',
    prompt: (question, steps, systemPrompt = QWEN_SYSTEM_PROMPT) => ({
      messages: [
        ...systemMessage(systemPrompt),
        { role: 'user', content: question },
        { role: 'assistant', content: steps.map((step) => `${step}<extra_0>`).join('') },
      ],
    }),
  },
  // Math-Shepherd (arXiv 2312.08935): vocabulary logits of + and - at the step tag, in this order
  // if the server runs with returned_token_ids [648, 387].
  'math-shepherd': {
    separator: ' ки',
    width: 2,
    positive: 0,
    activation: 'none',
    rows: 'steps',
    prompt: (question, steps) => ({
      input: `${question}\n ${steps.map((step) => `${step} ки`).join('\n')}`,
    }),
  },
  // Skywork-o1-PRM: a value head, read at the newline that ends each step. That newline is a token of
  // its own in training; in running text most vocabularies would make one token of ".\n".
  skywork: {
    separator: '\n',
    width: 1,
    positive: 0,
    activation: 'sigmoid',
    rows: 'tokens',
    prompt: null,
  },
};

// The prompt that the model's card tells to use.
const QWEN_SYSTEM_PROMPT =
  'Please reason step by step, and put your final answer within \\boxed{}.';

/** Rounding of half precision in two chances that should sum to 1. */
const SUM_TOLERANCE = 0.01;

const pooled = z.object({
  data: z.array(z.object({ data: z.unknown() })).length(1),
  usage: z.object({ prompt_tokens: z.number().nullish() }).nullish(),
});

/** A discriminative PRM behind `/pooling`. No server offers a multimodal one there, so pictures are
 *  not shown. A row that is no reward (hidden states, as a server returns them that was started
 *  with other flags), or another number of rows than of steps, is an error.
 *  Jobs fail with SCORE_ROW_INVALID, SCORE_COUNT, SCORE_REPLY_INVALID, SCORE_TOKEN_INVALID,
 *  SCORE_MODE_UNSUPPORTED and what the server throws. */
export function createPoolingHost(
  server: ModelServer,
  options: PoolingOptions & PromptOptions,
): PathHost {
  const format = FORMATS[options.template];
  const vocabulary = new Vocabulary(server);
  const name = `pooling ${server.name}`;
  const scoreOne = async ({ problem, steps, signal }: PathJob): Promise<ScoredPath> => {
    const call = { affinity: problem.id, signal };
    const prompt = await render(format, vocabulary, { problem, steps, ...options }, call);
    const body = {
      model: await server.model(signal),
      ...prompt.fields,
      ...(options.task === '' ? {} : { task: options.task }),
    };
    const reply = readPooling(await server.post('../pooling', body, call), server.name);
    const rows = options.rows === 'auto' ? format.rows : options.rows;
    const stepRows =
      rows === 'steps' ? reply.rows : rowsAt(await prompt.separators(), reply.rows, name);
    if (stepRows.length !== steps.length) {
      throw countError(name, stepRows.length, steps.length, problem.id);
    }
    return {
      scores: { steps: stepRows.map((row) => rowScore(row, format, server.name)) },
      prmTokens: reply.promptTokens,
    };
  };
  return {
    name,
    scores: 'steps',
    batchSize: 1,
    scorePaths: (jobs) => jobs.map(scoreOne),
    close: () => server.close(),
  };
}

/** Rows of one pooled text, with the tokens that it took.
 *  @throws SteptreeError SCORE_REPLY_INVALID */
export function readPooling(
  reply: unknown,
  serverName: string,
): { readonly rows: readonly unknown[]; readonly promptTokens: number } {
  const parsed = pooled.safeParse(reply);
  const rows = parsed.data?.data[0]?.data;
  if (parsed.success && Array.isArray(rows)) {
    return { rows, promptTokens: parsed.data.usage?.prompt_tokens ?? 0 };
  }
  throw new SteptreeError(
    'SCORE_REPLY_INVALID',
    `${serverName} replied without data[0].data; expected a reply of vLLM's /pooling. Start it with --runner pooling`,
    { server: serverName },
  );
}

/** The score that a row is.
 *  @throws SteptreeError SCORE_ROW_INVALID */
export function rowScore(
  row: unknown,
  { width, positive, activation }: Pick<PoolingFormat, 'width' | 'positive' | 'activation'>,
  serverName: string,
): number {
  // A scalar head's rows come as numbers or as lists of one.
  const values: readonly unknown[] = Array.isArray(row) ? row : [row];
  if (values.length !== width) {
    throw rowError(serverName, `holds ${values.length} numbers instead of ${width}`);
  }
  const numbers = values.filter((value): value is number => Number.isFinite(value));
  if (numbers.length !== width) throw rowError(serverName, `holds ${JSON.stringify(row)}`);
  if (width === 2) {
    const [first = 0, second = 0] = numbers;
    const isSoftmax = Math.abs(first + second - 1) <= SUM_TOLERANCE && first >= 0 && second >= 0;
    if (!isSoftmax)
      throw rowError(serverName, `holds ${first} and ${second}, which do not sum to 1`);
    return positive === 0 ? first : second;
  }
  const [value = 0] = numbers;
  return activation === 'sigmoid' ? 1 / (1 + Math.exp(-value)) : value;
}

function rowError(serverName: string, what: string): SteptreeError {
  return new SteptreeError(
    'SCORE_ROW_INVALID',
    `a row of ${serverName} ${what}: these are no rewards (hidden states, perhaps, or raw logits); start the server with --runner pooling and the pooler configuration of the model, and check --pooling-template`,
    { server: serverName },
  );
}

/** A path as it is asked. */
interface Prompt {
  /** Fields of the request. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** Where the separators of the steps stand among all tokens. */
  separators(): Promise<{ readonly places: readonly number[]; readonly tokens: number }>;
}

async function render(
  format: PoolingFormat,
  vocabulary: Vocabulary,
  path: Pick<PathJob, 'problem' | 'steps'> & Pick<PromptOptions, 'systemPrompt'>,
  call: ServerCall,
): Promise<Prompt> {
  const { separator } = format;
  const clean = (text: string) => escapeMarkers(text, [separator]);
  const steps = path.steps.map(clean);
  const question = questionText(path.problem);
  if (!format.prompt) return stepTokens(vocabulary, escapeMarkers(question, []), steps, call);
  const fields = format.prompt(clean(question), steps, path.systemPrompt);
  return {
    fields,
    separators: async () => {
      const [id, ids] = await Promise.all([
        vocabulary.tokenOf(separator),
        'input' in fields
          ? vocabulary.tokenize({ prompt: fields.input }, call)
          : vocabulary.conversation(fields.messages, false, call),
      ]);
      return {
        places: ids.flatMap((one, place) => (one === id ? [place] : [])),
        tokens: ids.length,
      };
    },
  };
}

/** Question and newline, then each step and a newline, all tokenised apart. */
async function stepTokens(
  vocabulary: Vocabulary,
  question: string,
  steps: readonly Step[],
  call: ServerCall,
): Promise<Prompt> {
  const [newline, opening, ...tokenised] = await Promise.all([
    vocabulary.tokenOf('\n'),
    vocabulary.tokenize({ prompt: `${question}\n` }, call),
    ...steps.map((step) => vocabulary.tokenize({ prompt: step, add_special_tokens: false }, call)),
  ]);
  const input = [...opening];
  const places = tokenised.map((ids) => input.push(...ids, newline) - 1);
  return { fields: { input }, separators: async () => ({ places, tokens: input.length }) };
}

/** From servers that return a row for every token: those where a separator stands. */
function rowsAt(
  { places, tokens }: { readonly places: readonly number[]; readonly tokens: number },
  rows: readonly unknown[],
  hostName: string,
): unknown[] {
  if (tokens !== rows.length) {
    throw new SteptreeError(
      'SCORE_ROW_INVALID',
      `${hostName} gives ${rows.length} rows for ${tokens} tokens; expected one for each. If it returns rows at the separators only, take --pooling-rows steps`,
      { host: hostName, rows: rows.length, tokens },
    );
  }
  return places.map((place) => rows[place]);
}
