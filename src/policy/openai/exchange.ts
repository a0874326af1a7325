import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';

/** A reply, whatever its status. */
export interface HttpReply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Its body as UTF-8, without a byte order mark. */
  readonly text: string;
}

/** One request and its whole reply, as a handler for `Dispatcher.dispatch`.
 *
 *  `Dispatcher.request` gives the body as a stream, which costs as much as all else of a request on
 *  its way; whoever wants the body as one text needs only its chunks. */
export class HttpExchange implements Dispatcher.DispatchHandler {
  /** Rejects with the connection's error, or what `stop` was given. */
  readonly reply: Promise<HttpReply>;
  private settle!: { resolve(reply: HttpReply): void; reject(error: unknown): void };
  private controller: Dispatcher.DispatchController | undefined;
  private stopped: Error | undefined;
  private status = 0;
  private headers: IncomingHttpHeaders = {};
  private readonly chunks: Buffer[] = [];

  constructor() {
    this.reply = new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
    });
  }

  /** Ends it wherever it is: still waiting for a connection, or in the middle of the reply. Does
   *  nothing after the end. */
  stop(reason: Error): void {
    this.stopped ??= reason;
    this.settle.reject(reason);
    this.controller?.abort(reason);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.stopped) controller.abort(this.stopped);
    else this.controller = controller;
  }

  onResponseStart(_: unknown, status: number, headers: IncomingHttpHeaders): void {
    // What comes before a reply (103 and the like) has the same shape; the last one counts.
    this.status = status;
    this.headers = headers;
  }

  onResponseData(_: unknown, chunk: Buffer): void {
    this.chunks.push(chunk);
  }

  onResponseEnd(): void {
    const { status, headers } = this;
    this.settle.resolve({ status, headers, text: textOf(this.chunks) });
  }

  onResponseError(_: unknown, error: Error): void {
    this.settle.reject(error);
  }
}

function textOf(chunks: readonly Buffer[]): string {
  const [first] = chunks;
  if (first === undefined) return '';
  const bytes = chunks.length === 1 ? first : Buffer.concat(chunks);
  const isMarked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return bytes.toString('utf8', isMarked ? 3 : 0);
}
