/** The commands themselves, as a user runs them, against real servers. */
import { spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const STEPTREE = fileURLToPath(new URL('../../../bin/steptree.js', import.meta.url));

/** The embedded models know no system prompt and have 512 positions. */
const POLICY_FLAGS = ['--system-prompt', '', '--max-tokens', '256'];
const LABEL_FLAGS = ['--method', 'omegaprm', '--num-rollouts', '4', '--max-total-rollouts', '64'];

export interface CommandsSetting {
  readonly policy: string;
  readonly prm: string;
  readonly problemsFile: string;
  readonly ids: readonly string[];
  /** Problems to label. */
  readonly labelled: number;
  /** Scratch folder. */
  readonly dir: string;
}

interface Ran {
  readonly code: number | null;
  readonly killed: boolean;
  readonly seconds: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** doctor; label, killed when a few trees are done and resumed; solve with best-of-n of 8. */
export async function runCommands(setting: CommandsSetting) {
  const failures: string[] = [];
  const check = (right: boolean, what: string) => {
    if (!right) failures.push(what);
  };
  const doctor = await steptree(['doctor', '--json', setting.policy, setting.prm]);
  check(doctor.code === 0, `doctor exits with ${doctor.code}: ${tail(doctor)}`);
  const label = await labelTwice(setting, check);
  const solve = [];
  for (const id of setting.ids.slice(0, 3)) solve.push(await solveOne(setting, id, check));
  return { doctor: endpointsOf(doctor), label, solve, failures };
}

async function labelTwice(setting: CommandsSetting, check: (right: boolean, what: string) => void) {
  const out = join(setting.dir, 'run');
  const flags = ['--policy', setting.policy, ...POLICY_FLAGS, ...LABEL_FLAGS, '--json'];
  const args = ['label', setting.problemsFile, '--out', out, '--limit', `${setting.labelled}`];
  // Few problems at a time: else all trees end at once and there is no middle to be killed in.
  const all = [...args, '--concurrency', '4', ...flags];
  const wanted = Math.max(1, Math.floor(setting.labelled / 4));
  const first = await steptree(all, async () => (await treesIn(out)) >= wanted);
  const treesAtKill = await treesIn(out);
  check(first.killed, `label ended with ${first.code} before it was killed: ${tail(first)}`);
  const second = await steptree(all);
  check(second.code === 0, `label, resumed, exits with ${second.code}: ${tail(second)}`);
  const labels = await readFile(join(out, 'labels.jsonl'), 'utf8').catch(() => '');
  const problems = new Set(
    labels
      .split('\n')
      .filter(Boolean)
      .map((line) => String((JSON.parse(line) as { id: string }).id)),
  );
  const trees = await treesIn(out);
  check(trees === setting.labelled, `${trees} trees of ${setting.labelled}`);
  return {
    problems: setting.labelled,
    treesAtKill,
    trees,
    labelledProblems: problems.size,
    secondsUntilKill: first.seconds,
    secondsAfterResume: second.seconds,
    summary: parsed(second.stdout),
  };
}

async function solveOne(
  setting: CommandsSetting,
  id: string,
  check: (right: boolean, what: string) => void,
) {
  const ran = await steptree([
    ...['solve', '--problem', setting.problemsFile, '--id', id, '--json'],
    ...['--policy', setting.policy, ...POLICY_FLAGS],
    ...['--strategy', 'best-of-n', '--n', '8'],
    ...['--prm', setting.prm, '--prm-kind', 'token-logits'],
  ]);
  check(ran.code === 0, `solve ${id} exits with ${ran.code}: ${tail(ran)}`);
  const { answer, gold, verdict, votes, usage, warnings } = parsed(ran.stdout);
  check(usage !== undefined, `solve ${id} prints no result`);
  return { id, seconds: ran.seconds, answer, gold, verdict, votes, usage, warnings };
}

/** @param killWhen looked at now and then; once it holds, the process gets SIGKILL */
function steptree(args: readonly string[], killWhen?: () => Promise<boolean>): Promise<Ran> {
  process.stderr.write(`real-server: steptree ${args.join(' ')}\n`);
  const startMs = performance.now();
  const child = spawn(process.execPath, [STEPTREE, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  let killed = false;
  child.stdout.on('data', (part) => {
    stdout += part;
  });
  child.stderr.on('data', (part) => {
    stderr += part;
  });
  const watch = setInterval(async () => {
    if (killed || !killWhen || !(await killWhen())) return;
    killed = child.kill('SIGKILL');
  }, 100);
  return new Promise((resolve) => {
    child.on('close', (code) => {
      clearInterval(watch);
      resolve({ code, killed, seconds: (performance.now() - startMs) / 1000, stdout, stderr });
    });
  });
}

async function treesIn(out: string): Promise<number> {
  const files = await readdir(join(out, 'trees')).catch(() => []);
  return files.filter((file) => file.endsWith('.json')).length;
}

function endpointsOf(doctor: Ran): unknown {
  const { checks } = parsed(doctor.stdout) as { checks?: { name: string }[] };
  return checks?.filter(({ name }) => name.startsWith('http'));
}

function parsed(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function tail({ stderr }: Ran): string {
  return stderr.trim().slice(-300);
}
