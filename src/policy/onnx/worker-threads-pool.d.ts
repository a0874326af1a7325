declare module 'worker-threads-pool' {
  import type { Worker, WorkerOptions } from 'node:worker_threads';

  /** Each `acquire` starts a new Worker; its slot is free again when that Worker exits. */
  export default class Pool {
    constructor(options?: { max?: number; maxWaiting?: number });
    acquire(
      filename: string,
      options: WorkerOptions,
      callback: (error: Error | null, worker?: Worker) => void,
    ): void;
  }
}
