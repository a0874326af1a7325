import type { FastifyReply } from 'fastify';

/** Server-sent events on a connection that Fastify has prepared: its headers, security's included,
 *  are sent; from here on the writer owns the connection.
 *
 *  What a slow reader has not taken yet is kept for it, which is bounded by one answer; the search
 *  behind it does not wait. */
export class EventStream {
  private closed = false;
  private readonly pulse: NodeJS.Timeout;

  constructor(private readonly reply: FastifyReply) {
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>),
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      // Tells nginx not to gather the events.
      'x-accel-buffering': 'no',
    });
    raw.flushHeaders();
    raw.once('close', () => this.stop());
    // Proxies cut what is silent.
    this.pulse = setInterval(() => this.comment('waiting'), PULSE_MS);
    this.pulse.unref();
  }

  /** Clients of OpenAI's API ignore comments. */
  comment(text: string): void {
    this.write(`: ${text}\n\n`);
  }

  data(value: unknown, event?: string): void {
    const name = event === undefined ? '' : `event: ${event}\n`;
    this.write(`${name}data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`);
  }

  end(): void {
    this.stop();
    this.reply.raw.end();
  }

  /** Bytes that the client has not taken yet. */
  get behind(): number {
    return this.reply.raw.writableLength;
  }

  private write(text: string): void {
    if (!this.closed && !this.reply.raw.destroyed) this.reply.raw.write(text);
  }

  private stop(): void {
    this.closed = true;
    clearInterval(this.pulse);
  }
}

const PULSE_MS = 5_000;
