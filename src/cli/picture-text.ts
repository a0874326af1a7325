import sharp from 'sharp';

/** A picture as text for a terminal with 24-bit colour: two pixels per character cell.
 *  @param columns width in characters; the height follows from the picture */
export async function pictureText(file: string, columns: number): Promise<string> {
  const { data, info } = await sharp(file)
    .resize({ width: columns, kernel: 'nearest' })
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer({ resolveWithObject: true });
  const pixel = (x: number, y: number) => {
    const at = (y * info.width + x) * info.channels;
    return `${data[at]};${data[at + 1]};${data[at + 2]}`;
  };
  const lines: string[] = [];
  for (let y = 0; y + 1 < info.height; y += 2) {
    let line = '';
    for (let x = 0; x < info.width; x++) {
      line += `\u001b[38;2;${pixel(x, y)}m\u001b[48;2;${pixel(x, y + 1)}m▀`;
    }
    lines.push(`${line}\u001b[0m`);
  }
  return lines.join('\n');
}
