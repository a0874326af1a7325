import { contentHash, type Problem, SteptreeError, type Turn } from '../../search/index.js';
import type { ChatMessage } from './chat-schema.js';
import type { ImageAdmitter } from './images.js';

export interface MessageLimits {
  readonly maxMessages: number;
  readonly maxTextChars: number;
}

/** The problem that a conversation ends with: the last message is the question, what was said before
 *  it are the problem's turns. Equal conversations have one id, and so the same seeds.
 *  @param takesTurns whether the policy reads more than the question
 *  @throws SteptreeError SERVE_MESSAGES_UNSUPPORTED, SERVE_REQUEST_INVALID, SERVE_REQUEST_TOO_LARGE
 *  and what admitting a picture throws */
export async function problemOf(
  messages: readonly ChatMessage[],
  limits: MessageLimits,
  takesTurns: boolean,
  images: ImageAdmitter,
): Promise<Problem> {
  refuseTooMuch(messages, limits);
  const parts = messages.map(partsOf);
  const last = parts.at(-1);
  if (last === undefined || last.role !== 'user') {
    throw unsupported('the last message must be the user’s; an answer is not continued');
  }
  if (last.text.trim() === '') {
    throw new SteptreeError(
      'SERVE_REQUEST_INVALID',
      'the last message has no text; ask something',
      {
        param: `messages.${messages.length - 1}.content`,
      },
    );
  }
  const before = turnsOf(parts.slice(0, -1));
  if (before.length > 0 && !takesTurns) {
    throw unsupported(
      'the policy of this service reads one question: send one user message, without a system message and earlier turns',
    );
  }
  // Counted before any is looked at.
  images.count(parts.reduce((sum, { urls }) => sum + urls.length, 0));
  const admit = (urls: readonly string[]) =>
    Promise.all(urls.map(async (url) => refOf(await images.admit(url))));
  const turns: Turn[] = [];
  for (const { role, text, urls } of before) {
    turns.push({ role, text, images: await admit(urls) });
  }
  const problem = { question: last.text, images: await admit(last.urls) };
  return {
    id: `chat-${idOf(problem, turns)}`,
    ...problem,
    ...(turns.length > 0 ? { turns } : {}),
  };
}

/** The whole conversation as one question, for reward models and critics, whose prompts have one. */
export function asOneQuestion(problem: Problem): Problem {
  const { turns, ...rest } = problem;
  if (!turns) return problem;
  const said = turns.map(({ role, text }) => `${ROLE_NAMES[role]}: ${text}`);
  return {
    ...rest,
    question: [...said, `${ROLE_NAMES.user}: ${problem.question}`].join('\n\n'),
    images: [...turns.flatMap(({ images }) => images), ...problem.images],
  };
}

const ROLE_NAMES = { system: 'Instructions', user: 'User', assistant: 'Assistant' } as const;

interface MessageParts {
  readonly role: Turn['role'];
  readonly text: string;
  readonly urls: readonly string[];
}

/** Pictures stand before the text, wherever they stood: policies are asked in that order. Where a
 *  text stands between two pictures that would change what it says, so it is refused. */
function partsOf(message: ChatMessage, index: number): MessageParts {
  const role = message.role === 'developer' ? 'system' : message.role;
  if (message.name != null) {
    throw unsupported(
      'names of speakers are not passed on; leave them out',
      `messages.${index}.name`,
    );
  }
  const { content } = message;
  if (typeof content === 'string') return { role, text: content, urls: [] };
  const kinds = content.map(({ type }) => type).join(' ');
  if (/image_url( text)+ image_url/.test(kinds)) {
    throw unsupported(
      'a text stands between two pictures; give all pictures first, or all at the end',
      `messages.${index}.content`,
    );
  }
  const urls = content.flatMap((part) => (part.type === 'image_url' ? [part.image_url.url] : []));
  if (urls.length > 0 && role !== 'user') {
    throw unsupported(`a picture stands in a message of ${role}`, `messages.${index}.content`);
  }
  const texts = content.flatMap((part) => (part.type === 'text' ? [part.text] : []));
  return { role, text: texts.join('\n'), urls };
}

/** System messages at the start are joined; later ones have no place that every model knows. */
function turnsOf(parts: readonly MessageParts[]): readonly MessageParts[] {
  const first = parts.findIndex(({ role }) => role !== 'system');
  const opening = first < 0 ? parts : parts.slice(0, first);
  const rest = first < 0 ? [] : parts.slice(first);
  if (rest.some(({ role }) => role === 'system')) {
    throw unsupported('a system message stands after others; put it first');
  }
  const rules = opening.map(({ text }) => text).filter((text) => text.trim() !== '');
  if (rules.length === 0) return rest;
  return [{ role: 'system', text: rules.join('\n\n'), urls: [] }, ...rest];
}

function refuseTooMuch(
  messages: readonly ChatMessage[],
  { maxMessages, maxTextChars }: MessageLimits,
): void {
  if (messages.length > maxMessages) {
    throw tooLarge(`${messages.length} messages are more than ${maxMessages} (--max-messages)`);
  }
  let chars = 0;
  messages.forEach(({ content }, index) => {
    const parts =
      typeof content === 'string' ? [{ type: 'text', text: content } as const] : content;
    for (const part of parts) {
      if (part.type !== 'text') continue;
      chars += part.text.length;
      refuseBrokenText(part.text, `messages.${index}.content`);
    }
  });
  if (chars > maxTextChars) {
    throw tooLarge(
      `the messages have ${chars} characters, more than ${maxTextChars} (--max-text-chars)`,
    );
  }
}

/** Half of a surrogate pair can't be written as UTF-8: servers would get another text.
 *  @throws SteptreeError SERVE_REQUEST_INVALID */
export function refuseBrokenText(text: string, param: string): void {
  if (!/\p{Surrogate}/u.test(text)) return;
  throw new SteptreeError(
    'SERVE_REQUEST_INVALID',
    `${param} holds half of a surrogate pair, which is no text; send well-formed Unicode`,
    { param },
  );
}

function refOf(location: string) {
  return { source: location, location };
}

function idOf(problem: Pick<Problem, 'question' | 'images'>, turns: readonly Turn[]): string {
  const partsOfTurn = ({ role, text, images }: Turn) => [
    role,
    text,
    ...images.map((i) => i.source),
  ];
  const { question, images } = problem;
  const said = turns.flatMap((turn) => [...partsOfTurn(turn), '']);
  return contentHash([...said, question, ...images.map(({ source }) => source)]).slice(0, 16);
}

function unsupported(text: string, param = 'messages'): SteptreeError {
  return new SteptreeError('SERVE_MESSAGES_UNSUPPORTED', text, { param });
}

function tooLarge(text: string): SteptreeError {
  return new SteptreeError('SERVE_REQUEST_TOO_LARGE', `${text}; send less`, { param: 'messages' });
}
