import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The judge that MM-PRM's loop asks about every rollout, as an OpenAI-compatible server. It
 *  answers at once and is never wrong, which is more than a 72 B model behind HTTP would do. */
export interface Judge {
  /** Base URL, with `/v1`. */
  readonly url: string;
  close(): Promise<void>;
}

const GOLD = /Correct Answer:\n(.*?)\n-{8}/s;
const GIVEN = /Model's Answer:\n(.*?)\n-{8}/s;

export async function startJudge(): Promise<Judge> {
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const { messages } = JSON.parse(Buffer.concat(parts).toString('utf8'));
    const text = String(messages[0].content[0].text);
    const right = GIVEN.exec(text)?.[1] === `Answer: ${GOLD.exec(text)?.[1]}`;
    const message = { role: 'assistant', content: right ? 'Yes' : 'No' };
    const reply = JSON.stringify({
      id: 'judge',
      object: 'chat.completion',
      created: 0,
      model: 'judge',
      choices: [{ index: 0, message, finish_reason: 'stop' }],
    });
    response.writeHead(200, { 'content-type': 'application/json' }).end(reply);
  });
  server.keepAliveTimeout = 120_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
