import { showLine } from './live-line.js';
import { durationText, type Progress } from './progress.js';

export interface Count {
  readonly done: number;
  readonly failed: number;
}

/** Shows how many of something are done, on stderr. @param noun in the plural */
export function showCount(
  noun: string,
  count: () => Count,
  stream: NodeJS.WriteStream = process.stderr,
): Progress {
  const startMs = performance.now();
  return showLine(() => countText(noun, count(), (performance.now() - startMs) / 1000), stream);
}

/** `1,200 solutions (3 failed) · 40/s · 30 s` */
export function countText(noun: string, { done, failed }: Count, seconds: number): string {
  const rate = seconds > 0 ? Math.round(done / seconds) : 0;
  const lost = failed > 0 ? ` (${failed.toLocaleString('en')} failed)` : '';
  return `${done.toLocaleString('en')} ${noun}${lost} · ${rate.toLocaleString('en')}/s · ${durationText(seconds)}`;
}
