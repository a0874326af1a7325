import type { FastifyReply, FastifyRequest } from 'fastify';
import { SteptreeError } from '../../search/errors.js';
import type { Service } from './service.js';

/** How long a request's work may go on: until its client is gone, its deadline, or the service's end. */
export interface RequestLife {
  readonly signal: AbortSignal;
  /** Forgets the request; must be called in the end. */
  end(): void;
}

export function requestLife(reply: FastifyReply, service: Service): RequestLife {
  const controller = new AbortController();
  const { requestSeconds } = service.settings.server;
  const { raw } = reply;
  const onClose = () => {
    if (raw.writableFinished) return;
    controller.abort(new SteptreeError('SERVE_CLIENT_GONE', 'the client closed the connection'));
  };
  raw.once('close', onClose);
  const timer = setTimeout(() => {
    const text = `the request took longer than ${requestSeconds} s (--request-seconds); ask for less: a smaller steptree.n, or steptree.budget`;
    controller.abort(new SteptreeError('SERVE_DEADLINE', text, { seconds: requestSeconds }));
  }, requestSeconds * 1000);
  service.running.add(controller);
  return {
    signal: controller.signal,
    end: () => {
      clearTimeout(timer);
      raw.off('close', onClose);
      service.running.delete(controller);
    },
  };
}

/** A hook that answers 429 before a body is read: a full service must not spend time on what it
 *  refuses. */
export function refuseWhenFull({ admission, pending }: Pick<Service, 'admission' | 'pending'>) {
  return async (request: FastifyRequest, reply: FastifyReply) => {
    admission.check();
    pending.take(request, reply);
  };
}
