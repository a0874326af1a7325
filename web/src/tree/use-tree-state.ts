/** What a person does to one tree: selected state, colours, search, growth. */
import type { RefObject } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { type ColourBy, usableScales } from '../model/colour.js';
import { toggleFold, unfoldAbove } from '../model/fold.js';
import type { Growth } from '../model/growth.js';
import type { TreeLayout } from '../model/layout.js';
import type { ViewTree } from '../model/view-tree.js';
import { nextMatch, walk } from '../model/walk.js';
import { isRightEnd, treeLayout, treeMatches } from './scene.js';
import type { TreeCanvasHandle } from './tree-canvas.js';

export interface TreeState {
  readonly tree: ViewTree;
  readonly layout: TreeLayout;
  readonly growth: Growth;
  readonly canvas: RefObject<TreeCanvasHandle>;
  readonly selected: number;
  /** Selects a node and brings it into view. */
  readonly select: (node: number) => void;
  readonly colourBy: ColourBy;
  readonly scales: readonly ColourBy[];
  readonly setColourBy: (by: ColourBy) => void;
  readonly search: string;
  readonly setSearch: (text: string) => void;
  readonly matches: Uint8Array | null;
  readonly found: number;
  readonly goToMatch: (direction: 1 | -1) => void;
  /** Time of the growth that is shown; null is the whole tree. */
  readonly now: number | null;
  readonly setNow: (now: number | null) => void;
  readonly isPlaying: boolean;
  readonly setPlaying: (on: boolean) => void;
  /** How many finished right rollouts are leaves of the tree, and whether they are shown. */
  readonly ends: number;
  readonly showsEnds: boolean;
  readonly setShowsEnds: (on: boolean) => void;
  /** States below which nothing is shown. */
  readonly folded: ReadonlySet<number>;
  /** Folds or unfolds the selected state, where something is below it. */
  readonly toggleFold: () => void;
  readonly unfoldAll: () => void;
  /** @returns whether the key meant something */
  readonly onKey: (event: KeyboardEvent) => boolean;
}

const MANY_ENDS = 0.4;

const NOTHING_FOLDED: ReadonlySet<number> = new Set();

/** The whole replay takes about this long, however large the tree is. */
const REPLAY_MS = 8_000;

export function useTreeState(
  tree: ViewTree,
  growth: Growth,
  options: { readonly first?: number; readonly onSelect?: (node: number) => void } = {},
): TreeState {
  const canvas = useRef<TreeCanvasHandle>(null);
  const [selected, setSelected] = useState(options.first ?? 0);
  // Keys may come faster than the page is drawn.
  const current = useRef(selected);
  const [wish, setColourBy] = useState<ColourBy>(tree.candidates.length > 0 ? 'score' : 'value');
  const [search, setSearch] = useState('');
  const [now, setNow] = useState<number | null>(null);
  const [isPlaying, setPlaying] = useState(false);
  const ends = useMemo(() => tree.nodes.filter(isRightEnd).length, [tree]);
  // Where they are most of the tree, they hide what was searched.
  const [showsEnds, setShowsEnds] = useState(() => {
    const first = tree.nodes[options.first ?? 0];
    const hidesMost = ends >= MANY_ENDS * tree.nodes.length && tree.nodes.length - ends > 3;
    return !hidesMost || (first !== undefined && isRightEnd(first));
  });
  const [folded, setFolded] = useState<ReadonlySet<number>>(NOTHING_FOLDED);
  const layout = useMemo(() => treeLayout(tree, showsEnds, folded), [tree, showsEnds, folded]);
  const matches = useMemo(() => treeMatches(tree, search), [tree, search]);
  const found = useMemo(() => matches?.reduce((sum, one) => sum + one, 0) ?? 0, [matches]);
  const scales = useMemo(() => usableScales(tree), [tree]);
  const colourBy = scales.includes(wish) ? wish : (scales[0] ?? 'value');
  const lastChild = useRef(new Map<number, number>());
  useReplay(isPlaying, growth.last, setNow, setPlaying);

  const select = (node: number) => {
    const { parent } = tree.nodes[node] ?? { parent: -1 };
    if (parent >= 0) lastChild.current.set(parent, node);
    current.current = node;
    setSelected(node);
    setFolded((now) => unfoldAbove(now, tree, node));
    canvas.current?.reveal(node);
    options.onSelect?.(node);
  };
  const goToMatch = (direction: 1 | -1) => {
    // What is folded away is found too, and unfolded.
    const canBeShown = (node: number) =>
      showsEnds || !isRightEnd(tree.nodes[node] as ViewTree['nodes'][number]);
    const next = nextMatch(matches, current.current, direction, canBeShown);
    if (next !== null) select(next);
  };
  const togglePlay = () => {
    if (!isPlaying && (now === null || now >= growth.last)) setNow(0);
    setPlaying(!isPlaying);
  };
  const foldHere = () => setFolded((now) => toggleFold(now, tree, current.current));
  const onKey = ({ key }: KeyboardEvent): boolean => {
    if (key === ' ' || (key === 'ArrowRight' && folded.has(current.current))) {
      foldHere();
      return true;
    }
    const next = walk(key, current.current, tree, layout, lastChild.current);
    if (next !== null) select(next);
    else if (key === 'f' || key === '0') canvas.current?.fit();
    else if (key === '+' || key === '=') canvas.current?.zoom(1.25);
    else if (key === '-') canvas.current?.zoom(0.8);
    else if (key === 'n') goToMatch(1);
    else if (key === 'N') goToMatch(-1);
    else if (key === 'p') togglePlay();
    else return key.startsWith('Arrow');
    return true;
  };
  return {
    tree,
    layout,
    growth,
    canvas,
    selected: selected < tree.nodes.length ? selected : 0,
    select,
    colourBy,
    scales,
    setColourBy,
    search,
    setSearch,
    matches,
    found,
    goToMatch,
    now,
    setNow,
    isPlaying,
    setPlaying: (on) => (on === isPlaying ? undefined : togglePlay()),
    ends,
    showsEnds,
    setShowsEnds,
    folded,
    toggleFold: foldHere,
    unfoldAll: () => setFolded(NOTHING_FOLDED),
    onKey,
  };
}

function useReplay(
  isPlaying: boolean,
  last: number,
  setNow: (next: number | null | ((now: number | null) => number | null)) => void,
  setPlaying: (on: boolean) => void,
): void {
  useEffect(() => {
    if (!isPlaying) return;
    const pauseMs = Math.max(16, Math.min(600, REPLAY_MS / Math.max(1, last)));
    const stride = Math.max(1, Math.round((last * pauseMs) / REPLAY_MS));
    const timer = setInterval(() => {
      setNow((now) => {
        const next = Math.min(last, (now ?? 0) + stride);
        if (next >= last) setPlaying(false);
        return next;
      });
    }, pauseMs);
    return () => clearInterval(timer);
  }, [isPlaying, last]);
}

/** Keys for a tree, wherever the focus is but in fields. */
export function useTreeKeys(onKey: (event: KeyboardEvent) => boolean): void {
  const latest = useRef(onKey);
  latest.current = onKey;
  useEffect(() => {
    const down = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const taking = event.key === ' ' ? `${FIELDS}, ${PRESSED}` : FIELDS;
      if (event.target instanceof HTMLElement && event.target.closest(taking)) return;
      if (event.key === '/') {
        document.querySelector<HTMLInputElement>('input[type=search]')?.focus();
        event.preventDefault();
      } else if (latest.current(event)) {
        event.preventDefault();
      }
    };
    document.addEventListener('keydown', down);
    return () => document.removeEventListener('keydown', down);
  }, []);
}

const FIELDS = 'input, select, textarea, [contenteditable], dialog';

/** What a space presses. */
const PRESSED = 'button, summary, a';
