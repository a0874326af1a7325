import { styleText } from 'node:util';
import type { StateJson, TreeJson } from '../../search/index.js';

export interface TreeTextOptions {
  readonly color: boolean;
  /** Lines of states at most; what is left out is counted. */
  readonly maxLines: number;
  /** Columns of the terminal. */
  readonly width: number;
}

/** A labelled tree as indented text: value, bar and step of each state, the richest first. */
export function treeText(tree: TreeJson, options: TreeTextOptions): string {
  const paint = options.color ? styleText : (_: unknown, text: string) => text;
  const value = tree.mc_value;
  const head = [
    `${paint('bold', tree.question)}`,
    paint(
      'dim',
      `gold answer ${tree.answer}, ${tree.total_rollouts} rollouts, ${tree.search_count} searches, ` +
        `value of the question ${value === null ? 'unknown' : value.toFixed(2)}`,
    ),
  ];
  const states = [...walk(tree.children, '')];
  const shown = states.slice(0, options.maxLines);
  const body = shown.map(({ state, indent }) => stateLine(state, indent, options));
  const left = states.length - shown.length;
  if (left > 0) body.push(paint('dim', `  … and ${left} more states in trees/`));
  return [...head, ...body].join('\n');
}

interface Line {
  readonly state: StateJson;
  readonly indent: string;
}

/** Depth first. Of the finished right solutions of a state, which differ in wording only, one is
 *  shown; searched states come first. */
function* walk(children: readonly StateJson[], indent: string): Generator<Line> {
  const searched = children.filter((child) => child.counts.graded > 0 || child.mc_value === 0);
  const finished = children.filter((child) => child.counts.graded === 0 && child.mc_value !== 0);
  const kept = [...searched, ...finished.slice(0, 1)];
  for (const [index, state] of kept.entries()) {
    const last = index === kept.length - 1;
    yield { state, indent: `${indent}${last ? '└─ ' : '├─ '}` };
    yield* walk(state.children, `${indent}${last ? '   ' : '│  '}`);
  }
}

function stateLine(state: StateJson, indent: string, options: TreeTextOptions): string {
  const value = state.mc_value;
  const text = state.partial_solution.join(' ⏎ ').replace(/\s+/g, ' ');
  const room = Math.max(20, options.width - indent.length - 22);
  const step = text.length > room ? `${text.slice(0, room - 1)}…` : text;
  const rollouts = state.counts.graded > 0 ? `n=${state.counts.graded}` : 'end';
  const line = `${valueText(value, options.color)} ${rollouts.padEnd(5)} ${step}`;
  return `  ${indent}${line}`;
}

/** A value with its bar, `0.50 ███░░░`, 11 columns wide. */
export function valueText(value: number | null, color: boolean): string {
  if (value === null) return '   ?       ';
  const text = `${value.toFixed(2)} ${bar(value)}`;
  return color ? styleText(colorOf(value), text) : text;
}

function bar(value: number): string {
  const full = Math.round(value * 6);
  return '█'.repeat(full) + '░'.repeat(6 - full);
}

function colorOf(value: number): 'red' | 'yellow' | 'green' {
  if (value === 0) return 'red';
  return value < 0.6 ? 'yellow' : 'green';
}
