/** Draws the part of a tree that is in view. The work of a frame depends on the window, not on the
 *  tree: columns are searched by place, and what falls onto the same pixels is drawn once. */
import { COLUMN, lowerBound, type TreeLayout } from '../model/layout.js';
import type { ViewNode } from '../model/view-tree.js';
import { acrossOf, type Camera, READABLE_ZOOM } from './camera.js';

export interface Scene {
  readonly nodes: readonly ViewNode[];
  readonly layout: TreeLayout;
  /** One line per node, and the number before it. */
  readonly labels: readonly string[];
  readonly values: readonly string[];
  /** int8[nodes]: class of the colour scale, -1 for none. */
  readonly buckets: Int8Array;
  /** float32[nodes]: radius at zoom 1. */
  readonly radii: Float32Array;
  /** Nodes on the way to the selected one, and those of the chosen path; root first. */
  readonly way: readonly number[];
  readonly chosen: readonly number[];
  /** States that hide what is below them, and how many that are. */
  readonly folded: ReadonlyMap<number, number>;
  /** uint8[nodes]: 1 where the search matches; null without a search. */
  readonly matches: Uint8Array | null;
  /** Growth: times of the nodes and the time that is shown; null shows all. */
  readonly growth: { readonly times: Int32Array; readonly now: number } | null;
  readonly selected: number;
  readonly hovered: number | null;
}

export interface Palette {
  readonly background: string;
  readonly text: string;
  readonly quiet: string;
  readonly link: string;
  readonly accent: string;
  readonly chosen: string;
  readonly match: string;
  readonly none: string;
  readonly right: string;
  readonly wrong: string;
  readonly scale: readonly string[];
}

export interface Frame {
  readonly width: number;
  readonly height: number;
  readonly ratio: number;
}

const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif';
/** How far in front of its children a trunk stands, at zoom 1. */
const TRUNK = 20;
const LABEL_GAP = 6;

export function paint(
  context: CanvasRenderingContext2D,
  scene: Scene,
  camera: Camera,
  palette: Palette,
  frame: Frame,
): void {
  context.setTransform(frame.ratio, 0, 0, frame.ratio, 0, 0);
  context.fillStyle = palette.background;
  context.fillRect(0, 0, frame.width, frame.height);
  new FramePainter(context, scene, camera, palette, frame).paint();
}

class FramePainter {
  private readonly top: number;
  private readonly bottom: number;
  /** Canvas pixels per layout pixel across. */
  private readonly across: number;

  constructor(
    private readonly context: CanvasRenderingContext2D,
    private readonly scene: Scene,
    private readonly camera: Camera,
    private readonly palette: Palette,
    private readonly frame: Frame,
  ) {
    const room = 20 / camera.zoom;
    this.across = acrossOf(camera);
    this.top = camera.y - room;
    this.bottom = camera.y + frame.height / camera.zoom + room;
  }

  paint(): void {
    const { columns } = this.scene.layout;
    const first = Math.floor((this.camera.x - COLUMN) / COLUMN);
    const last = Math.ceil((this.camera.x + this.frame.width / this.across) / COLUMN);
    const inView = columns.slice(Math.max(0, first), Math.max(0, last + 1));
    for (const column of inView) this.links(column);
    this.context.globalAlpha = 1;
    this.pathLinks();
    for (const column of inView) this.circles(column);
    if (this.camera.zoom >= READABLE_ZOOM) for (const column of inView) this.texts(column);
    this.rings();
  }

  private sx(node: number): number {
    return ((this.scene.layout.x[node] as number) - this.camera.x) * this.across;
  }

  private sy(node: number): number {
    return ((this.scene.layout.y[node] as number) - this.camera.y) * this.camera.zoom;
  }

  private isGrown(node: number): boolean {
    const { growth } = this.scene;
    return !growth || (growth.times[node] as number) <= growth.now;
  }

  /** Brackets from one column to its parents: a trunk for each parent, a stub for each child. Drawn as
   *  rectangles on whole pixels, which cost a fraction of stroked lines. */
  private links(column: Int32Array): void {
    const { layout, nodes } = this.scene;
    const parentOf = (i: number) => nodes[column[i] as number]?.parent ?? -1;
    const yOf = (i: number) => layout.y[column[i] as number] as number;
    const parentY = (i: number) => layout.y[parentOf(i)] ?? Number.NaN;
    this.context.fillStyle = this.palette.link;
    // Seen from afar they are many, and the states matter more.
    this.context.globalAlpha = this.camera.zoom < STUB_ZOOM ? 0.4 : 1;
    const last = { parentY: Number.NaN, y: Number.NaN };
    let i = lowerBound(column.length, this.top, (at) => Math.max(yOf(at), parentY(at)));
    while (i < column.length && Math.min(yOf(i), parentY(i)) <= this.bottom) {
      const first = i;
      const parent = parentOf(i);
      // The rest of a large family below the window needs no look.
      while (i < column.length && parentOf(i) === parent && yOf(i) <= this.bottom) i++;
      const isCut = i < column.length && parentOf(i) === parent;
      this.family(column.subarray(first, isCut ? i + 1 : i), parent, last);
      if (isCut) return;
    }
  }

  private family(children: Int32Array, parent: number, last: { parentY: number; y: number }): void {
    const grown = this.scene.growth ? children.filter((node) => this.isGrown(node)) : children;
    if (grown.length === 0) return;
    const { context, frame } = this;
    const px = Math.round(this.sx(parent));
    const py = Math.round(this.sy(parent));
    const lowest = this.sy(grown[grown.length - 1] as number);
    // Seen from afar, many families have the same trunk.
    if (Math.abs(py - last.parentY) < 1 && Math.abs(lowest - last.y) < MERGED_PX) return;
    last.parentY = py;
    last.y = lowest;
    const x = this.sx(grown[0] as number);
    const bend = Math.round(x - trunkRoom(this.across));
    if (py >= 0 && py <= frame.height) context.fillRect(px, py, bend - px, 1);
    const from = Math.max(-1, Math.min(py, Math.round(this.sy(grown[0] as number))));
    const to = Math.min(frame.height + 1, Math.max(py, Math.round(lowest)));
    context.fillRect(bend, from, 1, to - from + 1);
    if (this.camera.zoom < STUB_ZOOM) return;
    for (const node of grown) {
      const y = Math.round(this.sy(node));
      if (y >= -1 && y <= frame.height) context.fillRect(bend, y, x - bend, 1);
    }
  }

  /** The ways to the chosen end and to the selected node, over the others. */
  private pathLinks(): void {
    const { chosen, way, layout } = this.scene;
    for (const [path, colour, width] of [
      [chosen, this.palette.chosen, 3],
      [way, this.palette.accent, 1.75],
    ] as const) {
      this.context.beginPath();
      for (const node of path) {
        const isHidden = Number.isNaN(layout.x[node] ?? Number.NaN);
        if (!isHidden && this.isGrown(node)) this.bracket(node);
      }
      this.context.strokeStyle = colour;
      this.context.lineWidth = width;
      this.context.stroke();
    }
  }

  private bracket(node: number): void {
    const parent = this.scene.nodes[node]?.parent ?? -1;
    if (parent < 0) return;
    const bend = crisp(this.sx(node) - trunkRoom(this.across));
    this.context.moveTo(this.sx(parent), crisp(this.sy(parent)));
    this.context.lineTo(bend, crisp(this.sy(parent)));
    this.context.lineTo(bend, crisp(this.sy(node)));
    this.context.lineTo(this.sx(node), crisp(this.sy(node)));
  }

  private *visible(column: Int32Array, gapPx: number): Generator<number> {
    const { y } = this.scene.layout;
    const yAt = (i: number) => y[column[i] as number] as number;
    let last = Number.NEGATIVE_INFINITY;
    for (let i = lowerBound(column.length, this.top, yAt); i < column.length; i++) {
      if (yAt(i) > this.bottom) return;
      const node = column[i] as number;
      if (!this.isGrown(node)) continue;
      const place = this.sy(node);
      // A match is drawn even where others lie on the same pixels.
      if (place - last < gapPx && this.scene.matches?.[node] !== 1) continue;
      last = place;
      yield node;
    }
  }

  private circles(column: Int32Array): void {
    const { zoom } = this.camera;
    const { buckets, folded, matches, nodes } = this.scene;
    const shrink = Math.max(0.15, Math.min(1, zoom ** 0.6 * 1.1));
    // By colour, since changing the fill costs more than a fill.
    const byStyle = new Map<number, number[]>();
    for (const node of this.visible(column, MERGED_PX)) {
      const isDim = matches !== null && matches[node] === 0;
      const style = ((buckets[node] as number) + 1) * 2 + (isDim ? 1 : 0);
      const same = byStyle.get(style);
      if (same) same.push(node);
      else byStyle.set(style, [node]);
    }
    for (const [style, members] of byStyle) {
      const bucket = (style >> 1) - 1;
      this.context.globalAlpha = style & 1 ? 0.22 : 1;
      for (const node of members) {
        const radius = Math.max(1.2, this.radiusOf(node) * shrink);
        this.spot(node, radius, bucket, Boolean(nodes[node]?.ends));
        if (folded.has(node)) this.tail(node, radius);
      }
    }
    this.context.globalAlpha = 1;
  }

  private radiusOf(node: number): number {
    return (this.scene.radii[node] as number) * Math.max(1, this.camera.zoom * 0.9);
  }

  /** A circle, a square where a solution ends, a few pixels where there is room for no more. */
  private spot(node: number, radius: number, bucket: number, isEnd: boolean): void {
    const { context, palette } = this;
    const colour = palette.scale[bucket];
    const [x, y] = [this.sx(node), this.sy(node)];
    if (radius < 2.2) {
      const size = Math.round(2 * radius);
      context.fillStyle = colour ?? palette.none;
      context.fillRect(Math.round(x - radius), Math.round(y - radius), size, size);
      return;
    }
    context.fillStyle = colour ?? palette.background;
    context.beginPath();
    if (isEnd) context.rect(x - radius, y - radius, 2 * radius, 2 * radius);
    else context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fill();
    if (colour) return;
    context.strokeStyle = palette.none;
    context.lineWidth = 1.25;
    context.stroke();
  }

  /** A short double stroke where more is folded away; seen at any zoom. */
  private tail(node: number, radius: number): void {
    const { context } = this;
    context.fillStyle = this.palette.accent;
    const [x, y] = [Math.round(this.sx(node) + radius), Math.round(this.sy(node))];
    for (const gap of [1, 4]) context.fillRect(x + gap, y - 4, 1.5, 8);
  }

  private texts(column: Int32Array): void {
    const { context, palette, scene, camera } = this;
    const size = Math.min(1.15, Math.max(0.8, camera.zoom));
    context.font = FONT.replace('12px', `${(12 * size).toFixed(1)}px`);
    context.textBaseline = 'middle';
    // Up to the trunk of the next column.
    const span = (COLUMN - TRUNK) * this.across - LABEL_GAP - 20;
    if (span < 40) return;
    for (const node of this.visible(column, 9)) {
      const label = scene.labels[node] as string;
      if (label === '') continue;
      const hidden = scene.folded.get(node);
      const tail = hidden === undefined ? 0 : 5;
      const x = this.sx(node) + this.radiusOf(node) + LABEL_GAP + tail;
      const y = this.sy(node);
      const mark =
        hidden === undefined
          ? (END_MARKS[scene.nodes[node]?.ends ?? 'none'] ?? '')
          : `+${hidden.toLocaleString('en')}`;
      const markWidth = mark === '' ? 0 : context.measureText(mark).width + 4;
      const value = scene.values[node] as string;
      const valueWidth = value === '' ? 0 : context.measureText(value).width + 6 * size;
      const room = span - this.radiusOf(node);
      const text = shortened(context, label, room - valueWidth - markWidth, size);
      const width = valueWidth + context.measureText(text).width;
      context.fillStyle = palette.background;
      context.fillRect(x - 3, y - 9 * size, width + markWidth + 6, 18 * size);
      context.globalAlpha = scene.matches !== null && scene.matches[node] === 0 ? 0.35 : 1;
      if (valueWidth > 0) {
        context.fillStyle = palette.quiet;
        context.fillText(value, x, y);
      }
      context.fillStyle = scene.matches?.[node] === 1 ? palette.match : palette.text;
      context.fillText(text, x + valueWidth, y);
      if (mark) {
        context.fillStyle = this.markColour(mark);
        context.fillText(mark, x + width + 4, y);
      }
      context.globalAlpha = 1;
    }
  }

  private markColour(mark: string): string {
    if (mark === END_MARKS.equal) return this.palette.right;
    return mark === END_MARKS.different ? this.palette.wrong : this.palette.accent;
  }

  private rings(): void {
    const { selected, hovered, layout } = this.scene;
    for (const [node, width, gap] of [
      [hovered, 1.5, 3],
      [selected, 2.5, 3.5],
    ] as const) {
      if (node === null || Number.isNaN(layout.x[node] ?? Number.NaN)) continue;
      const radius = Math.max(3, this.radiusOf(node)) + gap;
      this.context.beginPath();
      this.context.arc(this.sx(node), this.sy(node), radius, 0, 2 * Math.PI);
      this.context.strokeStyle = this.palette.accent;
      this.context.lineWidth = width;
      this.context.stroke();
    }
  }
}

/** Nodes nearer than this to the one before are not drawn apart. */
const MERGED_PX = 1.5;

/** Stubs to children are left away below: trunk and circle touch there. */
const STUB_ZOOM = 0.12;

const END_MARKS: Readonly<Record<string, string>> = { equal: '✓', different: '✗' };

/** How far in front of its children a trunk stands, in canvas pixels. */
function trunkRoom(across: number): number {
  return Math.max(2, TRUNK * across);
}

/** One pixel wide lines lie on pixels. */
function crisp(value: number): number {
  return Math.round(value - 0.5) + 0.5;
}

/** By the average width of letters first, so that long texts aren't measured. */
function shortened(
  context: CanvasRenderingContext2D,
  label: string,
  room: number,
  size: number,
): string {
  const about = Math.floor(room / (5.2 * size));
  let text = label.length > about ? label.slice(0, about) : label;
  while (text.length > 1 && context.measureText(text).width > room) {
    text = text.slice(0, Math.max(1, Math.floor(text.length * 0.92)));
  }
  return text.length < label.length ? `${text.trimEnd()}…` : text;
}
