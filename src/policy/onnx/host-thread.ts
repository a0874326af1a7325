/** The model-host thread: owns the sessions, so that a run blocks nobody else. It ends itself once
 *  it is told to close; ending it from outside during a run would abort the process. */
import { parentPort, workerData } from 'node:worker_threads';
import { OnnxModel } from './model.js';
import { type HostCommand, type HostMessage, type HostThreadData, plainError } from './protocol.js';

const port = parentPort;
if (port !== null) await serve(port, workerData as HostThreadData);

type Port = NonNullable<typeof parentPort>;

async function serve(port: Port, data: HostThreadData): Promise<void> {
  const post = (message: HostMessage) => port.postMessage(message);
  let model: OnnxModel;
  try {
    model = await OnnxModel.load(data.folder, data.options);
  } catch (error) {
    post({ kind: 'unusable', error: plainError(error) });
    return;
  }
  const running = new Map<number, AbortController>();
  port.on('message', (command: HostCommand) => {
    switch (command.kind) {
      case 'sample':
        void answer(model, command, running, post);
        break;
      case 'cancel':
        running.get(command.id)?.abort();
        running.delete(command.id);
        break;
      case 'stats':
        post({ kind: 'stats', id: command.id, stats: { ...model.stats } });
        break;
      case 'close':
        for (const controller of running.values()) controller.abort();
        void model.release().finally(() => port.close());
        break;
    }
  });
  post({ kind: 'ready', decoder: model.decoderName });
}

async function answer(
  model: OnnxModel,
  command: Extract<HostCommand, { kind: 'sample' }>,
  running: Map<number, AbortController>,
  post: (message: HostMessage) => void,
): Promise<void> {
  const { id, request } = command;
  const controller = new AbortController();
  running.set(id, controller);
  try {
    const reply = await model.sample(request, controller.signal);
    post({ kind: 'reply', id, reply });
  } catch (error) {
    // After a cancel nobody waits for this id any more.
    if (running.has(id)) post({ kind: 'error', id, error: plainError(error) });
  } finally {
    running.delete(id);
  }
}
