/** JSON out of chat models: constrained by a schema where the server can, read with tolerance, and
 *  asked for once more where that fails. */
import { errorMessage, SteptreeError } from '../search/errors.js';

/** Why a reply could not be used, in words that the model itself is told. */
export interface Complaint {
  readonly complaint: string;
}

export function isComplaint(value: unknown): value is Complaint {
  return typeof value === 'object' && value !== null && 'complaint' in value;
}

/** Found out by the first refusal, then kept to. */
export interface SchemaDialect {
  takesSchema: boolean;
}

export interface JsonAsk<Message, Reply, Value> {
  readonly messages: readonly Message[];
  /** One call of the model; `responseFormat` only where the server takes one. */
  readonly ask: (messages: readonly Message[], responseFormat?: unknown) => Promise<Reply>;
  readonly textOf: (reply: Reply) => string;
  /** The reply's value, or what is wrong with it. */
  readonly read: (reply: Reply) => Value | Complaint;
  readonly responseFormat: unknown;
  readonly dialect: SchemaDialect;
  /** The error after the second useless reply. */
  readonly giveUp: (complaint: string) => SteptreeError;
}

/** A usable value, at the second attempt at the latest.
 *  @throws what `giveUp` makes, and what `ask` throws */
export async function askForJson<Message, Reply, Value>(
  wish: JsonAsk<Message, Reply, Value>,
  toMessage: (role: 'assistant' | 'user', content: string) => Message,
): Promise<Value> {
  const reply = await askInDialect(wish, wish.messages);
  const first = wish.read(reply);
  if (!isComplaint(first)) return first;
  const repair = [
    toMessage('assistant', wish.textOf(reply)),
    toMessage(
      'user',
      `That could not be used: ${first.complaint}. Reply again with the JSON object alone.`,
    ),
  ];
  const second = wish.read(await askInDialect(wish, [...wish.messages, ...repair]));
  if (!isComplaint(second)) return second;
  throw wish.giveUp(second.complaint);
}

async function askInDialect<Message, Reply, Value>(
  { ask, dialect, responseFormat }: JsonAsk<Message, Reply, Value>,
  messages: readonly Message[],
): Promise<Reply> {
  if (!dialect.takesSchema) return ask(messages);
  try {
    return await ask(messages, responseFormat);
  } catch (error) {
    if (!isFieldRefused(error)) throw error;
    const reply = await ask(messages);
    // Only now it is known that the schema was what the server disliked.
    dialect.takesSchema = false;
    return reply;
  }
}

function isFieldRefused(error: unknown): boolean {
  return (
    error instanceof SteptreeError &&
    error.code === 'POLICY_CALL_REFUSED' &&
    (error.facts.status === 400 || error.facts.status === 422 || error.facts.status === 501)
  );
}

/** The value of a JSON text that may be wrapped in words, thoughts or a code fence. */
export function readJson(reply: string): { readonly value: unknown } | Complaint {
  const json = findJson(reply);
  if (json === undefined) return { complaint: 'it holds no complete JSON object' };
  try {
    return { value: JSON.parse(json) };
  } catch (error) {
    return { complaint: `its JSON is broken (${errorMessage(error)})` };
  }
}

/** The text from the first `{` or `[` to its partner, strings minded. */
function findJson(reply: string): string | undefined {
  const text = reply.split('</think>').at(-1) ?? '';
  const start = text.search(/\{\s*"|\[\s*\{/);
  if (start < 0) return undefined;
  let depth = 0;
  let inString = false;
  for (let index = start; index < text.length; index++) {
    const character = text[index];
    if (inString) {
      if (character === '\\') index++;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === '{' || character === '[') depth++;
    else if (character === '}' || character === ']') {
      depth--;
      if (depth === 0) return text.slice(start, index + 1);
    }
  }
  return undefined;
}
