/** A tree with its tools: search, colours with their scale, growth, zoom. */
import { BUCKETS, type ColourBy, SCALES, scaleColours, scaleName } from '../model/colour.js';
import type { ViewNode } from '../model/view-tree.js';
import { useTheme } from '../tree/palette.js';
import { TreeCanvas } from '../tree/tree-canvas.js';
import type { TreeState } from '../tree/use-tree-state.js';
import { MathsText } from './maths.js';
import { count } from './numbers.js';
import { Facts } from './state-panel.js';

export function TreePane(props: {
  readonly state: TreeState;
  readonly title: string;
  readonly follow?: boolean;
}) {
  const { state } = props;
  const { tree, layout, canvas, growth, now } = state;
  return (
    <section class="tree-pane" aria-label={props.title}>
      <Toolbar state={state} />
      <TreeCanvas
        handle={canvas}
        tree={tree}
        layout={layout}
        colourBy={state.colourBy}
        matches={state.matches}
        growth={now === null ? null : { times: growth.times, now }}
        selected={state.selected}
        onSelect={state.select}
        folded={state.folded}
        onFold={state.toggleFold}
        tooltip={(node) => <NodeTip state={state} node={node} />}
        label={`${props.title}: tree of ${count(tree.nodes.length)} states. Arrow keys walk, space folds, f fits, slash searches.`}
        {...(props.follow ? { follow: true } : {})}
      />
      <GrowthBar state={state} />
    </section>
  );
}

function NodeTip({ state, node }: { readonly state: TreeState; readonly node: number }) {
  const { tree } = state;
  const one = tree.nodes[node] as ViewNode;
  return (
    <>
      <div class="tip-steps">
        {one.parent < 0
          ? 'The question'
          : one.steps.map((step, i) => (
              <p key={i}>
                <MathsText text={step} />
              </p>
            ))}
      </div>
      <Facts tree={tree} node={one} />
    </>
  );
}

function Toolbar({ state }: { readonly state: TreeState }) {
  const { search, found, matches, canvas } = state;
  return (
    <div class="toolbar">
      <label class="search">
        <span class="hidden">Search in the steps</span>
        <input
          type="search"
          placeholder="Search steps  /"
          value={search}
          onInput={(event) => state.setSearch(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter') state.goToMatch(event.shiftKey ? -1 : 1);
            if (event.key === 'Escape') {
              state.setSearch('');
              event.currentTarget.blur();
            }
          }}
        />
      </label>
      {matches && (
        <span class="found" role="status">
          {count(found)} found
        </span>
      )}
      <Legend state={state} />
      {state.ends > 0 && (
        <label class="check" title="Right rollouts are leaves of the tree, as OmegaPRM has them">
          <input
            type="checkbox"
            checked={state.showsEnds}
            onChange={(event) => state.setShowsEnds(event.currentTarget.checked)}
          />
          right ends
        </label>
      )}
      <FoldButton state={state} />
      <span class="spring" />
      <span class="buttons">
        <button type="button" title="Zoom out (-)" onClick={() => canvas.current?.zoom(0.8)}>
          −
        </button>
        <button type="button" title="Zoom in (+)" onClick={() => canvas.current?.zoom(1.25)}>
          +
        </button>
        <button type="button" title="Whole tree (f)" onClick={() => canvas.current?.fit()}>
          Fit
        </button>
      </span>
    </div>
  );
}

function FoldButton({ state }: { readonly state: TreeState }) {
  const { tree, selected, folded } = state;
  const isFolded = folded.has(selected);
  const isLeaf = (tree.nodes[selected]?.children.length ?? 0) === 0;
  return (
    <span class="buttons">
      <button
        type="button"
        title="Hide or show what is below the selected state (space, or another click on it)"
        aria-pressed={isFolded}
        disabled={isLeaf}
        onClick={state.toggleFold}
      >
        {isFolded ? 'Unfold' : 'Fold'}
      </button>
    </span>
  );
}

function Legend({ state }: { readonly state: TreeState }) {
  const theme = useTheme();
  const { colourBy, scales, setColourBy } = state;
  const scale = SCALES[colourBy];
  return (
    <span class="legend" title={scale.hint}>
      <label>
        <span class="hidden">Colour by</span>
        <select
          value={colourBy}
          onChange={(event) => setColourBy(event.currentTarget.value as ColourBy)}
        >
          {scales.map((by) => (
            <option key={by} value={by}>
              {scaleName(by, state.tree)}
            </option>
          ))}
        </select>
      </label>
      <span class="scale-end">{scale.low}</span>
      <span class="scale" aria-hidden="true">
        {scaleColours(theme).map((colour, i) => (
          <i key={i} style={{ background: colour, width: `${100 / BUCKETS}%` }} />
        ))}
      </span>
      <span class="scale-end">{scale.high}</span>
    </span>
  );
}

function GrowthBar({ state }: { readonly state: TreeState }) {
  const { growth, now, setNow, isPlaying, setPlaying, tree, layout } = state;
  const shown = now ?? growth.last;
  const search = growth.searches[shown];
  return (
    <div class="growth">
      {growth.last > 0 && (
        <>
          <button type="button" onClick={() => setPlaying(!isPlaying)} title="Watch it grow (p)">
            {isPlaying ? 'Pause' : 'Replay'}
          </button>
          <input
            type="range"
            min={0}
            max={growth.last}
            value={shown}
            aria-label="Growth"
            onInput={(event) => {
              setPlaying(false);
              const at = Number(event.currentTarget.value);
              setNow(at >= growth.last ? null : at);
            }}
          />
          <span class="growth-text">
            {shown} / {growth.last}
            {search ? ` · search ${search}` : ''}
            {growth.kind === 'file' ? ' · in file order' : ''}
          </span>
        </>
      )}
      <span class="quiet states">
        {count(layout.shown)}
        {layout.shown < tree.nodes.length ? ` of ${count(tree.nodes.length)}` : ''} states
      </span>
      {state.folded.size > 0 && (
        <button type="button" title="Show everything again" onClick={state.unfoldAll}>
          Unfold all
        </button>
      )}
    </div>
  );
}
