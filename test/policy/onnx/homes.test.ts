import { describe, expect, it } from 'vitest';
import { Homes } from '../../../src/policy/onnx/homes.js';

describe('the thread of a problem', () => {
  it('is the idlest one at first, so that problems spread evenly', () => {
    const homes = new Homes(3, 8);
    expect(['a', 'b', 'c', 'd'].map((id) => homes.enter(id, 4))).toEqual([0, 1, 2, 0]);
    homes.leave(1, 4);
    expect(homes.enter('e', 4)).toBe(1);
  });

  it('stays the same while it is ahead by no more than the slack', () => {
    const homes = new Homes(2, 8);
    expect(homes.enter('a', 8)).toBe(0);
    expect(homes.enter('a', 4)).toBe(0);
    // 12 sequences against none: more than 8 ahead.
    expect(homes.enter('a', 4)).toBe(1);
    expect(homes.enter('a', 4)).toBe(1);
  });
});
