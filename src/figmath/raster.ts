import { glyph, glyphHeight, glyphWidth } from './font.js';

/** Side of a figure in model pixels. */
export const figureSide = 80;

/** Side of an image token in model pixels. Figures keep each glyph within one token, as a printed
 *  form keeps one letter per box: a tiny model learns to read many times faster then. */
export const patchSide = 10;

/** RGB of every palette index. A figure uses no other colour, so it stores one byte per pixel. */
export const palette: readonly (readonly [number, number, number])[] = [
  [255, 255, 255], // 0 white
  [250, 246, 236], // 1 cream paper
  [238, 245, 252], // 2 pale blue paper
  [240, 248, 238], // 3 pale green paper
  [33, 37, 51], // 4 ink
  [150, 156, 170], // 5 grey line
  [214, 48, 49], // 6 red
  [41, 98, 214], // 7 blue
  [34, 153, 84], // 8 green
  [240, 150, 20], // 9 orange
  [140, 70, 190], // 10 purple
  [20, 170, 180], // 11 teal
  [216, 222, 235], // 12 header fill
  [250, 224, 190], // 13 pale orange fill
  [205, 228, 250], // 14 pale blue fill
  [210, 240, 214], // 15 pale green fill
];

export const papers = [0, 1, 2, 3] as const;
export const ink = 4;
export const greyLine = 5;
export const headerFill = 12;
export const paleFills = [13, 14, 15] as const;
export const barColours = [6, 7, 8, 9, 10, 11] as const;

/** Pixel box: x and y of the top left pixel, sizes in pixels. */
export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** figureSide x figureSide palette indices, row by row. Drawing outside is clipped. */
export class Raster {
  readonly pixels = new Uint8Array(figureSide * figureSide);

  constructor(background: number) {
    this.pixels.fill(background);
  }

  set(x: number, y: number, colour: number): void {
    if (x < 0 || y < 0 || x >= figureSide || y >= figureSide) return;
    this.pixels[y * figureSide + x] = colour;
  }

  fill(box: Box, colour: number): void {
    for (let y = box.y; y < box.y + box.height; y++) {
      for (let x = box.x; x < box.x + box.width; x++) this.set(x, y, colour);
    }
  }

  outline(box: Box, colour: number): void {
    this.fill({ ...box, height: 1 }, colour);
    this.fill({ ...box, y: box.y + box.height - 1, height: 1 }, colour);
    this.fill({ ...box, width: 1 }, colour);
    this.fill({ ...box, x: box.x + box.width - 1, width: 1 }, colour);
  }

  /** Bresenham. */
  line(fromX: number, fromY: number, toX: number, toY: number, colour: number): void {
    const stepX = fromX < toX ? 1 : -1;
    const stepY = fromY < toY ? 1 : -1;
    const deltaX = Math.abs(toX - fromX);
    const deltaY = -Math.abs(toY - fromY);
    let error = deltaX + deltaY;
    let x = fromX;
    let y = fromY;
    for (;;) {
      this.set(x, y, colour);
      if (x === toX && y === toY) return;
      const doubled = 2 * error;
      if (doubled >= deltaY) {
        error += deltaY;
        x += stepX;
      }
      if (doubled <= deltaX) {
        error += deltaX;
        y += stepY;
      }
    }
  }

  /** Filled triangle with a horizontal base; `apexX` may lie anywhere above it. */
  triangle(
    leftX: number,
    rightX: number,
    baseY: number,
    apexX: number,
    apexY: number,
    colour: number,
  ): void {
    const height = baseY - apexY;
    for (let y = apexY; y <= baseY; y++) {
      const down = y - apexY;
      const from = apexX + Math.round(((leftX - apexX) * down) / height);
      const to = apexX + Math.round(((rightX - apexX) * down) / height);
      for (let x = from; x <= to; x++) this.set(x, y, colour);
    }
  }

  /** Filled disc in a box of `size` pixels with an odd size. */
  disc(left: number, top: number, size: number, colour: number): void {
    const radius = (size - 1) / 2;
    for (let y = -radius; y <= radius; y++) {
      for (let x = -radius; x <= radius; x++) {
        if (x * x + y * y <= radius * radius + 1)
          this.set(left + radius + x, top + radius + y, colour);
      }
    }
  }

  /** Draws the text and returns the box that it fills. */
  text(text: string, left: number, top: number, colour: number = ink): Box {
    [...text].forEach((char, i) => {
      glyph(char).forEach((row, dy) => {
        for (let dx = 0; dx < glyphWidth; dx++) {
          if (row[dx] === '#') this.set(left + i * (glyphWidth + 1) + dx, top + dy, colour);
        }
      });
    });
    return { x: left, y: top, width: text.length * (glyphWidth + 1) - 1, height: glyphHeight };
  }

  /** A number of one or two digits in patches `column` (tens) and `column + 1` (ones) of patch row
   *  `row`, moved by the jitter; returns its box. */
  number(value: number, column: number, row: number, jitter: { x: number; y: number }): Box {
    const text = String(value);
    const left = column * patchSide + (text.length === 1 ? 10 : 4) + jitter.x;
    return this.text(text, left, row * patchSide + 2 + jitter.y);
  }

  /** RGB bytes, each pixel repeated `scale` times in both directions. */
  toRgb(scale: number): Uint8Array {
    const side = figureSide * scale;
    const out = new Uint8Array(side * side * 3);
    for (let y = 0; y < side; y++) {
      const row = Math.floor(y / scale) * figureSide;
      for (let x = 0; x < side; x++) {
        const index = this.pixels[row + Math.floor(x / scale)] as number;
        out.set(palette[index] as readonly [number, number, number], (y * side + x) * 3);
      }
    }
    return out;
  }
}
