/** What part of the layout the canvas shows. */
export interface Camera {
  /** Layout point at the canvas' left upper corner. */
  readonly x: number;
  readonly y: number;
  /** Canvas pixels per layout pixel downwards. */
  readonly zoom: number;
  /** Across, it is `zoom ** power` below 1: columns shrink less than rows, so that a tree of ten
   *  thousand rows still has a width. */
  readonly power: number;
}

export interface Box {
  readonly width: number;
  readonly height: number;
}

export const MIN_ZOOM = 0.001;
export const MAX_ZOOM = 3;
const USUAL_POWER = 0.5;
/** Room around the tree, in canvas pixels. */
const MARGIN = { left: 28, right: 12, vertical: 28 };
/** Of the texts behind the last column. */
const LABEL_WIDTH = 190;
/** Texts are drawn from here on. */
export const READABLE_ZOOM = 0.62;
/** Rows of a tree that is squeezed across alone. */
const SQUEEZED_ZOOM = 0.85;
/** A tree that fits at this zoom opens whole. */
const WHOLE_ZOOM = 0.8;
/** One that is so many times higher than the canvas opens as an overview. */
const OVERVIEW_HEIGHTS = 5;

/** Canvas pixels per layout pixel across. */
export function acrossOf({ zoom, power }: Pick<Camera, 'zoom' | 'power'>): number {
  return zoom < 1 ? zoom ** power : zoom;
}

/** Zooms and keeps the point under (px, py) where it is. */
export function zoomAt(camera: Camera, factor: number, px: number, py: number): Camera {
  const zoom = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, camera.zoom * factor));
  const { power } = camera;
  const x = camera.x + px / acrossOf(camera) - px / acrossOf({ zoom, power });
  const y = camera.y + py / camera.zoom - py / zoom;
  return { x, y, zoom, power };
}

export function panBy(camera: Camera, dx: number, dy: number): Camera {
  return { ...camera, x: camera.x - dx / acrossOf(camera), y: camera.y - dy / camera.zoom };
}

/** The whole tree, never larger than life. */
export function fitAll(tree: Box, canvas: Box): Camera {
  const room = Math.max(60, canvas.width - MARGIN.left - MARGIN.right);
  const across = Math.min(1, room / (tree.width + LABEL_WIDTH));
  const down = (canvas.height - 2 * MARGIN.vertical) / Math.max(1, tree.height);
  // A wide, low tree is squeezed across alone, as far as texts allow.
  const zoom = Math.max(MIN_ZOOM, Math.min(1, down, Math.max(SQUEEZED_ZOOM, across)));
  const power =
    zoom < 1 ? Math.min(40, Math.max(0.05, Math.log(across) / Math.log(zoom))) : USUAL_POWER;
  return {
    zoom,
    power,
    x: -MARGIN.left / acrossOf({ zoom, power }),
    y: tree.height / 2 - canvas.height / 2 / zoom,
  };
}

/** Where a person starts: all of a tree that can be read so, the root of one that is a little
 *  larger, an overview of a huge one. */
export function openingView(tree: Box, root: { x: number; y: number }, canvas: Box): Camera {
  const all = fitAll(tree, canvas);
  const isHuge = tree.height > OVERVIEW_HEIGHTS * canvas.height;
  if (isHuge || (all.zoom >= WHOLE_ZOOM && acrossOf(all) >= WHOLE_ZOOM)) return all;
  const zoom = canvas.width < 600 ? 0.8 : 1;
  const power = USUAL_POWER;
  const x = -MARGIN.left / acrossOf({ zoom, power });
  return { zoom, power, x, y: root.y - canvas.height / 2 / zoom };
}

/** Moves just so far that the point is inside, with some room around it. */
export function reveal(camera: Camera, x: number, y: number, canvas: Box): Camera {
  const room = Math.min(90, canvas.width / 5, canvas.height / 5);
  const across = acrossOf(camera);
  const left = (x - camera.x) * across;
  const top = (y - camera.y) * camera.zoom;
  const rightRoom = Math.min(230 * across, canvas.width / 2);
  const dx = Math.max(0, left - (canvas.width - rightRoom)) - Math.max(0, 40 - left);
  const dy = Math.max(0, top - (canvas.height - room)) - Math.max(0, room - top);
  return dx === 0 && dy === 0
    ? camera
    : { ...camera, x: camera.x + dx / across, y: camera.y + dy / camera.zoom };
}
