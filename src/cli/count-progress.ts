import { durationText, type Progress } from './progress.js';

export interface Count {
  readonly done: number;
  readonly failed: number;
}

const LIVE_MS = 200;
const PLAIN_MS = 5_000;

/** Shows how many of something are done, on stderr: a live line on a terminal, else a plain line
 *  every few seconds. @param noun in the plural */
export function showCount(
  noun: string,
  count: () => Count,
  stream: NodeJS.WriteStream = process.stderr,
): Progress {
  const startMs = performance.now();
  const text = () => countText(noun, count(), (performance.now() - startMs) / 1000);
  const live = stream.isTTY === true;
  // A carriage return and an erased line, so that a shorter text leaves nothing behind.
  const draw = () => stream.write(live ? `\r\u001b[2K${text()}` : `${text()}\n`);
  const timer = setInterval(draw, live ? LIVE_MS : PLAIN_MS);
  return {
    stop() {
      clearInterval(timer);
      if (live) stream.write(`\r\u001b[2K${text()}\n`);
    },
  };
}

/** `1,200 solutions (3 failed) · 40/s · 30 s` */
export function countText(noun: string, { done, failed }: Count, seconds: number): string {
  const rate = seconds > 0 ? Math.round(done / seconds) : 0;
  const lost = failed > 0 ? ` (${failed.toLocaleString('en')} failed)` : '';
  return `${done.toLocaleString('en')} ${noun}${lost} · ${rate.toLocaleString('en')}/s · ${durationText(seconds)}`;
}
