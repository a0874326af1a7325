import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createRecordedPolicy, type RecordedPolicy } from '../../src/policy/recorded.js';
import { formatRecordedReply } from '../../src/policy/recording.js';
import { createSimulatedPolicy } from '../../src/policy/simulated.js';
import { policyContract } from './contract.js';
import { cats, defaultSimulation, request, simulatedRequests } from './samples.js';

let folder = '';
const opened: RecordedPolicy[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'steptree-recorded-'));
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((policy) => policy.close()));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

let files = 0;
async function write(text: string): Promise<string> {
  const path = join(folder, `recording-${files++}.jsonl`);
  await writeFile(path, text);
  return path;
}

async function openLines(...lines: unknown[]): Promise<RecordedPolicy> {
  const policy = await createRecordedPolicy(
    await write(lines.map((line) => `${JSON.stringify(line)}\n`).join('')),
  );
  opened.push(policy);
  return policy;
}

const line = (prefix: string[], ...rollouts: string[][]) => ({
  problemId: 'cats',
  prefix,
  rollouts,
});

async function recordSimulation(): Promise<string> {
  const live = createSimulatedPolicy(defaultSimulation);
  const lines: string[] = [];
  const { whole, continued, step, truncated } = simulatedRequests;
  for (const asked of [whole, continued, step]) {
    lines.push(formatRecordedReply('cats', asked.prefix, await live.sample(asked)));
  }
  // The recording knows prefixes, not token limits: another prefix stands for the short call.
  const cut = await live.sample(truncated);
  lines.push(formatRecordedReply('cats', ['cut here'], cut));
  return write(lines.join(''));
}

policyContract('the recorded policy', {
  open: async () => createRecordedPolicy(await recordSimulation()),
  requests: {
    ...simulatedRequests,
    truncated: { ...simulatedRequests.truncated, prefix: ['cut here'] },
  },
  deterministic: true,
});

describe('the recorded policy', () => {
  it('gives the rollouts of a prefix in file order, over several lines', async () => {
    const policy = await openLines(
      line([], ['a'], ['b']),
      line(['x'], ['other prefix']),
      line([], ['c'], ['d']),
    );
    const first = await policy.sample(request({ seeds: [1, 2, 3] }));
    expect(first.rollouts.map((rollout) => rollout.steps)).toEqual([['a'], ['b'], ['c']]);
    const second = await policy.sample(request({ seeds: [4] }));
    expect(second.rollouts.map((rollout) => rollout.steps)).toEqual([['d']]);
  });

  it('gives calls made at once their replies in the order they were made', async () => {
    const policy = await openLines(line([], ['a'], ['b'], ['c']));
    const replies = await Promise.all(
      [1, 2, 3].map((seed) => policy.sample(request({ seeds: [seed] }))),
    );
    expect(replies.map((reply) => reply.rollouts[0]?.steps[0])).toEqual(['a', 'b', 'c']);
  });

  it('takes a solution as finished and counts its words where the line says nothing else', async () => {
    const policy = await openLines(line([], ['two words', 'Answer: 4']));
    const { rollouts } = await policy.sample(request({ seeds: [1] }));
    expect(rollouts).toEqual([
      { steps: ['two words', 'Answer: 4'], finish: 'end', policyTokens: 4 },
    ]);
  });

  it('gives back everything that a live reply held', async () => {
    const reply = {
      rollouts: [
        { steps: ['a b'], finish: 'step' as const, policyTokens: 5, meanLogprob: -0.5 },
        { steps: [], finish: 'length' as const, policyTokens: 9 },
      ],
      promptTokens: 30,
      cachedTokens: 16,
    };
    const policy = await createRecordedPolicy(
      await write(formatRecordedReply('cats', ['ä “prefix”'], reply)),
    );
    opened.push(policy);
    const asked = request({ prefix: ['ä “prefix”'], seeds: [1, 2], until: 'step' });
    expect(await policy.sample(asked)).toEqual(reply);
  });

  it('moves on past what a resumed run already has', async () => {
    const policy = await openLines(line([], ['a'], ['b']), line([], ['c']));
    policy.skip('cats', [], 2);
    const { rollouts } = await policy.sample(request({ seeds: [1] }));
    expect(rollouts[0]?.steps).toEqual(['c']);
    expect(policy.stats()).toEqual({ lines: 2, rollouts: 3, used: 3 });
  });

  it('names problem, prefix and numbers when too few rollouts are left', async () => {
    const policy = await openLines(line(['first step', 'x'.repeat(99)], ['a'], ['b']));
    const prefix = ['first step', 'x'.repeat(99)];
    await expect(policy.sample(request({ prefix }))).rejects.toMatchObject({
      code: 'RECORDED_MISS',
      message: expect.stringMatching(
        /can't give 3 rollouts of problem cats after 2 steps, the last being "x{60}…": 2 of those in the file are left/,
      ),
      facts: { problemId: 'cats', asked: 3, left: 2 },
    });
    // A miss takes nothing.
    const { rollouts } = await policy.sample(request({ prefix, seeds: [1, 2] }));
    expect(rollouts.map((rollout) => rollout.steps[0])).toEqual(['a', 'b']);
  });

  it('says so when the file has nothing for a prefix', async () => {
    const policy = await openLines(line([], ['a']));
    await expect(policy.sample(request({ prefix: ['b'], seeds: [1] }))).rejects.toMatchObject({
      code: 'RECORDED_MISS',
      message: expect.stringContaining('the file has none for it'),
    });
    expect(() => policy.skip('dogs', [], 1)).toThrow(/problem dogs after no steps/);
  });

  it('keeps only the first step when a step is asked of a whole solution', async () => {
    const policy = await openLines(line([], ['one', 'two', 'Answer: 3']));
    const { rollouts } = await policy.sample(request({ seeds: [1], until: 'step' }));
    expect(rollouts).toEqual([{ steps: ['one'], finish: 'step', policyTokens: 1 }]);
  });

  it('names the line that is no JSON', async () => {
    const path = await write(`${JSON.stringify(line([], ['a']))}\n\n{"problemId": "cats",\n`);
    await expect(createRecordedPolicy(path)).rejects.toMatchObject({
      code: 'RECORDED_MALFORMED',
      message: expect.stringMatching(/line 3: no valid JSON/),
      facts: { line: 3 },
    });
  });

  it('names the line and the field that is wrong', async () => {
    const unknown = await write(`${JSON.stringify({ ...line([], ['a']), extra: 1 })}\n`);
    await expect(createRecordedPolicy(unknown)).rejects.toThrow(/line 1: .*extra/);
    const missing = await write('{"problemId": "cats", "prefix": []}\n');
    await expect(createRecordedPolicy(missing)).rejects.toThrow(/line 1: rollouts/);
    const uneven = await write(`${JSON.stringify({ ...line([], ['a']), tokens: [1, 2] })}\n`);
    await expect(createRecordedPolicy(uneven)).rejects.toThrow(
      /line 1: "tokens" has 2 entries for 1 rollouts/,
    );
  });

  it('names a file that is not there', async () => {
    const path = join(folder, 'absent.jsonl');
    await expect(createRecordedPolicy(path)).rejects.toMatchObject({
      code: 'RECORDED_UNREADABLE',
      message: expect.stringContaining(path),
    });
  });

  it('reads a file with a byte order mark, CRLF and no last newline', async () => {
    const text = `\uFEFF${JSON.stringify(line([], ['a']))}\r\n${JSON.stringify(line([], ['b']))}`;
    const policy = await createRecordedPolicy(await write(text));
    opened.push(policy);
    const { rollouts } = await policy.sample(request({ seeds: [1, 2] }));
    expect(rollouts.map((rollout) => rollout.steps[0])).toEqual(['a', 'b']);
  });

  it('finds lines again beyond one read of the file', async () => {
    const count = 3000;
    const lines = Array.from({ length: count }, (_, i) => ({
      problemId: cats.id,
      prefix: [`é ${i}`],
      rollouts: [[`${'ü'.repeat(200)} ${i}`]],
    }));
    const policy = await openLines(...lines);
    for (const i of [0, 1, 1500, 2345, count - 1]) {
      const { rollouts } = await policy.sample(request({ prefix: [`é ${i}`], seeds: [1] }));
      expect(rollouts[0]?.steps[0]).toBe(`${'ü'.repeat(200)} ${i}`);
    }
  });
});
