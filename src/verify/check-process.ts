/** The process in which answers are compared. It can be killed at any moment: it holds nothing. */
import { Worker } from 'node:worker_threads';
import { errorMessage } from '../../search/errors.js';
import type { CheckBatch, CheckReply } from './check-pool.js';
import { type Comparison, compareAnswers, type SymbolicComparer } from './equivalence.js';

// A check that hangs keeps this thread from noticing that the parent is gone; a second thread
// notices for it. The check of the parent's id works where a signal could not be caught.
const watchdog = `
const { workerData } = require('node:worker_threads');
setInterval(() => { if (process.ppid !== workerData) process.kill(process.pid, 'SIGKILL'); }, 500);
`;
new Worker(watchdog, { eval: true, workerData: process.ppid, execArgv: [] }).unref();

// Ctrl-C reaches the whole group; the parent decides when its checks end.
process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit(0));

const symbolic = await loadComparer(process.argv[2]);
process.on('message', (message) => answer(message as CheckBatch));
process.send?.({ ready: true } satisfies CheckReply);

function answer(batch: CheckBatch): void {
  const results = batch.checks.map(({ gold, predicted }): Comparison => {
    try {
      return compareAnswers(gold, predicted, symbolic);
    } catch (error) {
      return { verdict: 'ungraded', reason: `check-failed: ${errorMessage(error)}` };
    }
  });
  process.send?.({ id: batch.id, results } satisfies CheckReply);
}

async function loadComparer(url: string | undefined): Promise<SymbolicComparer | undefined> {
  if (!url) return undefined;
  const module = (await import(url)) as { default: SymbolicComparer };
  return module.default;
}
