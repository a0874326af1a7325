import { describe, expect, it } from 'vitest';
import { ask, png, post, startService } from './harness.js';

describe('POST /v1/chat/completions', () => {
  it('answers with the chosen solution, its usage and a steptree object', async () => {
    const service = await startService();
    const { status, body } = await post(service, ask('How many?', { steptree: { n: 6 } }));
    expect(body.error).toBeUndefined();
    expect(status).toBe(200);
    expect(body).toMatchObject({ object: 'chat.completion', model: 'steptree/majority' });
    expect(body.choices[0].message.content).toMatch(/^look\n\nthink \d\n\nAnswer: 42$/);
    expect(body.choices[0].finish_reason).toBe('stop');
    // 6 rollouts of 10 tokens in calls of 1, 1, 2 and 2, each with a prompt of 10.
    expect(body.usage).toMatchObject({
      prompt_tokens: 40,
      completion_tokens: 60,
      total_tokens: 100,
    });
    expect(body.choices[0].steptree).toMatchObject({ strategy: 'majority', answer: '42' });
    expect(body.choices[0].steptree.candidates).toHaveLength(6);
  });

  it('takes a picture', async () => {
    const service = await startService();
    const content = [
      { type: 'text', text: 'How many?' },
      { type: 'image_url', image_url: { url: await png() } },
    ];
    const { status } = await post(service, ask('', { messages: [{ role: 'user', content }] }));
    expect(status).toBe(200);
  });
});
