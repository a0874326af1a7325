/** What must happen in Redis in one go. A worker may have been taken for lost while it was only slow or
 *  cut off: whoever took the job over owns it, and nobody else can write replies or results for it. */
import type { Redis } from 'ioredis';
import { KEPT_SECONDS, type RunKeys, workerKey, workersKey } from './keys.js';

/** How a worker stands to a job.
 *  - `mine`: it owns the job, and what it asked for was done.
 *  - `taken`: another worker owns it now.
 *  - `unwanted`: the run has the result, or wants none.
 *  - `unowned`: wanted, but Redis does not know by whom: it has lost data since.
 *  - `forgotten`: Redis knows nothing of the run; its coordinator will tell it again. */
export type Standing = 'mine' | 'taken' | 'unwanted' | 'unowned' | 'forgotten';

/** KEYS: meta, wanted, owner. ARGV: job, token. */
const STANDING = `
local function standing()
  if redis.call('SISMEMBER', KEYS[2], ARGV[1]) == 0 then
    return redis.call('EXISTS', KEYS[1]) == 1 and 'unwanted' or 'forgotten'
  end
  local owner = redis.call('HGET', KEYS[3], ARGV[1])
  if owner == ARGV[2] then return 'mine' end
  return owner and 'taken' or 'unowned'
end
`;

/** Tries of a job since its last new reply: `replies;token;token;`, how many replies there were then, and
 *  the lock token of each start that has tried since. */
const TRIES = `
local function tries(key)
  return redis.call('HGET', key, ARGV[1]) or '0;'
end
local function without(text, token)
  local from, to = string.find(text, ';' .. token .. ';', 1, true)
  return from and string.sub(text, 1, from) .. string.sub(text, to + 1) or text
end
`;

/** Takes a job over. KEYS: meta, wanted, owner, tries, replies, results. ARGV: job, token.
 *  Returns [standing or done, losses since the last new reply, spec hash]. */
const BEGIN = `${TRIES}
if redis.call('SISMEMBER', KEYS[2], ARGV[1]) == 0 then
  return {redis.call('EXISTS', KEYS[1]) == 1 and 'unwanted' or 'forgotten', 0, ''}
end
if redis.call('HEXISTS', KEYS[6], ARGV[1]) == 1 then return {'done', 0, ''} end
local replies = redis.call('HLEN', KEYS[5])
local known, tokens = string.match(tries(KEYS[4]), '^(%d+)(.*)$')
if replies > tonumber(known) then tokens = ';' end
redis.call('HSET', KEYS[4], ARGV[1], replies .. tokens)
redis.call('HSET', KEYS[3], ARGV[1], ARGV[2])
local _, ends = string.gsub(tokens, ';', ';')
return {'mine', ends - 1, redis.call('HGET', KEYS[1], 'specHash') or ''}
`;

/** Counts a try of a job: a loss, unless a new reply, RELEASE or ABSOLVE follows.
 *  KEYS: meta, wanted, owner, tries. ARGV: job, token. */
const TRY = `${STANDING}${TRIES}
local how = standing()
if how == 'mine' then redis.call('HSET', KEYS[4], ARGV[1], tries(KEYS[4]) .. ARGV[2] .. ';') end
return how
`;

/** The job was taken over from a worker that lives: its try was no loss. KEYS: tries. ARGV: job, token. */
const ABSOLVE = `${TRIES}
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then
  redis.call('HSET', KEYS[1], ARGV[1], without(tries(KEYS[1]), ARGV[2]))
end
return 1
`;

/** Stores a reply; the first under a key stays. KEYS: meta, wanted, owner, replies.
 *  ARGV: job, token, call key, bytes, seconds to keep. */
const PUT = `${STANDING}
local how = standing()
if how == 'mine' then
  redis.call('HSETNX', KEYS[4], ARGV[3], ARGV[4])
  redis.call('EXPIRE', KEYS[4], ARGV[5])
end
return how
`;

/** Owns a job of which Redis has forgotten the owner. KEYS: meta, wanted, owner. ARGV: job, token. */
const CLAIM = `${STANDING}
if standing() == 'unowned' then redis.call('HSET', KEYS[3], ARGV[1], ARGV[2]) end
return standing()
`;

/** Hands in a result. KEYS: meta, wanted, owner, results. ARGV: job, token, bytes, seconds to keep. */
const FINISH = `${STANDING}
local how = standing()
if how == 'mine' then
  redis.call('HSETNX', KEYS[4], ARGV[1], ARGV[3])
  redis.call('EXPIRE', KEYS[4], ARGV[4])
end
return how
`;

/** Gives a job back that was not finished: its try, if there was one, does not count.
 *  KEYS: meta, wanted, owner, tries. ARGV: job, token. */
const RELEASE = `${STANDING}${TRIES}
local how = standing()
if how == 'mine' then
  redis.call('HDEL', KEYS[3], ARGV[1])
  redis.call('HSET', KEYS[4], ARGV[1], without(tries(KEYS[4]), ARGV[2]))
end
return how
`;

/** The run wants no more of a job. KEYS: wanted, owner, tries, results, replies. ARGV: job. */
const FORGET = `
redis.call('SREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[4], ARGV[1])
redis.call('DEL', KEYS[5])
return 1
`;

/** A worker is there. Redis's clock counts, so clocks of machines needn't agree.
 *  KEYS: workers, worker. ARGV: id, ms until it is forgotten, JSON. */
const HEARTBEAT = `
local now = redis.call('TIME')
local ms = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
redis.call('ZADD', KEYS[1], ms, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ms - 10 * tonumber(ARGV[2]))
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[2])
return 1
`;

export interface Begun {
  readonly how: Standing | 'done';
  /** Tries before this one without a new reply. */
  readonly losses: number;
  readonly specHash: string;
}

type Run = (...args: (string | Buffer | number)[]) => Promise<unknown>;

/** The scripts by name, as ioredis runs them: by hash, and by text where Redis does not know it. */
export class QueueScripts {
  private readonly run: Readonly<Record<string, Run>>;

  constructor(redis: Redis) {
    const define = (name: string, numberOfKeys: number, lua: string): Run => {
      const command = `steptree_${name}`;
      redis.defineCommand(command, { numberOfKeys, lua });
      const defined = (redis as unknown as Record<string, Run>)[command];
      return (...args) => (defined as Run).apply(redis, args);
    };
    this.run = {
      begin: define('begin', 6, BEGIN),
      try: define('try', 4, TRY),
      absolve: define('absolve', 1, ABSOLVE),
      put: define('put', 4, PUT),
      claim: define('claim', 3, CLAIM),
      finish: define('finish', 4, FINISH),
      release: define('release', 4, RELEASE),
      forget: define('forget', 5, FORGET),
      heartbeat: define('heartbeat', 2, HEARTBEAT),
    };
  }

  async begin(keys: RunKeys, job: string, token: string): Promise<Begun> {
    const { meta, wanted, owner, tries, results } = keys;
    const reply = await this.call(
      'begin',
      ...[meta, wanted, owner, tries, keys.replies(job), results],
      ...[job, token],
    );
    const [how, count, specHash] = reply as [Begun['how'], number, string];
    return { how, losses: count, specHash };
  }

  /** The job's own work begins. */
  try({ meta, wanted, owner, tries }: RunKeys, job: string, token: string): Promise<Standing> {
    return this.standing('try', meta, wanted, owner, tries, job, token);
  }

  put(
    keys: RunKeys,
    job: string,
    token: string,
    [name, bytes]: readonly [string, Buffer],
  ): Promise<Standing> {
    const { meta, wanted, owner } = keys;
    const where = [meta, wanted, owner, keys.replies(job)];
    return this.standing('put', ...where, job, token, name, bytes, KEPT_SECONDS);
  }

  claim({ meta, wanted, owner }: RunKeys, job: string, token: string): Promise<Standing> {
    return this.standing('claim', meta, wanted, owner, job, token);
  }

  finish(keys: RunKeys, job: string, token: string, bytes: Buffer): Promise<Standing> {
    const { meta, wanted, owner, results } = keys;
    return this.standing('finish', meta, wanted, owner, results, job, token, bytes, KEPT_SECONDS);
  }

  /** The start that the token is of was taken for lost and was not. */
  async absolve({ tries }: RunKeys, job: string, token: string): Promise<void> {
    await this.call('absolve', tries, job, token);
  }

  release(keys: RunKeys, job: string, token: string): Promise<Standing> {
    const { meta, wanted, owner, tries } = keys;
    return this.standing('release', meta, wanted, owner, tries, job, token);
  }

  async forget(keys: RunKeys, job: string): Promise<void> {
    const { wanted, owner, tries, results } = keys;
    await this.call('forget', wanted, owner, tries, results, keys.replies(job), job);
  }

  async heartbeat(queueName: string, id: string, keptMs: number, facts: string): Promise<void> {
    const where = [workersKey(queueName), workerKey(queueName, id)];
    await this.call('heartbeat', ...where, id, keptMs, facts);
  }

  private async standing(name: string, ...args: (string | Buffer | number)[]): Promise<Standing> {
    return (await this.call(name, ...args)) as Standing;
  }

  private call(name: string, ...args: (string | Buffer | number)[]): Promise<unknown> {
    return (this.run[name] as Run)(...args);
  }
}
