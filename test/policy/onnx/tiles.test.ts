import { describe, expect, it } from 'vitest';
import { tileCount, tilePlan, tileText } from '../../../src/policy/onnx/tiles.js';

describe('tiles of a picture', () => {
  const settings = { longestEdge: 2048, edge: 512 };

  it('cover a wide picture that was scaled to the longest edge and stretched to whole tiles', () => {
    // 1000 x 300: 2048 x trunc(614.4) = 614, 4 columns, 614 up to 1024 = 2 rows.
    expect(tilePlan({ width: 1000, height: 300 }, settings)).toEqual({
      scaled: { width: 2048, height: 614 },
      stretched: { width: 2048, height: 1024 },
      grid: { rows: 2, columns: 4 },
    });
  });

  it('cover a tall picture, an odd side growing by one', () => {
    // 301 x 1000: trunc(2048 * 0.301) = 616; 305 x 1000: trunc(624.64) = 624; 303: trunc(620.5) = 620;
    // 100 x 333: trunc(615.02) = 615, odd, so 616; stretched to 1024 x 2048.
    expect(tilePlan({ width: 100, height: 333 }, settings)).toEqual({
      scaled: { width: 616, height: 2048 },
      stretched: { width: 1024, height: 2048 },
      grid: { rows: 4, columns: 2 },
    });
  });

  it('are one where the longest edge is a tile', () => {
    const plan = tilePlan({ width: 700, height: 90 }, { longestEdge: 512, edge: 512 });
    expect(plan.stretched).toEqual({ width: 512, height: 512 });
    expect(plan.grid).toBeNull();
    expect(tileCount(plan.grid)).toBe(1);
  });

  it('stand row by row in the prompt, the whole picture last', () => {
    const frame = '<fake_token_around_image>';
    expect(tileText({ rows: 2, columns: 1 }, '<image>')).toBe(
      `${frame}<row_1_col_1><image>\n${frame}<row_2_col_1><image>\n\n${frame}<global-img><image>${frame}`,
    );
    expect(tileText(null, '<image>')).toBe(`${frame}<global-img><image>${frame}`);
    expect(tileCount({ rows: 2, columns: 1 })).toBe(3);
  });
});
