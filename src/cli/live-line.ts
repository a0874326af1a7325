import type { Progress } from './progress.js';

const LIVE_MS = 200;
const PLAIN_MS = 5_000;

/** Shows a text that changes: a live line on a terminal, else a plain line every few seconds. */
export function showLine(
  text: () => string,
  stream: NodeJS.WriteStream = process.stderr,
): Progress {
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
