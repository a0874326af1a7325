import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { showLine, writeLog } from '../../src/cli/live-line.js';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** A stream that keeps what is written. */
function stream(isTTY: boolean) {
  const written: string[] = [];
  const write = (text: string) => written.push(text);
  return { written, stream: { isTTY, write } as unknown as NodeJS.WriteStream };
}

it('a plain line comes when it says something new, and each minute to show that the command lives', () => {
  const { written, stream: out } = stream(false);
  let text = 'one';
  const progress = showLine(() => text, out);
  vi.advanceTimersByTime(30_000);
  expect(written).toEqual(['one\n']);
  text = 'two';
  vi.advanceTimersByTime(64_000);
  expect(written).toEqual(['one\n', 'two\n']);
  vi.advanceTimersByTime(5_000);
  expect(written).toEqual(['one\n', 'two\n', 'two\n']);
  progress.stop();
});

it('a log line takes the place of the live line on a terminal, and is plain elsewhere', () => {
  const terminal = stream(true);
  const progress = showLine(() => 'live', terminal.stream);
  vi.advanceTimersByTime(200);
  writeLog('news', terminal.stream);
  vi.advanceTimersByTime(200);
  progress.stop();
  expect(terminal.written.join('')).toBe(
    ['\r\u001b[2Klive', '\r\u001b[2Knews\n', '\r\u001b[2Klive', '\r\u001b[2Klive\n'].join(''),
  );
  const file = stream(false);
  writeLog('news', file.stream);
  expect(file.written).toEqual(['news\n']);
});
