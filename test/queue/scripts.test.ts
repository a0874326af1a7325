import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runKeys } from '../../src/queue/keys.js';
import { QueueScripts } from '../../src/queue/scripts.js';
import { temporaryFolder } from '../support/cli.js';
import { hasRedis, startRedis, type TestRedis } from '../support/redis.js';

const folder = temporaryFolder();
const keys = runKeys('label', 'run');
const JOB = 'run-0-abc';

describe.skipIf(!hasRedis)('what is done in Redis in one go (needs redis-server)', () => {
  let redis: TestRedis;
  let scripts: QueueScripts;

  beforeAll(async () => {
    const dir = join(folder, 'redis');
    mkdirSync(dir);
    redis = await startRedis(dir);
    scripts = new QueueScripts(redis.client);
  });

  afterAll(() => redis.close());

  beforeEach(async () => {
    await redis.client.flushall();
    await redis.client.hset(keys.meta, { specHash: 'hash' });
    await redis.client.sadd(keys.wanted, JOB);
  });

  /** A worker begins and tries. @returns losses that it was told of */
  const attempt = async (token: string) => {
    const { how, losses } = await scripts.begin(keys, JOB, token);
    expect(how).toBe('mine');
    expect(await scripts.try(keys, JOB, token)).toBe('mine');
    return losses;
  };

  it('a try without a new reply is a loss, and a new reply makes all of them undone', async () => {
    expect(await attempt('a:1')).toBe(0);
    expect(await attempt('b:1')).toBe(1);
    expect(await attempt('c:1')).toBe(2);
    await scripts.put(keys, JOB, 'c:1', ['key', Buffer.from('reply')]);
    expect(await attempt('d:1')).toBe(0);
    expect(await attempt('e:1')).toBe(1);
  });

  it('a worker that hands a job back takes back its own try and no other', async () => {
    await attempt('a:1');
    await attempt('a:10');
    await scripts.release(keys, JOB, 'a:10');
    expect(await attempt('b:1')).toBe(1);
    // It is not a's any more.
    expect(await scripts.release(keys, JOB, 'a:1')).toBe('taken');
  });

  it('a worker that lives was not lost, whoever has its job by now', async () => {
    await attempt('a:1');
    await attempt('b:1');
    await scripts.absolve(keys, JOB, 'a:1');
    // Once is enough, and who has no try is no matter.
    await scripts.absolve(keys, JOB, 'a:1');
    await scripts.absolve(keys, JOB, 'b:10');
    expect((await scripts.begin(keys, JOB, 'c:1')).losses).toBe(1);
    await scripts.absolve(keys, 'run-1-settled', 'a:1');
    expect(await redis.client.hkeys(keys.tries)).toEqual([JOB]);
  });

  it('only the owner stores replies and a result, and nobody once it is forgotten', async () => {
    await attempt('a:1');
    await attempt('b:1');
    const put = (token: string, text: string) =>
      scripts.put(keys, JOB, token, ['key', Buffer.from(text)]);
    expect(await put('a:1', 'late')).toBe('taken');
    expect(await put('b:1', 'first')).toBe('mine');
    expect(await put('b:1', 'second')).toBe('mine');
    expect(await redis.client.hgetall(keys.replies(JOB))).toEqual({ key: 'first' });
    expect(await scripts.finish(keys, JOB, 'a:1', Buffer.from('result'))).toBe('taken');
    await scripts.forget(keys, JOB);
    expect(await scripts.finish(keys, JOB, 'b:1', Buffer.from('result'))).toBe('unwanted');
    await redis.client.del(keys.meta);
    expect(await put('b:1', 'third')).toBe('forgotten');
  });

  it('of a job whose owner Redis has lost, the first that claims it is the owner', async () => {
    await attempt('a:1');
    await redis.client.del(keys.owner);
    expect(await scripts.put(keys, JOB, 'a:1', ['key', Buffer.from('x')])).toBe('unowned');
    expect(await scripts.claim(keys, JOB, 'a:1')).toBe('mine');
    expect(await scripts.claim(keys, JOB, 'b:1')).toBe('taken');
  });
});
