import type { FastifyReply, FastifyRequest } from 'fastify';
import { SteptreeError } from '../../search/errors.js';
import type { ImageAdmitter } from './images.js';

/** Bounds the bodies of all requests under way together: those that wait for a place hold theirs, and
 *  a queue of large pictures would fill the memory. */
export class PendingBytes {
  private bytes = 0;
  /** What each has of it. */
  private readonly underWay = new WeakMap<object, number>();

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
    this.refuseBeyond(bytes, 0);
    this.underWay.set(raw, bytes);
    this.bytes += bytes;
    raw.once('close', () => {
      this.bytes -= this.underWay.get(raw) ?? 0;
      this.underWay.delete(raw);
    });
  }

  /** The same pictures; those that did not come with the request are counted with it.
   *  @throws SteptreeError SERVE_BUSY from `admit` too */
  counting(images: ImageAdmitter, { raw }: Pick<FastifyReply, 'raw'>): ImageAdmitter {
    return {
      count: (number) => images.count(number),
      admit: async (url) => {
        const admitted = await images.admit(url);
        const own = this.underWay.get(raw);
        // Its client may be gone by now.
        if (own === undefined || /^data:/i.test(url)) return admitted;
        this.refuseBeyond(admitted.length, own);
        this.underWay.set(raw, own + admitted.length);
        this.bytes += admitted.length;
        return admitted;
      },
    };
  }

  private refuseBeyond(bytes: number, own: number): void {
    if (this.bytes === own || this.bytes + bytes <= this.maxBytes) return;
    throw new SteptreeError(
      'SERVE_BUSY',
      'the requests under way are too large together (--max-pending-mb); try again in 2 s',
      { retryAfterSeconds: 2 },
    );
  }
}
