/** Messages to chat servers, and what stands in them. */
import type { Problem, Step } from '../search/types.js';

export type ContentPart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image_url'; readonly image_url: { readonly url: string } };

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string | readonly ContentPart[];
}

// Words that model servers replace by pictures.
const PICTURE_PLACEHOLDERS = ['<image>', '<img>', '</img>', '<IMG_CONTEXT>'];

/** The question with its choices as lines of `(A) …`. */
export function questionText(problem: Problem): string {
  const choices = (problem.choices ?? []).map(
    (choice, index) => `(${String.fromCharCode(65 + index)}) ${choice}`,
  );
  if (choices.length === 0) return problem.question;
  return `${problem.question}\n\nChoices:\n${choices.join('\n')}`;
}

/** The steps as `Step 1: …`, an empty line between them. */
export function numberedSteps(steps: readonly Step[]): string {
  return steps.map((step, index) => `Step ${index + 1}: ${step}`).join('\n\n');
}

/** A message with its pictures first, so that all requests of a problem share that prefix.
 *  @param images as `data:` URLs */
export function withPictures(
  role: ChatMessage['role'],
  images: readonly string[],
  text: string,
): ChatMessage {
  if (images.length === 0) return { role, content: text };
  const pictures = images.map((url): ContentPart => ({ type: 'image_url', image_url: { url } }));
  return { role, content: [...pictures, { type: 'text', text }] };
}

/** The message for a server that shall only count tokens of its text. */
export function withoutPictures({ role, content }: ChatMessage): ChatMessage {
  if (typeof content === 'string') return { role, content };
  return { role, content: content.filter((part) => part.type === 'text') };
}

/** One system message, or none for an empty text. */
export function systemMessage(text: string): ChatMessage[] {
  return text === '' ? [] : [{ role: 'system', content: text }];
}

/** Text in which no marker, control token or picture placeholder stands any more: a space after
 *  its first character keeps the tokenizer from reading one, and people can still read it. A
 *  step that spells out a marker would else be counted as two steps.
 *  @param markers of white space alone (a newline as separator) become a space */
export function escapeMarkers(text: string, markers: readonly string[]): string {
  let escaped = text.replace(/<\|(?=[^|\s]*\|>)/g, '< |');
  for (const marker of [...markers, ...PICTURE_PLACEHOLDERS]) {
    const visible = marker.trim();
    if (visible === '') {
      if (marker !== '') escaped = escaped.replaceAll(marker, ' ');
      continue;
    }
    const split = `${visible.slice(0, 1)} ${visible.slice(1)}`;
    while (visible.length > 1 && escaped.includes(visible)) {
      escaped = escaped.replaceAll(visible, split);
    }
  }
  return escaped;
}
