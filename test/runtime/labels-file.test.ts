import { appendFileSync, readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { emptyUsage } from '../../search/index.js';
import { LabelsFile } from '../../src/runtime/labels-file.js';
import { type ProblemRecord, RunStore } from '../../src/runtime/run-store.js';
import { temporaryFolder } from '../support/cli.js';

const folder = temporaryFolder();
let count = 0;

const linesOf = async (treeFile: string) => [`${treeFile} one\n`, `${treeFile} two\n`];

function done(ordinal: number): ProblemRecord {
  return {
    status: 'done',
    id: `p${ordinal}`,
    contentHash: '',
    treeFile: `t${ordinal}`,
    usage: emptyUsage(),
    labels: 2,
  };
}

function failed(ordinal: number): ProblemRecord {
  const failure = { kind: 'run', code: 'X', message: 'x' } as const;
  return { status: 'failed', id: `p${ordinal}`, contentHash: '', failure, usage: emptyUsage() };
}

async function opened() {
  const dir = join(folder, `run-${count++}`);
  const store = new RunStore(join(dir, 'store'));
  const path = join(dir, 'labels.jsonl');
  return { store, path, file: await LabelsFile.open(path, store, linesOf) };
}

async function settle(file: LabelsFile, store: RunStore, ordinal: number, record: ProblemRecord) {
  if (record.status === 'done') await file.offer(ordinal, await linesOf(record.treeFile));
  await store.finish(ordinal, record, { keepReplies: false });
  file.settled(ordinal);
}

const ALL = 't0 one\nt0 two\nt1 one\nt1 two\nt2 one\nt2 two\n';

it('holds the lines in problem order, whatever finishes first', async () => {
  const { store, path, file } = await opened();
  for (const ordinal of [2, 0, 1]) await settle(file, store, ordinal, done(ordinal));
  await file.close();
  await store.close();
  expect(readFileSync(path, 'utf8')).toBe(ALL);
});

it('cuts off what a kill left behind its last known place, and writes on from there', async () => {
  const { store, path, file } = await opened();
  await settle(file, store, 0, done(0));
  await file.close();
  appendFileSync(path, 't1 one\nt1 t');
  await store.finish(1, done(1), { keepReplies: false });
  const again = await LabelsFile.open(path, store, linesOf);
  await settle(again, store, 2, done(2));
  await again.close();
  await store.close();
  expect(readFileSync(path, 'utf8')).toBe(ALL);
});

it('makes the whole file again if somebody shortened it', async () => {
  const { store, path, file } = await opened();
  for (const ordinal of [0, 1, 2]) await settle(file, store, ordinal, done(ordinal));
  await file.close();
  truncateSync(path, 5);
  await (await LabelsFile.open(path, store, linesOf)).close();
  await store.close();
  expect(readFileSync(path, 'utf8')).toBe(ALL);
});

it('puts a problem that failed at first into its place when it succeeds later', async () => {
  const { store, path, file } = await opened();
  await settle(file, store, 0, done(0));
  await settle(file, store, 1, failed(1));
  await settle(file, store, 2, done(2));
  await file.close();
  expect(readFileSync(path, 'utf8')).toBe('t0 one\nt0 two\nt2 one\nt2 two\n');
  const again = await LabelsFile.open(path, store, linesOf);
  await settle(again, store, 1, done(1));
  await again.close();
  await store.close();
  expect(readFileSync(path, 'utf8')).toBe(ALL);
});

it('puts it there also when a kill came between its record and its lines', async () => {
  const { store, path, file } = await opened();
  await settle(file, store, 0, done(0));
  await settle(file, store, 1, failed(1));
  await settle(file, store, 2, done(2));
  await file.close();
  await store.finish(1, done(1), { keepReplies: false });
  await (await LabelsFile.open(path, store, linesOf)).close();
  await store.close();
  expect(readFileSync(path, 'utf8')).toBe(ALL);
});

it('makes no lines again of a problem that it came to before it was told', async () => {
  const dir = join(folder, `run-${count++}`);
  const store = new RunStore(join(dir, 'store'));
  let remade = 0;
  const file = await LabelsFile.open(join(dir, 'labels.jsonl'), store, (treeFile) => {
    remade++;
    return linesOf(treeFile);
  });
  for (const ordinal of [0, 1, 2]) await file.offer(ordinal, await linesOf(`t${ordinal}`));
  for (const ordinal of [0, 1, 2])
    await store.finish(ordinal, done(ordinal), { keepReplies: false });
  file.settled(0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  file.settled(1);
  file.settled(2);
  await file.close();
  await store.close();
  expect(readFileSync(join(dir, 'labels.jsonl'), 'utf8')).toBe(ALL);
  expect(remade).toBe(0);
});

it('marks a problem late that was done while the writer passed it as failed', async () => {
  const { store, file } = await opened();
  await store.finish(0, done(0), { keepReplies: false });
  await store.placeLabels([{ ordinal: 0, status: 'failed', labelsOffset: 0 }], {
    next: 1,
    bytes: 0,
  });
  expect(store.problem(0)).toMatchObject({ status: 'done', late: true, labelsOffset: 0 });
  await file.close();
  await store.close();
});
