import { describe, expect, it } from 'vitest';
import type { ScoreReply, StepScorer } from '../../search/index.js';
import { countText } from '../../src/cli/count-progress.js';
import { scoreSolutions } from '../../src/cli/score-file.js';
import type { SolutionItem } from '../../src/data/solutions.js';

async function* items(count: number): AsyncGenerator<SolutionItem> {
  for (let index = 0; index < count; index++) {
    const problem = { id: `p${index}`, question: 'q', images: [] };
    yield { problem, paths: [['a']], line: index + 1 };
  }
}

const by = { aggregation: 'mean', window: 0 } as const;

describe('the scoring of a file', () => {
  it('has at most so many problems under way, and gives results in file order', async () => {
    const open: (() => void)[] = [];
    let most = 0;
    let now = 0;
    const scorer: StepScorer = {
      name: 'slow',
      score: async ({ problem }): Promise<ScoreReply> => {
        most = Math.max(most, ++now);
        // The first of each pair is answered after the second.
        if (Number(problem.id.slice(1)) % 2 === 0) {
          await new Promise<void>((resolve) => open.push(resolve));
        } else open.shift()?.();
        now--;
        return { paths: [{ steps: [0.5] }], prmTokens: 1 };
      },
    };
    const ids: string[] = [];
    const { signal } = new AbortController();
    for await (const item of scoreSolutions(items(6), scorer, by, 2, signal)) {
      if ('id' in item) ids.push(item.id);
    }
    expect(ids).toEqual(['p0', 'p1', 'p2', 'p3', 'p4', 'p5']);
    expect(most).toBe(2);
  });

  it('stops when it is interrupted', async () => {
    const abort = new AbortController();
    const scorer: StepScorer = {
      name: 'interrupted',
      score: async () => {
        abort.abort(new Error('interrupted'));
        throw abort.signal.reason;
      },
    };
    const all = scoreSolutions(items(3), scorer, by, 4, abort.signal);
    await expect(all.next()).rejects.toThrow('interrupted');
  });

  it('tells how far it is', () => {
    expect(countText('problems', { done: 1200, failed: 3 }, 30)).toBe(
      '1,200 problems (3 failed) · 40/s · 30 s',
    );
  });
});
