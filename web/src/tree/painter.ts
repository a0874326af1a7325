/** Draws the part of a tree that is in view. The work of a frame depends on the window, not on the
 *  tree: columns are searched by place, and what falls onto the same pixels is drawn once. */
import { COLUMN, lowerBound, type TreeLayout } from '../model/layout.js';
import type { ViewNode } from '../model/view-tree.js';
import { type Camera, columnZoom, READABLE_ZOOM } from './camera.js';

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
/** Room of a label at zoom 1. */
const LABEL_WIDTH = COLUMN - 62;
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
    this.across = columnZoom(camera.zoom);
    this.top = camera.y - room;
    this.bottom = camera.y + frame.height / camera.zoom + room;
  }

  paint(): void {
    const { columns } = this.scene.layout;
    const first = Math.floor((this.camera.x - COLUMN) / COLUMN);
    const last = Math.ceil((this.camera.x + this.frame.width / this.across) / COLUMN);
    const inView = columns.slice(Math.max(0, first), Math.max(0, last + 1));
    for (const column of inView) this.links(column);
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

  /** Stubs and trunks of one column to their parents, as brackets. */
  private links(column: Int32Array): void {
    const { layout, nodes } = this.scene;
    const parentY = (i: number) => {
      const parent = nodes[column[i] as number]?.parent ?? -1;
      return parent < 0 ? Number.NaN : (layout.y[parent] as number);
    };
    const low = (i: number) => Math.min(layout.y[column[i] as number] as number, parentY(i));
    const high = (i: number) => Math.max(layout.y[column[i] as number] as number, parentY(i));
    const { context } = this;
    const trunk = trunkRoom(this.across);
    context.beginPath();
    let lastParent = -1;
    let lastParentY = Number.NEGATIVE_INFINITY;
    let lastY = Number.NEGATIVE_INFINITY;
    const from = lowerBound(column.length, this.top, high);
    for (let i = from; i < column.length && low(i) <= this.bottom; i++) {
      const node = column[i] as number;
      const parent = nodes[node]?.parent ?? -1;
      if (parent < 0 || !this.isGrown(node)) continue;
      const [px, py] = [this.sx(parent), this.sy(parent)];
      const [x, y] = [this.sx(node), this.sy(node)];
      const isNear = Math.abs(y - lastY) < MERGED_PX;
      if (isNear && (parent === lastParent || Math.abs(py - lastParentY) < MERGED_PX)) continue;
      const bend = crisp(x - trunk);
      if (parent !== lastParent) {
        context.moveTo(px, crisp(py));
        context.lineTo(bend, crisp(py));
      }
      context.moveTo(bend, crisp(py));
      context.lineTo(bend, crisp(y));
      context.lineTo(x, crisp(y));
      lastParent = parent;
      lastParentY = py;
      lastY = y;
    }
    context.strokeStyle = this.palette.link;
    context.lineWidth = 1;
    context.stroke();
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
    const { buckets, radii, matches } = this.scene;
    const { context, palette } = this;
    const shrink = Math.max(0.15, Math.min(1, zoom ** 0.6 * 1.1));
    for (const node of this.visible(column, MERGED_PX)) {
      const bucket = buckets[node] as number;
      const radius = Math.max(1.2, (radii[node] as number) * shrink * Math.max(1, zoom * 0.9));
      const isDim = matches !== null && matches[node] === 0;
      context.globalAlpha = isDim ? 0.22 : 1;
      context.fillStyle = bucket < 0 ? palette.background : (palette.scale[bucket] as string);
      const [x, y] = [this.sx(node), this.sy(node)];
      if (radius < 2) {
        if (bucket < 0) context.fillStyle = palette.none;
        context.fillRect(x - radius, y - radius, 2 * radius, 2 * radius);
        continue;
      }
      context.beginPath();
      if (this.scene.nodes[node]?.ends)
        context.rect(x - radius, y - radius, 2 * radius, 2 * radius);
      else context.arc(x, y, radius, 0, 2 * Math.PI);
      context.fill();
      if (bucket < 0) {
        context.strokeStyle = palette.none;
        context.lineWidth = 1.25;
        context.stroke();
      }
    }
    context.globalAlpha = 1;
  }

  private texts(column: Int32Array): void {
    const { context, palette, scene, camera } = this;
    const size = Math.min(1.15, Math.max(0.8, camera.zoom));
    context.font = FONT.replace('12px', `${(12 * size).toFixed(1)}px`);
    context.textBaseline = 'middle';
    const room = LABEL_WIDTH * this.across;
    for (const node of this.visible(column, 9)) {
      const label = scene.labels[node] as string;
      if (label === '') continue;
      const radius = (scene.radii[node] as number) * Math.max(1, camera.zoom * 0.9);
      const x = this.sx(node) + radius + LABEL_GAP;
      const y = this.sy(node);
      const mark = END_MARKS[scene.nodes[node]?.ends ?? 'none'] ?? '';
      const value = scene.values[node] as string;
      const valueWidth = value === '' ? 0 : context.measureText(value).width + 6 * size;
      const text = shortened(context, label, room - valueWidth - (mark ? 14 : 0), size);
      const width = valueWidth + context.measureText(text).width;
      context.fillStyle = palette.background;
      context.fillRect(x - 3, y - 9 * size, width + (mark ? 20 : 6), 18 * size);
      context.globalAlpha = scene.matches !== null && scene.matches[node] === 0 ? 0.35 : 1;
      if (valueWidth > 0) {
        context.fillStyle = palette.quiet;
        context.fillText(value, x, y);
      }
      context.fillStyle = scene.matches?.[node] === 1 ? palette.match : palette.text;
      context.fillText(text, x + valueWidth, y);
      if (mark) {
        context.fillStyle = mark === '✓' ? palette.right : palette.wrong;
        context.fillText(mark, x + width + 4, y);
      }
      context.globalAlpha = 1;
    }
  }

  private rings(): void {
    const { selected, hovered, radii, layout } = this.scene;
    for (const [node, width, gap] of [
      [hovered, 1.5, 3],
      [selected, 2.5, 3.5],
    ] as const) {
      if (node === null || Number.isNaN(layout.x[node] ?? Number.NaN)) continue;
      const radius =
        Math.max(3, (radii[node] as number) * Math.max(1, this.camera.zoom * 0.9)) + gap;
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

const END_MARKS: Readonly<Record<string, string>> = { equal: '✓', different: '✗' };

/** How far in front of its children a trunk stands, in canvas pixels. */
function trunkRoom(across: number): number {
  return Math.max(2, 20 * across);
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
