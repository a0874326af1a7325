import type { Progress } from './progress.js';

const LIVE_MS = 200;
const PLAIN_MS = 5_000;
/** A plain line that says nothing new comes so often, to show that the command lives. */
const SAME_MS = 60_000;

/** Back to the line's begin, and what stands there is erased. */
const ERASE = '\r\u001b[2K';

/** Shows a text that changes: a live line on a terminal, else plain lines. */
export function showLine(
  text: () => string,
  stream: NodeJS.WriteStream = process.stderr,
): Progress {
  if (stream.isTTY !== true) return plainLines(text, stream);
  const timer = setInterval(() => stream.write(`${ERASE}${text()}`), LIVE_MS);
  return {
    stop() {
      clearInterval(timer);
      stream.write(`${ERASE}${text()}\n`);
    },
  };
}

/** A line every few seconds, if it says something new. */
export function plainLines(text: () => string, stream: NodeJS.WriteStream): Progress {
  let last = '';
  let lastMs = Number.NEGATIVE_INFINITY;
  const timer = setInterval(() => {
    const now = text();
    const nowMs = performance.now();
    if (now === last && nowMs - lastMs < SAME_MS) return;
    last = now;
    lastMs = nowMs;
    stream.write(`${now}\n`);
  }, PLAIN_MS);
  return { stop: () => clearInterval(timer) };
}

/** Writes a line of its own; a live line that stands there is drawn again below it. */
export function writeLog(line: string, stream: NodeJS.WriteStream = process.stderr): void {
  stream.write(`${stream.isTTY === true ? ERASE : ''}${line}\n`);
}
