import { join } from 'node:path';
import { expect, it } from 'vitest';
import { emptyUsage } from '../../search/index.js';
import { type ProblemRecord, RunStore } from '../../src/runtime/run-store.js';
import { temporaryFolder } from '../support/cli.js';

const folder = temporaryFolder();
let count = 0;
const opened = () => new RunStore(join(folder, `store-${count++}`));

const base = { id: 'p', contentHash: 'h', usage: emptyUsage() };
const done: ProblemRecord = { ...base, status: 'done', treeFile: 'p.json', labels: 1 };
const failed: ProblemRecord = {
  ...base,
  status: 'failed',
  failure: { kind: 'run', code: 'X', message: 'x' },
};

it('a problem that is done while the writer of labels passes it as failed is late', async () => {
  const store = opened();
  await store.finish(0, failed, { keepReplies: true });
  // Both are under way at once; neither has seen the other's transaction.
  await Promise.all([
    store.placeLabels([{ ordinal: 0, status: 'failed', labelsOffset: 7 }], { next: 1, bytes: 7 }),
    store.finish(0, done, { keepReplies: false }),
  ]);
  expect(store.problem(0)).toMatchObject({ status: 'done', labelsOffset: 7, late: true });
  await store.close();
});
