import { Command, CommanderError } from 'commander';
import { packageVersion } from '../config/version.js';
import { isFailedCommit } from '../runtime/run-store.js';
import { benchCommand } from './bench.js';
import { checkCommand } from './check.js';
import { demoCommand } from './demo.js';
import { doctorCommand } from './doctor.js';
import { EXIT, reportError } from './exit.js';
import { exportCommand } from './export.js';
import { figmathCommand } from './figmath.js';
import { labelCommand } from './label.js';
import { scoreCommand } from './score.js';
import { serveCommand } from './serve.js';
import { solveCommand } from './solve.js';
import { viewCommand } from './view.js';
import { workerCommand } from './worker.js';

/** What a command gets besides its options. */
export interface CommandIo {
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  /** Sets the exit code of a command that did not throw. */
  exit(code: number): void;
}

/** Runs one command. @param argv without node and script @returns the exit code */
export async function main(argv: readonly string[]): Promise<number> {
  const abort = new AbortController();
  const onSignal = () => {
    if (abort.signal.aborted) process.exit(EXIT.interrupted);
    process.stderr.write('\nsteptree: finishing what is being written (again: stop at once)\n');
    abort.abort(new DOMException('interrupted', 'AbortError'));
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  process.on('unhandledRejection', onUnhandled);
  let code: number = EXIT.done;
  const io: CommandIo = {
    signal: abort.signal,
    exit: (given) => {
      code = given;
    },
  };
  try {
    await program(io).parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    if (abort.signal.aborted && !(error instanceof CommanderError)) return EXIT.interrupted;
    return reportError(error, argv.includes('--json'));
  } finally {
    process.off('SIGINT', onSignal);
    process.off('SIGTERM', onSignal);
    process.off('unhandledRejection', onUnhandled);
  }
}

/** A full disk is reported by the write that met it, in one sentence. */
function onUnhandled(reason: unknown): void {
  if (!isFailedCommit(reason)) throw reason;
}

function overrideExit(command: Command): void {
  command.exitOverride();
  for (const inner of command.commands) overrideExit(inner);
}

function program(io: CommandIo): Command {
  const root = new Command('steptree')
    .description(
      'Grows trees of reasoning steps with a policy model, and turns them into step-level labels and better answers.',
    )
    .version(packageVersion())
    .showHelpAfterError('(add --help for all options)')
    .showSuggestionAfterError(true)
    .addHelpText(
      'after',
      `
Examples:
  $ steptree demo                                   watch trees grow, offline
  $ steptree figmath --count 100 --out problems     write problems with pictures
  $ steptree label problems/problems.jsonl --out run
  $ steptree solve --problem problems/problems.jsonl --id ID --strategy majority --n 16
  $ steptree bench run figmath --out bench-run --strategy greedy,majority --n 1,4,16
  $ steptree serve                                  an OpenAI-compatible API
  $ steptree worker --queue redis://localhost:6379  grow trees of runs on many machines
  $ steptree view run                               look at its trees in a browser
  $ steptree export run --to trl --out prm-data.jsonl

Exit codes: 0 done, 1 failed, 2 bad usage or bad input, 130 interrupted (run again to resume)`,
    );
  const commands = [
    labelCommand,
    workerCommand,
    solveCommand,
    scoreCommand,
    serveCommand,
    benchCommand,
    checkCommand,
    exportCommand,
    figmathCommand,
    viewCommand,
    demoCommand,
    doctorCommand,
  ];
  for (const make of commands) {
    root.addCommand(make(io).copyInheritedSettings(root));
  }
  // exitOverride is not inherited by commands that were made before.
  overrideExit(root);
  return root;
}
