/** What runs in a model-host thread, whichever model it holds. */
import { parentPort, workerData } from 'node:worker_threads';
import { type HostCommand, type HostMessage, plainError } from './protocol.js';

/** A model as its thread holds it. */
export interface ThreadModel<Request, Reply, Stats> {
  /** For the host's stats, such as which graph runs. */
  readonly about: string;
  stats(): Stats;
  /** Once the signal aborts nobody waits for the reply, and it may never come. */
  answer(request: Request, signal: AbortSignal): Promise<Reply>;
  /** Waits for the last pass and frees the sessions; everything was aborted before. */
  release(): Promise<void>;
}

/** Loads the model and answers until the thread is told to close; then it ends itself. Ending it from
 *  outside during a run would abort the process. */
export async function serveModel<Data, Request, Reply, Stats>(
  load: (data: Data) => Promise<ThreadModel<Request, Reply, Stats>>,
): Promise<void> {
  const port = parentPort;
  if (port === null) return;
  const post = (message: HostMessage<Reply, Stats>) => port.postMessage(message);
  let model: ThreadModel<Request, Reply, Stats>;
  try {
    model = await load(workerData as Data);
  } catch (error) {
    post({ kind: 'unusable', error: plainError(error) });
    return;
  }
  const running = new Map<number, AbortController>();
  port.on('message', (command: HostCommand<Request>) => {
    switch (command.kind) {
      case 'ask':
        for (const { id, request } of command.calls) void answer(model, id, request, running, post);
        break;
      case 'cancel':
        running.get(command.id)?.abort();
        running.delete(command.id);
        break;
      case 'stats':
        post({ kind: 'stats', id: command.id, stats: model.stats() });
        break;
      case 'close':
        for (const controller of running.values()) controller.abort();
        void model.release().finally(() => port.close());
        break;
    }
  });
  post({ kind: 'ready', about: model.about });
}

async function answer<Request, Reply, Stats>(
  model: ThreadModel<Request, Reply, Stats>,
  id: number,
  request: Request,
  running: Map<number, AbortController>,
  post: (message: HostMessage<Reply, Stats>) => void,
): Promise<void> {
  const controller = new AbortController();
  running.set(id, controller);
  try {
    const reply = await model.answer(request, controller.signal);
    post({ kind: 'reply', id, reply });
  } catch (error) {
    // After a cancel nobody waits for this id any more.
    if (running.has(id)) post({ kind: 'error', id, error: plainError(error) });
  } finally {
    running.delete(id);
  }
}
