import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, loadavg } from 'node:os';

/** What a benchmark's last line says about where and on what it ran. */
export interface BenchFacts {
  /** Short commit id, with `+` if the working tree differs from it. */
  readonly commit: string;
  readonly node: string;
  readonly cpu: string;
  readonly cores: number;
  /** Of the last minute; above `cores`, other work disturbed the measurement. */
  readonly loadAverage: number;
  readonly date: string;
}

export function benchFacts(): BenchFacts {
  return {
    commit: commitId(),
    node: process.version,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    loadAverage: loadavg()[0] ?? 0,
    date: new Date().toISOString().slice(0, 10),
  };
}

function commitId(): string {
  try {
    const git = (...args: string[]) =>
      execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    const changed = git('status', '--porcelain', '--untracked-files=no') !== '';
    return git('rev-parse', '--short', 'HEAD') + (changed ? '+' : '');
  } catch {
    return 'unknown';
  }
}
