/** A 5x7 bitmap font for the characters that stand in figures; ours, so that no system font matters. */
export const glyphWidth = 5;
export const glyphHeight = 7;

// One row of each glyph per word, '#' is ink.
const rows: Readonly<Record<string, string>> = {
  0: '.###. #...# #..## #.#.# ##..# #...# .###.',
  1: '..#.. .##.. ..#.. ..#.. ..#.. ..#.. .###.',
  2: '.###. #...# ....# ...#. ..#.. .#... #####',
  3: '.###. #...# ....# ..##. ....# #...# .###.',
  4: '...#. ..##. .#.#. #..#. ##### ...#. ...#.',
  5: '##### #.... ####. ....# ....# #...# .###.',
  6: '..##. .#... #.... ####. #...# #...# .###.',
  7: '##### ....# ...#. ..#.. .#... .#... .#...',
  8: '.###. #...# #...# .###. #...# #...# .###.',
  9: '.###. #...# #...# .#### ....# ...#. .##..',
  A: '..#.. .#.#. #...# #...# ##### #...# #...#',
  B: '####. #...# #...# ####. #...# #...# ####.',
  C: '.###. #...# #.... #.... #.... #...# .###.',
  D: '####. #...# #...# #...# #...# #...# ####.',
  E: '##### #.... #.... ####. #.... #.... #####',
  F: '##### #.... #.... ####. #.... #.... #....',
  G: '.###. #...# #.... #.### #...# #...# .###.',
  H: '#...# #...# #...# ##### #...# #...# #...#',
  P: '####. #...# #...# ####. #.... #.... #....',
  Q: '.###. #...# #...# #...# #.#.# #..#. .##.#',
  R: '####. #...# #...# ####. #.#.. #..#. #...#',
  S: '.#### #.... #.... .###. ....# ....# ####.',
  T: '##### ..#.. ..#.. ..#.. ..#.. ..#.. ..#..',
  U: '#...# #...# #...# #...# #...# #...# .###.',
};

const glyphs = new Map(Object.entries(rows).map(([char, text]) => [char, text.split(' ')]));

/** Rows of the glyph, top first; a missing character is a mistake of ours. */
export function glyph(char: string): readonly string[] {
  const found = glyphs.get(char);
  if (found === undefined) throw new RangeError(`the figure font has no glyph for "${char}"`);
  return found;
}

/** Width in pixels of a text with one pixel between glyphs. */
export function textWidth(text: string): number {
  return text.length * (glyphWidth + 1) - 1;
}
