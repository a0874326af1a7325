/** Values of published records. */
import type { SetProblem } from './types.js';

export function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** Numbers too, as they are written; lists and objects as JSON, nothing for null. */
export function textOf(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') return value;
  if (typeof value === 'bigint') return value.toString();
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

export function choicesOf({ choices }: Pick<SetProblem, 'choices'>): readonly string[] {
  return choices ?? [];
}

export function letterAt(index: number): string {
  return String.fromCharCode(65 + index);
}
