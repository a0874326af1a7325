import type { TopLevelSpec } from 'vega-lite';

/** Draws a Vega-Lite chart without a browser. @returns SVG */
export async function chartToSvg(spec: TopLevelSpec): Promise<string> {
  // Loaded when a chart is drawn: both take longer to load than most commands to run.
  const [{ compile }, { parse, View }] = await Promise.all([import('vega-lite'), import('vega')]);
  const view = new View(parse(compile(spec).spec), { renderer: 'none' });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

/** @param scale pixels of the picture per pixel of the SVG; 2 is sharp on fine screens
 *  @returns PNG */
export async function svgToPng(svg: string, scale = 2): Promise<Uint8Array> {
  const { default: sharp } = await import('sharp');
  // 72 dots an inch is one pixel per unit of an SVG.
  return sharp(Buffer.from(svg), { density: 72 * scale })
    .png()
    .toBuffer();
}
