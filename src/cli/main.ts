import { Command, CommanderError } from 'commander';
import { packageVersion } from '../config/version.js';
import { isFailedCommit } from '../runtime/failed-commit.js';
import { EXIT, reportError } from './exit.js';

/** What a command gets besides its options. */
export interface CommandIo {
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
  /** Sets the exit code of a command that did not throw. */
  exit(code: number): void;
}

/** Read when it is named: the modules of all commands together take a second to load. */
const COMMANDS: Readonly<Record<string, (io: CommandIo) => Promise<Command>>> = {
  label: async (io) => (await import('./label.js')).labelCommand(io),
  worker: async (io) => (await import('./worker.js')).workerCommand(io),
  solve: async (io) => (await import('./solve.js')).solveCommand(io),
  score: async (io) => (await import('./score.js')).scoreCommand(io),
  serve: async (io) => (await import('./serve.js')).serveCommand(io),
  bench: async (io) => (await import('./bench.js')).benchCommand(io),
  check: async (io) => (await import('./check.js')).checkCommand(io),
  export: async (io) => (await import('./export.js')).exportCommand(io),
  figmath: async (io) => (await import('./figmath.js')).figmathCommand(io),
  view: async (io) => (await import('./view.js')).viewCommand(io),
  demo: async (io) => (await import('./demo.js')).demoCommand(io),
  doctor: async (io) => (await import('./doctor.js')).doctorCommand(io),
};

/** Runs one command. @param argv without node and script @returns the exit code */
export async function main(argv: readonly string[]): Promise<number> {
  const abort = new AbortController();
  const onSignal = () => {
    if (abort.signal.aborted) process.exit(EXIT.interrupted);
    // Behind ^C on a terminal.
    const begin = process.stderr.isTTY ? '\n' : '';
    process.stderr.write(
      `${begin}steptree: finishing what is being written (again: stop at once)\n`,
    );
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
    await (await program(io, argv[0])).parseAsync([...argv], { from: 'user' });
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

/** @param named the command that runs, where the first argument names one; else all are needed, for
 *  their help and for guessing what was meant */
async function program(io: CommandIo, named = ''): Promise<Command> {
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
  const one = Object.hasOwn(COMMANDS, named) ? COMMANDS[named] : undefined;
  for (const make of one ? [one] : Object.values(COMMANDS)) {
    root.addCommand((await make(io)).copyInheritedSettings(root));
  }
  // exitOverride is not inherited by commands that were made before.
  overrideExit(root);
  return root;
}
