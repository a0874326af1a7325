/** What part of the layout the canvas shows. */
export interface Camera {
  /** Layout point at the canvas' left upper corner. */
  readonly x: number;
  readonly y: number;
  /** Canvas pixels per layout pixel, downwards; across it is `columnZoom` of it. */
  readonly zoom: number;
}

export interface Box {
  readonly width: number;
  readonly height: number;
}

/** Columns shrink less than rows, so that a tree of ten thousand rows still has a width. */
export function columnZoom(zoom: number): number {
  return zoom < 1 ? zoom ** 0.4 : zoom;
}

export const MIN_ZOOM = 0.004;
export const MAX_ZOOM = 3;
/** Room around the tree, in canvas pixels. */
const MARGIN = { left: 28, vertical: 28 };

export function zoomAt(camera: Camera, factor: number, px: number, py: number): Camera {
  const zoom = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, camera.zoom * factor));
  const x = camera.x + px / columnZoom(camera.zoom) - px / columnZoom(zoom);
  const y = camera.y + py / camera.zoom - py / zoom;
  return { x, y, zoom };
}

export function panBy(camera: Camera, dx: number, dy: number): Camera {
  const x = camera.x - dx / columnZoom(camera.zoom);
  return { ...camera, x, y: camera.y - dy / camera.zoom };
}

/** The whole tree, never larger than life. */
export function fitAll(tree: Box, canvas: Box): Camera {
  const width = Math.min(
    1,
    Math.max(0.02, (canvas.width - MARGIN.left - 120) / (tree.width + 100)),
  );
  const height = (canvas.height - 2 * MARGIN.vertical) / Math.max(1, tree.height);
  const zoom = Math.max(MIN_ZOOM, Math.min(1, width ** 2.5, height));
  return {
    zoom,
    x: -MARGIN.left / columnZoom(zoom),
    y: tree.height / 2 - canvas.height / 2 / zoom,
  };
}

/** Where a person starts: all of a small tree, else the root at a size that can be read. */
export function openingView(tree: Box, root: { x: number; y: number }, canvas: Box): Camera {
  const all = fitAll(tree, canvas);
  if (all.zoom >= WHOLE_ZOOM) return all;
  const zoom = canvas.width < 600 ? 0.8 : 1;
  return { zoom, x: -MARGIN.left / columnZoom(zoom), y: root.y - canvas.height / 2 / zoom };
}

/** Smaller ones are no pleasure to read. */
const WHOLE_ZOOM = 0.8;

/** Texts are drawn from here on. */
export const READABLE_ZOOM = 0.62;

/** Moves just so far that the point is inside, with some room around it. */
export function reveal(camera: Camera, x: number, y: number, canvas: Box): Camera {
  const room = Math.min(90, canvas.width / 5, canvas.height / 5);
  const across = columnZoom(camera.zoom);
  const left = (x - camera.x) * across;
  const top = (y - camera.y) * camera.zoom;
  const rightRoom = Math.min(230 * across, canvas.width / 2);
  const dx = Math.max(0, left - (canvas.width - rightRoom)) - Math.max(0, 40 - left);
  const dy = Math.max(0, top - (canvas.height - room)) - Math.max(0, room - top);
  return dx === 0 && dy === 0
    ? camera
    : { ...camera, x: camera.x + dx / across, y: camera.y + dy / camera.zoom };
}
