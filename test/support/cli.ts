import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll } from 'vitest';

const BIN = resolve('bin/steptree.js');

export interface CliResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the real command in a process of its own and waits for its end. */
export function runCli(args: readonly string[], env: Record<string, string> = {}) {
  return startCli(args, env).ended;
}

/** @param by a command that runs it, such as `ip netns exec NAME` */
export function startCli(
  args: readonly string[],
  env: Record<string, string> = {},
  by: readonly string[] = [],
): { child: ChildProcess; ended: Promise<CliResult> } {
  const [program = process.execPath, ...rest] = [...by, process.execPath, BIN, ...args];
  const child = spawn(program, rest, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
  const ended = new Promise<CliResult>((settle) => {
    child.once('close', (code, signal) => {
      const text = (chunks: Buffer[]) => Buffer.concat(chunks).toString('utf8');
      settle({ code, signal, stdout: text(out), stderr: text(err) });
    });
  });
  return { child, ended };
}

/** Runs a shell script that may mount, in name spaces of its own; `steptree` is the real command. */
export function runInNamespace(script: string): CliResult {
  const steptree = `steptree() { "${process.execPath}" "${BIN}" "$@"; }`;
  const { status, signal, stdout, stderr } = spawnSync(
    'unshare',
    ['--user', '--map-root-user', '--mount', 'bash', '-c', `${steptree}\n${script}`],
    { encoding: 'utf8' },
  );
  return { code: status, signal, stdout, stderr };
}

/** A temporary folder that goes when the test file ends. */
export function temporaryFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'steptree-test-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export function writeJsonl(path: string, rows: readonly unknown[]): string {
  writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return path;
}

export function readJsonl<T>(path: string): T[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}

/** Text-only problems for the simulated policy. */
export function simpleProblems(count: number): { id: string; question: string; answer: string }[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `p${i}`,
    question: `What is ${i} plus ${i}?`,
    answer: String(2 * i),
  }));
}
