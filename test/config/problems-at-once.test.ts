import { expect, it } from 'vitest';
import { parseBenchOptions } from '../../src/cli/bench-options.js';
import { parseLabelOptions } from '../../src/cli/label-options.js';
import { problemsAtOnce } from '../../src/config/options.js';

it('as many problems are under way as the replicas of the policy can serve, if nobody says how many', () => {
  const atOnce = (policy: string, given = {}) => {
    const all = parseLabelOptions({ policy, ...given });
    return problemsAtOnce(all.concurrency, all.policy, 64);
  };
  expect(atOnce('embedded')).toBe(64);
  // A comma in a file's name makes no replica.
  expect(atOnce('recorded:a,b.jsonl')).toBe(64);
  expect(atOnce('http://a/v1')).toBe(64);
  // The third is the first again.
  expect(atOnce('http://a/v1, http://b/v1,http://a/v1')).toBe(128);
  expect(atOnce('http://a/v1,http://b/v1', { concurrency: 5 })).toBe(5);
  expect(parseBenchOptions({}).all.concurrency).toBe(0);
});
