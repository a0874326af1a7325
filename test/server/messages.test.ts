import { describe, expect, it } from 'vitest';
import type { Problem } from '../../search/index.js';
import type { ChatMessage } from '../../src/server/chat-schema.js';
import { asOneQuestion, problemOf } from '../../src/server/messages.js';

const limits = { maxMessages: 5, maxTextChars: 100 };
const admitter = { count: () => {}, admit: async (url: string) => url };
const read = (messages: ChatMessage[], takesTurns = true): Promise<Problem> =>
  problemOf(messages, limits, takesTurns, admitter);
const image = (url: string) => ({ type: 'image_url' as const, image_url: { url } });
const text = (words: string) => ({ type: 'text' as const, text: words });

describe('problemOf', () => {
  it('takes the last message as the question and the others as turns', async () => {
    const problem = await read([
      { role: 'system', content: 'Be brief.' },
      { role: 'developer', content: 'Use cm.' },
      { role: 'user', content: [image('data:a'), text('What is it?')] },
      { role: 'assistant', content: 'A cube.' },
      { role: 'user', content: [text('How long'), text('is an edge?'), image('data:b')] },
    ]);
    expect(problem.question).toBe('How long\nis an edge?');
    expect(problem.images.map(({ location }) => location)).toEqual(['data:b']);
    expect(problem.turns).toEqual([
      { role: 'system', text: 'Be brief.\n\nUse cm.', images: [] },
      { role: 'user', text: 'What is it?', images: [{ source: 'data:a', location: 'data:a' }] },
      { role: 'assistant', text: 'A cube.', images: [] },
    ]);
  });

  it('gives equal conversations one id, and others another', async () => {
    const id = async (...words: string[]) =>
      (await read(words.map((content) => ({ role: 'user', content })))).id;
    expect(await id('a', 'b')).toBe(await id('a', 'b'));
    expect(
      new Set([await id('a', 'b'), await id('b'), await id('ab'), await id('b', 'a')]).size,
    ).toBe(4);
  });

  it.each<[string, ChatMessage[]]>([
    ['an answer to continue', [{ role: 'assistant', content: 'So' }]],
    [
      'a late system message',
      [
        { role: 'user', content: 'a' },
        { role: 'system', content: 'b' },
        { role: 'user', content: 'c' },
      ],
    ],
    [
      'a text between pictures',
      [{ role: 'user', content: [image('data:a'), text('and'), image('data:b')] }],
    ],
    [
      'a picture of the assistant',
      [
        { role: 'assistant', content: [image('data:a')] },
        { role: 'user', content: 'c' },
      ],
    ],
    ['a speaker’s name', [{ role: 'user', content: 'a', name: 'Bo' }]],
  ])('refuses %s', async (_what, messages) => {
    await expect(read(messages)).rejects.toMatchObject({ code: 'SERVE_MESSAGES_UNSUPPORTED' });
  });

  it('refuses turns and system messages where the policy reads one question', async () => {
    const messages: ChatMessage[] = [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'a' },
    ];
    await expect(read(messages, false)).rejects.toMatchObject({
      code: 'SERVE_MESSAGES_UNSUPPORTED',
    });
    // An empty system message says nothing that could be dropped.
    const [, question] = messages as [ChatMessage, ChatMessage];
    await expect(read([{ role: 'system', content: '' }, question], false)).resolves.toBeDefined();
  });

  it('refuses too many, too long, empty and broken texts', async () => {
    const many = Array.from({ length: 6 }, (): ChatMessage => ({ role: 'user', content: 'a' }));
    await expect(read(many)).rejects.toMatchObject({ code: 'SERVE_REQUEST_TOO_LARGE' });
    const code = (content: string) => expect(read([{ role: 'user', content }])).rejects;
    await code('x'.repeat(101)).toMatchObject({ code: 'SERVE_REQUEST_TOO_LARGE' });
    await code(' ').toMatchObject({ code: 'SERVE_REQUEST_INVALID' });
    await code('\ud800').toMatchObject({ code: 'SERVE_REQUEST_INVALID' });
  });
});

it('reward models read a conversation as one question with all its pictures', () => {
  const ref = (location: string) => ({ source: location, location });
  const problem = asOneQuestion({
    id: 'p',
    question: 'How long?',
    images: [ref('b')],
    turns: [
      { role: 'system', text: 'Use cm.', images: [] },
      { role: 'user', text: 'What?', images: [ref('a')] },
      { role: 'assistant', text: 'A cube.', images: [] },
    ],
  });
  expect(problem.question).toBe(
    'Instructions: Use cm.\n\nUser: What?\n\nAssistant: A cube.\n\nUser: How long?',
  );
  expect(problem.images).toEqual([ref('a'), ref('b')]);
  expect(problem.turns).toBeUndefined();
});
