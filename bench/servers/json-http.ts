/** JSON over node:http, as the simulated server speaks it. */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** A request's body; null where it is none, and then the connection is broken. */
export async function readJson(request: IncomingMessage): Promise<Record<string, unknown> | null> {
  try {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    return JSON.parse(Buffer.concat(parts).toString('utf8')) as Record<string, unknown>;
  } catch {
    // The client broke off, or sent what is no JSON: either way there is nobody to answer.
    request.destroy();
    return null;
  }
}

export function errorBody(message: string): Record<string, unknown> {
  return { error: { message, type: 'simulated' } };
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  send(response, status, JSON.stringify(value));
}

export function send(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}

/** Chunked, so that the reply's end looks regular and only its JSON is cut. */
export function sendCut(response: ServerResponse, text: string): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(text.slice(0, Math.ceil(text.length * 0.6)));
}
