import {
  type Call,
  type ScriptedServer,
  sendJson,
  startScriptedServer,
} from '../policy/openai/scripted-server.js';

/** A reward model that reads its scores out of the steps: after a step with `p=0.73` the chance of
 *  "positive" is 0.73. It speaks every route that a scorer knows, on the loopback interface. */
export function startToyServer(
  change: (call: Call, reply: unknown) => unknown = (_, reply) => reply,
): Promise<ScriptedServer> {
  return startScriptedServer((call) => {
    const reply = change(call, answer(call.path, call.body as unknown as Body));
    if (reply !== undefined) sendJson(call.response, 200, reply);
  });
}

export interface Body {
  readonly messages?: readonly Message[];
  readonly input?: string | readonly number[];
  readonly prompt?: string;
  readonly max_tokens?: number;
  readonly prompt_logprobs?: number;
  readonly top_logprobs?: number;
  readonly add_generation_prompt?: boolean;
  readonly continue_final_message?: boolean;
  readonly text_2?: string;
  readonly items?: readonly string[];
}

interface Message {
  readonly role: string;
  readonly content: string | readonly { readonly type: string; readonly text?: string }[];
}

const vocabulary = new Map<string, number>();
const tokenById = new Map<number, string>();

/** Words, single other characters, and the special tokens of the known templates. */
export function tokensOf(text: string): string[] {
  return text.match(/<\|[^|]*\|>|<prm>|<extra_0>| ки|\w+|./gsu) ?? [];
}

export function idOf(token: string): number {
  const known = vocabulary.get(token);
  if (known !== undefined) return known;
  vocabulary.set(token, vocabulary.size + 1);
  tokenById.set(vocabulary.size, token);
  return vocabulary.size;
}

/** The chance that the last `p=…` of a text names. */
export function chanceIn(text: string): number {
  return Number([...text.matchAll(/p=(\d*\.?\d+)/g)].at(-1)?.[1] ?? 0.5);
}

export function textOf({ content }: Message): string {
  if (typeof content === 'string') return content;
  return content.map((part) => (part.type === 'text' ? part.text : '<image>')).join('');
}

function render({ messages = [], add_generation_prompt, continue_final_message }: Body): string {
  const text = messages
    .map((message) => `<|im_start|>${message.role}\n${textOf(message)}<|im_end|>\n`)
    .join('');
  if (continue_final_message) return text.slice(0, -'<|im_end|>\n'.length);
  return add_generation_prompt === false ? text : `${text}<|im_start|>assistant\n`;
}

/** Yes, No, +, - and something else, the pairs in the proportion p : 1 - p. */
function distribution(before: string): { token: string; logprob: number }[] {
  const p = chanceIn(before);
  return [
    { token: 'Yes', logprob: Math.log(0.4 * p) },
    { token: 'No', logprob: Math.log(0.4 * (1 - p)) },
    { token: '+', logprob: Math.log(0.4 * p) },
    { token: '-', logprob: Math.log(0.4 * (1 - p)) },
    { token: 'The', logprob: Math.log(0.2) },
  ];
}

function answer(path: string, body: Body): unknown {
  switch (path) {
    case '/tokenize':
      return { tokens: tokensOf(body.prompt ?? render(body)).map(idOf) };
    case '/pooling':
      return pool(body);
    case '/classify': {
      const p = chanceIn(render(body));
      return { data: [{ probs: [1 - p, p] }], usage: { prompt_tokens: 7 } };
    }
    case '/score':
      return { data: [{ score: chanceIn(body.text_2 ?? '') }] };
    case '/v1/score': {
      const p = chanceIn(body.items?.[0] ?? '');
      return { scores: [[p, 1 - p]] };
    }
    default:
      return complete(body);
  }
}

function pool(body: Body): unknown {
  const { input = render({ ...body, add_generation_prompt: false }) } = body;
  const tokens =
    typeof input === 'string' ? tokensOf(input) : input.map((id) => tokenById.get(id) ?? '');
  const text = tokens.join('');
  const chances = tokens.map((_, index) => chanceIn(tokens.slice(0, index + 1).join('')));
  const at = (separator: string) => chances.filter((_, index) => tokens[index] === separator);
  const rows = text.includes('<extra_0>')
    ? at('<extra_0>').map((p) => [1 - p, p])
    : text.includes(' ки')
      ? at(' ки').map((p) => [p, 1 - p])
      : body.input === undefined
        ? [logit(chanceIn(text))]
        : chances.map((p) => [logit(p)]);
  return { data: [{ data: rows }], usage: { prompt_tokens: tokens.length } };
}

export function logit(p: number): number {
  return Math.log(p / (1 - p));
}

function complete(body: Body): unknown {
  const asked = textOf(body.messages?.at(-1) ?? { role: 'user', content: '' });
  if (asked.includes('Solution B:')) return verdictReply(asked);
  if ((body.max_tokens ?? 1) > 1) return critiqueReply(asked);
  const prompt = render(body);
  const tokens = tokensOf(prompt);
  const written = distribution(prompt);
  const best = [...written].sort((a, b) => b.logprob - a.logprob)[0] ?? written[0];
  return {
    choices: [
      {
        message: { content: best?.token },
        logprobs: { content: [{ ...best, top_logprobs: written }] },
      },
    ],
    ...(body.prompt_logprobs === undefined
      ? {}
      : { prompt_token_ids: tokens.map(idOf), prompt_logprobs: tokens.map(place) }),
    usage: { prompt_tokens: tokens.length, completion_tokens: 1 },
  };
}

// As vLLM says it: nothing for the first token, else the likeliest and the one that stands there.
function place(token: string, index: number, tokens: readonly string[]): unknown {
  if (index === 0) return null;
  const before = tokens.slice(0, index).join('');
  const chances = [{ token, logprob: -3 }, ...distribution(before)];
  return Object.fromEntries(
    chances.map((one) => [idOf(one.token), { logprob: one.logprob, decoded_token: one.token }]),
  );
}

function verdictReply(asked: string): unknown {
  const [, a = '', b = ''] = /Solution A:(.*)Solution B:(.*)Which/s.exec(asked) ?? [];
  const chance = chanceIn(a) / (chanceIn(a) + chanceIn(b));
  const top = [
    { token: 'A', logprob: Math.log(chance) },
    { token: 'B', logprob: Math.log(1 - chance) },
  ];
  const content = chance >= 0.5 ? 'A' : 'B';
  return {
    choices: [
      {
        message: { content },
        logprobs: { content: [{ token: content, logprob: 0, top_logprobs: top }] },
      },
    ],
    usage: { prompt_tokens: 20, completion_tokens: 1 },
  };
}

function critiqueReply(asked: string): unknown {
  const steps = asked.split(/Step \d+: /).slice(1);
  const judged = steps.map((step) => ({
    intent: 'reads',
    visual_alignment: 'agrees',
    soundness: 'follows',
    verdict: chanceIn(step) >= 0.5 ? 'Correct' : 'Incorrect',
    probability: chanceIn(step),
  }));
  const wrong = judged.some((step) => step.verdict === 'Incorrect');
  const content = JSON.stringify({ steps: judged, correction: wrong ? 'mended p=0.9' : null });
  return {
    choices: [{ message: { content } }],
    usage: { prompt_tokens: 30, completion_tokens: 12 },
  };
}
