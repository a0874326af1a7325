/** How Idefics3 (arXiv 2408.12637) and SmolVLM (arXiv 2504.05299) cut a picture into tiles of their
 *  tower's size. */

/** Rows and columns of tiles; behind them stands one more tile, the whole picture. */
export interface TileGrid {
  readonly rows: number;
  readonly columns: number;
}

export interface TileSettings {
  /** A picture's longer side is brought to this first, in pixels. */
  readonly longestEdge: number;
  /** Side of a tile in pixels. */
  readonly edge: number;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** The sizes that a picture goes through: scaled to the longest edge, then stretched to whole tiles. The
 *  rounding is that of Idefics3's processor, which the prompts of such models were trained on.
 *  @returns grid null where one tile holds it all */
export function tilePlan(
  picture: Size,
  { longestEdge, edge }: TileSettings,
): { readonly scaled: Size; readonly stretched: Size; readonly grid: TileGrid | null } {
  const scaled = scaledSize(picture, longestEdge);
  const stretched = wholeTiles(scaled, edge);
  const rows = stretched.height / edge;
  const columns = stretched.width / edge;
  return { scaled, stretched, grid: rows * columns > 1 ? { rows, columns } : null };
}

/** Tiles of a picture, the whole one included. */
export function tileCount(grid: TileGrid | null): number {
  return grid === null ? 1 : grid.rows * grid.columns + 1;
}

/** The shorter side is cut down to a whole number, and odd ones grow by one. */
function scaledSize({ width, height }: Size, longest: number): Size {
  const even = (side: number) => Math.max(1, side + (side % 2));
  if (width >= height)
    return { width: longest, height: even(Math.trunc(longest / (width / height))) };
  return { width: even(Math.trunc(longest * (width / height))), height: longest };
}

/** The longer side grows to whole tiles, the shorter one with it, and then to whole tiles too. */
function wholeTiles({ width, height }: Size, edge: number): Size {
  const up = (side: number) => Math.ceil(side / edge) * edge;
  const aspect = width / height;
  if (width >= height) return { width: up(width), height: up(Math.trunc(up(width) / aspect)) };
  return { width: up(Math.trunc(up(height) * aspect)), height: up(height) };
}

/** What stands for a picture in the prompt: each tile with its place, then the whole picture.
 *  @param image the image token, once per tile */
export function tileText(grid: TileGrid | null, image: string): string {
  const frame = '<fake_token_around_image>';
  const whole = `${frame}<global-img>${image}${frame}`;
  if (grid === null) return whole;
  let text = '';
  for (let row = 1; row <= grid.rows; row++) {
    for (let column = 1; column <= grid.columns; column++) {
      text += `${frame}<row_${row}_col_${column}>${image}`;
    }
    text += '\n';
  }
  return `${text}\n${whole}`;
}
