import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The fields of a request that tests look at by name. */
export interface CallBody {
  readonly model: string;
  readonly n: number;
  readonly seed: number;
  readonly stop: readonly string[] | null;
  readonly messages: readonly { readonly role: string; readonly content: unknown }[];
  readonly prompt?: string;
  readonly min_tokens?: number;
  readonly max_completion_tokens?: number;
}

/** One request that the server got. */
export interface Call {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: CallBody;
  readonly response: ServerResponse;
  /** Resolves when the connection of this call is gone. */
  readonly closed: Promise<void>;
}

export interface ScriptedServer {
  readonly url: string;
  readonly port: number;
  /** Completion calls so far; model lists are not counted. */
  readonly calls: Call[];
  /** Times that somebody asked for `/health`. */
  readonly probes: number;
  close(): Promise<void>;
}

/** A server on the loopback interface whose completions are answered by `answer`. It lists one
 *  model, `m`, and is by default a vLLM. */
export async function startScriptedServer(
  answer: (call: Call, index: number) => void,
  options: {
    ownedBy?: string;
    port?: number;
    models?: (response: ServerResponse) => void;
    health?: (response: ServerResponse) => void;
  } = {},
): Promise<ScriptedServer> {
  const calls: Call[] = [];
  let probes = 0;
  const server = createServer(async (request, response) => {
    const path = request.url ?? '';
    if (path.endsWith('/models')) {
      const list = { data: [{ id: 'm', owned_by: options.ownedBy ?? 'vllm' }] };
      if (options.models) options.models(response);
      else sendJson(response, 200, list);
      return;
    }
    if (path === '/health') {
      probes++;
      // As vLLM's: an empty body.
      if (options.health) options.health(response);
      else response.writeHead(200).end();
      return;
    }
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = JSON.parse(Buffer.concat(parts).toString('utf8')) as CallBody;
    const closed = once(response, 'close').then(() => undefined);
    const call: Call = { path, headers: request.headers, body, response, closed };
    calls.push(call);
    answer(call, calls.length - 1);
  });
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    calls,
    get probes() {
      return probes;
    },
    async close() {
      if (!server.listening) return;
      const done = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await done;
    },
  };
}

export function sendJson(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(value));
}

/** A chat reply with one choice per text, each ended by the end token as vLLM says it. */
export function chatReply(
  texts: readonly string[],
  changes: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    choices: texts.map((text, index) => ({
      index,
      message: { role: 'assistant', content: text },
      finish_reason: 'stop',
      stop_reason: null,
      ...changes,
    })),
    usage: { prompt_tokens: 10, completion_tokens: 5 * texts.length },
  };
}

/** Answers `n` times the same text. */
export function sendTexts(call: Call, text = 'Answer: 12'): void {
  sendJson(call.response, 200, chatReply(Array.from({ length: call.body.n }, () => text)));
}
