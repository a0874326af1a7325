import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { emptyUsage } from '../../search/index.js';
import { type DoneRecord, RunStore } from '../../src/runtime/run-store.js';

const dirs: string[] = [];
afterEach(() => {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
});

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'steptree-run-store-'));
  dirs.push(dir);
  return dir;
}

const done: DoneRecord = {
  status: 'done',
  id: 'p',
  contentHash: 'h',
  treeFile: 'p.json',
  usage: emptyUsage(),
  labels: 0,
};

describe('what nobody waits for', () => {
  it('is stored with the next write, not after it', async () => {
    const store = new RunStore(folder());
    const replies = store.repliesOf(0);
    const stored: string[] = [];
    const soon = replies.putSoon?.('verdict', ['equal']).then(() => stored.push('verdict'));
    await store.repliesOf(1).put('sample', 1);
    expect(replies.get('verdict')).toEqual(['equal']);
    await soon;
    expect(stored).toEqual(['verdict']);
    await store.close();
  });

  it('is stored without any other write too', async () => {
    const store = new RunStore(folder());
    const replies = store.repliesOf(0);
    await replies.putSoon?.('verdict', 1);
    expect(replies.get('verdict')).toBe(1);
    await store.close();
  });

  it('is dropped with the replies of its problem', async () => {
    const store = new RunStore(folder());
    const soon = store.repliesOf(0).putSoon?.('verdict', 1);
    await store.finish(0, done, { keepReplies: false });
    await soon;
    expect([...store.storedReplies(0)]).toEqual([]);
    await store.close();
  });

  it('is stored when the store is closed', async () => {
    const dir = folder();
    const store = new RunStore(dir);
    const soon = store.repliesOf(0).putSoon?.('verdict', 1);
    await store.close();
    await soon;
    const again = new RunStore(dir);
    expect([...again.storedReplies(0)]).toEqual([['verdict', 1]]);
    await again.close();
  });
});
