import type { FastifyReply, FastifyRequest } from 'fastify';
import { SteptreeError } from '../../search/errors.js';

/** Bounds the bodies of all requests under way together: those that wait for a place hold theirs, and
 *  a queue of large pictures would fill the memory. */
export class PendingBytes {
  private bytes = 0;

  constructor(
    private readonly maxBytes: number,
    /** Of a body that doesn't say its length. */
    private readonly maxBodyBytes: number,
  ) {}

  /** Counts a request until its reply is closed. One alone always fits.
   *  @throws SteptreeError SERVE_BUSY */
  take({ headers }: Pick<FastifyRequest, 'headers'>, { raw }: Pick<FastifyReply, 'raw'>): void {
    const stated = Number(headers['content-length']);
    const bytes = Number.isFinite(stated) ? stated : this.maxBodyBytes;
    if (this.bytes > 0 && this.bytes + bytes > this.maxBytes) {
      throw new SteptreeError(
        'SERVE_BUSY',
        'the requests under way are too large together (--max-pending-mb); try again in 2 s',
        { retryAfterSeconds: 2 },
      );
    }
    this.bytes += bytes;
    raw.once('close', () => {
      this.bytes -= bytes;
    });
  }
}
