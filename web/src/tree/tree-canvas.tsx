import type { ComponentChildren, Ref } from 'preact';
import { useEffect, useImperativeHandle, useMemo, useRef, useState } from 'preact/hooks';
import type { ColourBy } from '../model/colour.js';
import { nodeAt, type TreeLayout } from '../model/layout.js';
import { pathTo, type ViewTree } from '../model/view-tree.js';
import {
  acrossOf,
  type Camera,
  fitAll,
  openingView,
  READABLE_ZOOM,
  reveal,
  zoomAt,
} from './camera.js';
import { paint, type Scene } from './painter.js';
import { readPalette, useTheme } from './palette.js';
import { foldedCounts, treeBuckets, treeLabels, treeRadii, treeValues } from './scene.js';
import { useCameraPointer } from './use-camera.js';

/** What toolbars and keys ask of a canvas. */
export interface TreeCanvasHandle {
  fit(): void;
  zoom(factor: number): void;
  reveal(node: number): void;
}

export interface TreeCanvasProps {
  readonly tree: ViewTree;
  readonly layout: TreeLayout;
  readonly colourBy: ColourBy;
  readonly matches: Uint8Array | null;
  readonly growth: Scene['growth'];
  readonly selected: number;
  readonly onSelect: (node: number) => void;
  readonly folded: ReadonlySet<number>;
  /** Folds or unfolds the selected node. */
  readonly onFold: () => void;
  /** What a hovered node tells. */
  readonly tooltip: (node: number) => ComponentChildren;
  readonly label: string;
  readonly handle?: Ref<TreeCanvasHandle>;
  /** Keeps the whole tree in view while it grows. */
  readonly follow?: boolean;
}

interface Hover {
  readonly node: number;
  readonly x: number;
  readonly y: number;
}

export function TreeCanvas(props: TreeCanvasProps) {
  const { tree, layout, colourBy, matches, growth, selected, handle, follow } = props;
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const camera = useRef<Camera>({ x: 0, y: 0, zoom: 1, power: 1 });
  /** What the camera looks at. */
  const placed = useRef<{ readonly tree: ViewTree; readonly layout: TreeLayout } | null>(null);
  const [hover, setHover] = useState<Hover | null>(null);
  const size = useSize(box);
  const theme = useTheme();
  const palette = useMemo(() => readPalette(theme), [theme]);
  const still = useMemo(() => {
    return { nodes: tree.nodes, labels: treeLabels(tree), radii: treeRadii(tree) };
  }, [tree]);
  const buckets = useMemo(() => treeBuckets(tree, colourBy), [tree, colourBy]);
  const values = useMemo(() => treeValues(tree, colourBy), [tree, colourBy]);
  const hidden = useMemo(() => foldedCounts(tree, props.folded), [tree, props.folded]);
  const way = useMemo(() => pathTo(tree, selected), [tree, selected]);
  const scene: Scene = {
    ...still,
    layout,
    buckets,
    values,
    way,
    chosen: tree.chosen,
    folded: hidden,
    matches,
    growth,
    selected,
    hovered: hover?.node ?? null,
  };
  const draw = useFrame(() => {
    const context = canvas.current?.getContext('2d', { alpha: false });
    if (!context || size.width === 0) return;
    const ratio = devicePixelRatio || 1;
    paint(context, scene, camera.current, palette, { ...size, ratio });
  });

  const moveTo = (next: Camera) => {
    camera.current = next;
    draw();
  };
  const rootOf = ({ x, y }: TreeLayout) => ({ x: x[0] ?? 0, y: y[0] ?? 0 });

  useEffect(() => {
    const element = canvas.current;
    if (!element || size.width === 0) return;
    const ratio = devicePixelRatio || 1;
    element.width = Math.round(size.width * ratio);
    element.height = Math.round(size.height * ratio);
    const before = placed.current;
    placed.current = { tree, layout };
    if (before?.layout !== layout) {
      // Folding leaves the selected state where it is.
      const still =
        before?.tree === tree && !follow
          ? heldStill(before.layout, layout, selected, camera.current)
          : null;
      camera.current =
        still ?? (follow ? fitAll(layout, size) : openingView(layout, rootOf(layout), size));
      if (selected > 0 && !follow)
        camera.current = revealed(layout, selected, camera.current, size);
    }
    draw();
  }, [size, layout]);
  // Whatever changed, the next frame shows it.
  useEffect(draw);

  useImperativeHandle(handle ?? null, () => ({
    fit: () => moveTo(fitAll(layout, size)),
    zoom: (factor) => moveTo(zoomAt(camera.current, factor, size.width / 2, size.height / 2)),
    reveal: (node) => moveTo(revealed(layout, node, camera.current, size)),
  }));

  const nodeUnder = ({ x, y }: { x: number; y: number }) => {
    const { zoom } = camera.current;
    const across = acrossOf(camera.current);
    return nodeAt(layout, camera.current.x + x / across, camera.current.y + y / zoom, {
      left: 14 / across,
      right: (zoom >= READABLE_ZOOM ? 180 : 14) / across,
      down: Math.max(12, 8 / zoom),
    });
  };
  const isGrown = (node: number) => !growth || (growth.times[node] ?? 0) <= growth.now;
  useCameraPointer(canvas, {
    camera: () => camera.current,
    move: moveTo,
    press: (at) => {
      canvas.current?.focus({ preventScroll: true });
      const node = nodeUnder(at);
      if (node === null || !isGrown(node)) return;
      if (node === selected) props.onFold();
      else props.onSelect(node);
    },
    hover: (at) => {
      const node = at && nodeUnder(at);
      const next = at && node !== null && isGrown(node) ? { node, ...at } : null;
      if (next?.node !== hover?.node) setHover(next);
    },
  });

  return (
    <div class="tree-canvas" ref={box}>
      <canvas ref={canvas} tabIndex={0} aria-label={props.label} class={hover ? 'over-node' : ''} />
      {hover && !Number.isNaN(layout.x[hover.node] ?? Number.NaN) && (
        <Tooltip {...hover} box={size}>
          {props.tooltip(hover.node)}
        </Tooltip>
      )}
    </div>
  );
}

/** The camera moved along with a node to its place in another layout; null if it has none in both. */
function heldStill(from: TreeLayout, to: TreeLayout, node: number, camera: Camera): Camera | null {
  const dx = (to.x[node] ?? Number.NaN) - (from.x[node] ?? Number.NaN);
  const dy = (to.y[node] ?? Number.NaN) - (from.y[node] ?? Number.NaN);
  return Number.isNaN(dx + dy) ? null : { ...camera, x: camera.x + dx, y: camera.y + dy };
}

function revealed(
  layout: TreeLayout,
  node: number,
  camera: Camera,
  size: { width: number; height: number },
): Camera {
  const [x, y] = [layout.x[node] ?? Number.NaN, layout.y[node] ?? Number.NaN];
  return Number.isNaN(x) ? camera : reveal(camera, x, y, size);
}

const TOOLTIP_WIDTH = 320;

function Tooltip(props: {
  readonly x: number;
  readonly y: number;
  readonly box: { readonly width: number; readonly height: number };
  readonly children: ComponentChildren;
}) {
  const { x, y, box, children } = props;
  const left = Math.max(4, Math.min(x + 16, box.width - TOOLTIP_WIDTH - 8));
  const isLow = y > box.height * 0.6;
  const place = isLow ? { bottom: `${box.height - y + 16}px` } : { top: `${y + 18}px` };
  return (
    <div class="tooltip" role="tooltip" style={{ left: `${left}px`, ...place }}>
      {children}
    </div>
  );
}

function useSize(box: { readonly current: HTMLElement | null }) {
  const [size, setSize] = useState({ width: 0, height: 0 });
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new ResizeObserver(() => {
      const { clientWidth: width, clientHeight: height } = element;
      setSize((old) => (old.width === width && old.height === height ? old : { width, height }));
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return size;
}

/** At most one call of `draw` per frame of the screen, and always of the latest one. */
function useFrame(draw: () => void): () => void {
  const latest = useRef(draw);
  latest.current = draw;
  const waiting = useRef(0);
  useEffect(() => () => cancelAnimationFrame(waiting.current), []);
  const request = useRef(() => {
    if (waiting.current !== 0) return;
    waiting.current = requestAnimationFrame(() => {
      waiting.current = 0;
      latest.current();
    });
  });
  return request.current;
}
