import { fork } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Problem } from '../../search/types.js';
import {
  type AnswerVerifier,
  createVerifier,
  type VerifierSettings,
} from '../../src/verify/checker.js';

const problem: Problem = { id: 'p', question: 'What is 6 times 7?', images: [], answer: '42' };
const expression: Problem = { ...problem, answer: 'x+1' };

/** Hangs, fills the heap or dies where the answer says so. */
const hostileComparer = `
export default (gold, predicted) => {
  if (predicted.includes('hang')) for (;;) {}
  if (predicted.includes('heap')) { const all = []; for (;;) all.push(new Array(1000).fill(all.length)); }
  if (predicted.includes('exit')) process.exit(3);
  return predicted.includes('same') ? 'equal' : 'different';
};
`;

/** Whether a process still runs; signal 0 only asks. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function until(condition: () => boolean, withinMs: number): Promise<boolean> {
  const end = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}

describe('the verifier', { timeout: 120_000 }, () => {
  let dir: string;
  let symbolicModule: string;
  const open: AnswerVerifier[] = [];

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'steptree-verify-'));
    await writeFile(join(dir, 'hostile.mjs'), hostileComparer);
    symbolicModule = pathToFileURL(join(dir, 'hostile.mjs')).href;
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((verifier) => verifier.close()));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));

  function verifier(settings: VerifierSettings = {}): AnswerVerifier {
    const made = createVerifier(settings);
    open.push(made);
    return made;
  }

  const boxed = (answer: string) => [`So it is \\boxed{${answer}}.`];

  it('grades solutions in the order they were given', async () => {
    const verdicts = await verifier().verify(problem, [
      ['6 times 7 is 42.', 'Answer: 42'],
      ['Answer: 41'],
      ['I do not know.'],
    ]);
    expect(verdicts).toEqual([
      { verdict: 'equal', extracted: '42' },
      { verdict: 'different', extracted: '41' },
      { verdict: 'different', reason: 'no-answer' },
    ]);
  });

  it('leaves a problem without a gold answer ungraded', async () => {
    const { answer: _, ...open } = problem;
    expect(await verifier().verify(open, [['Answer: 42']])).toEqual([
      { verdict: 'ungraded', reason: 'no-gold' },
    ]);
  });

  it('leaves an answer over the limit ungraded', async () => {
    const [verdict] = await verifier({ checkMaxChars: 5 }).verify(problem, [boxed('1234567')]);
    expect(verdict).toMatchObject({ verdict: 'ungraded', reason: 'too-long' });
  });

  it('asks a symbolic comparer only about what rules leave open', async () => {
    const one = verifier({ symbolicModule });
    expect(await one.verify(problem, [boxed('hang apples in the tree')])).toMatchObject([
      { verdict: 'different' },
    ]);
    expect(await one.verify(expression, [boxed('\\int same x'), boxed('\\int 2x')])).toMatchObject([
      { verdict: 'equal' },
      { verdict: 'different' },
    ]);
  });

  it('ends a check that hangs, and still grades the rest of its batch', async () => {
    const one = verifier({ symbolicModule, checkTimeoutMs: 2_000 });
    const verdicts = await one.verify(expression, [
      boxed('\\int same x'),
      boxed('\\int hang x'),
      boxed('\\int other x'),
      boxed('\\int same y'),
    ]);
    expect(verdicts.map((verdict) => verdict.reason ?? verdict.verdict)).toEqual([
      'equal',
      'timeout',
      'different',
      'equal',
    ]);
    expect(one.stats().killed).toBe(1);
  });

  it('ends a check that exhausts the heap, and one that crashes', async () => {
    const one = verifier({ symbolicModule, checkMemoryMb: 32, checkTimeoutMs: 60_000 });
    const verdicts = await one.verify(expression, [
      boxed('\\int heap x'),
      boxed('\\int same x'),
      boxed('\\int exit x'),
    ]);
    expect(verdicts.map((verdict) => verdict.reason ?? verdict.verdict)).toEqual([
      'memory',
      'equal',
      'crashed',
    ]);
  });

  it('compares equal answers to equal problems once', async () => {
    const one = verifier();
    const solutions = Array.from({ length: 16 }, () => ['Answer: 42']);
    await one.verify(problem, solutions);
    await one.verify({ ...problem, id: 'another' }, solutions);
    expect(one.stats()).toMatchObject({ verified: 32, remembered: 31 });
  });

  it('stops waiting when the signal aborts', async () => {
    const one = verifier({ symbolicModule, checkTimeoutMs: 60_000 });
    const controller = new AbortController();
    const waiting = one.verify(expression, [boxed('\\int hang x')], controller.signal);
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
  });

  it('fails checks under way when it is closed, and leaves no process', async () => {
    const one = verifier({ symbolicModule, checkTimeoutMs: 60_000 });
    await one.verify(expression, [boxed('\\int same x')]);
    const pids = one.pids();
    const waiting = one.verify(expression, [boxed('\\int hang x')]);
    const failed = expect(waiting).rejects.toMatchObject({ code: 'VERIFIER_CLOSED' });
    await one.close();
    await failed;
    expect(pids).toHaveLength(1);
    expect(pids.filter(isAlive)).toEqual([]);
    await expect(one.verify(problem, [['Answer: 3']])).rejects.toMatchObject({
      code: 'VERIFIER_CLOSED',
    });
  });

  it('leaves no busy process behind when the parent is killed', async () => {
    const parentFile = join(dir, 'parent.mjs');
    const library = new URL('../../dist/src/verify/checker.js', import.meta.url).href;
    await writeFile(
      parentFile,
      `import { createVerifier } from ${JSON.stringify(library)};
       const verifier = createVerifier({ symbolicModule: ${JSON.stringify(symbolicModule)}, checkTimeoutMs: 600000 });
       const problem = { id: 'p', question: 'q', images: [], answer: 'x+1' };
       await verifier.verify(problem, [['\\\\boxed{\\\\int same x}']]);
       void verifier.verify(problem, [['\\\\boxed{\\\\int hang x}']]);
       setImmediate(() => setImmediate(() => process.send(verifier.pids())));`,
    );
    const parent = fork(parentFile, {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const pids = await new Promise<number[]>((resolve) => {
      parent.once('message', (message) => resolve(message as number[]));
    });
    expect(pids).toHaveLength(1);
    parent.kill('SIGKILL');
    expect(await until(() => !pids.some(isAlive), 60_000)).toBe(true);
  });
});
