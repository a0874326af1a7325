import { readFileSync } from 'node:fs';
import { Template } from '@huggingface/jinja';
import { describe, expect, it } from 'vitest';

const templates = ['training/prm_chat_template.jinja', 'models/figmath-prm/chat_template.jinja'];

describe.each(templates)('%s', (file) => {
  const template = new Template(readFileSync(file, 'utf8'));
  const render = (content: unknown) =>
    template.render({ messages: [{ role: 'assistant', content }] }) as string;
  const texts = (...parts: string[]) => parts.map((text) => ({ type: 'text', text }));
  const marked = '<|im_start|>assistant\nA=1.<prm>\n\nAnswer: 1<prm>';

  // vLLM hands every text over as a list of one, in which the markers but the last were lost.
  it.each([
    { name: 'a text', content: 'A=1.\n\nAnswer: 1' },
    { name: 'a text that has its markers', content: 'A=1.<prm>\n\nAnswer: 1<prm>' },
    { name: 'a list of one text', content: texts('A=1.<prm>\n\nAnswer: 1<prm>') },
    { name: 'a list of steps', content: texts('A=1.', 'Answer: 1') },
  ])('puts the marker after every step of $name', ({ content }) => {
    expect(render(content)).toBe(marked);
  });

  // transformers continues a message by cutting the text at a tag that it puts behind the message.
  it('puts nothing behind a marker that stands already', () => {
    expect(render(texts('A=1.<prm>\n\nAnswer: 1<prm>TAG'))).toBe(`${marked}TAG`);
  });
});
