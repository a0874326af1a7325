import cliProgress from 'cli-progress';
import type { RunSnapshot } from '../runtime/label-run-types.js';
import { plainLines } from './live-line.js';

export interface Progress {
  /** Stops drawing and leaves the last state on the screen. */
  stop(): void;
}

/** Shows a run on stderr: one live line on a terminal, else a plain line every few seconds. */
export function showProgress(
  snapshot: () => RunSnapshot,
  stream: NodeJS.WriteStream = process.stderr,
): Progress {
  return stream.isTTY
    ? liveLine(snapshot, stream)
    : plainLines(() => progressText(snapshot()), stream);
}

function liveLine(snapshot: () => RunSnapshot, stream: NodeJS.WriteStream): Progress {
  const bar = new cliProgress.SingleBar(
    {
      format: '{bar} {text}',
      barsize: 16,
      stream,
      hideCursor: true,
      clearOnComplete: false,
      autopadding: false,
    },
    cliProgress.Presets.shades_classic,
  );
  const draw = () => {
    const now = snapshot();
    bar.setTotal(now.problems.total ?? settled(now) + now.active);
    bar.update(settled(now), { text: progressText(now) });
  };
  bar.start(1, 0, { text: '' });
  const timer = setInterval(draw, 200);
  return {
    stop() {
      clearInterval(timer);
      draw();
      bar.stop();
    },
  };
}

/** `12/64 problems (1 failed), 3,210 rollouts, 210/s, 8,400 tokens/s, slots 240/256, ETA 2 min` */
export function progressText(now: RunSnapshot): string {
  const { problems, sessionSeconds: seconds } = now;
  const failed = problems.failed > 0 ? ` (${problems.failed} failed)` : '';
  const rate = (count: number) =>
    (seconds > 0 ? Math.round(count / seconds) : 0).toLocaleString('en');
  return [
    `${settled(now)}/${problems.total ?? '?'} problems${failed}`,
    `${now.sessionRollouts.toLocaleString('en')} rollouts`,
    `${rate(now.sessionRollouts)} rollouts/s`,
    `${rate(now.sessionTokens)} tokens/s`,
    `slots ${now.inFlight}/${now.maxInFlight}`,
    ...queueParts(now),
    `ETA ${etaText(now)}`,
  ].join(' · ');
}

/** `4 workers · 36 problems out` and, if something is wrong, what. */
function queueParts({ queue }: RunSnapshot): string[] {
  if (!queue) return [];
  const { workers, handedOut, trouble } = queue;
  const none = 'no worker yet (steptree worker --queue …)';
  return [
    workers === 0 ? none : `${workers} worker${workers === 1 ? '' : 's'}`,
    `${handedOut.toLocaleString('en')} problems out`,
    ...(trouble === null ? [] : [trouble]),
  ];
}

/** From this session's pace, counting each growing tree as half done. */
function etaText(now: RunSnapshot): string {
  const { problems, active, sessionSeconds, settledBefore } = now;
  const advanced = settled(now) - settledBefore + active / 2;
  if (problems.total === null || advanced <= 0 || sessionSeconds < 2) return '…';
  const left = problems.total - settled(now) - active / 2;
  return durationText(Math.max(0, (left / advanced) * sessionSeconds));
}

export function durationText(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${(seconds / 3600).toFixed(1)} h`;
  return `${(seconds / 86_400).toFixed(1)} days`;
}

function settled(now: RunSnapshot): number {
  return now.problems.done + now.problems.failed;
}
