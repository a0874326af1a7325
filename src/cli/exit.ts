import { CommanderError } from 'commander';
import { errorCode, errorMessage, SteptreeError } from '../../search/errors.js';

/** Exit codes of every command. */
export const EXIT = { done: 0, failed: 1, badInput: 2, interrupted: 130 } as const;

/** Codes of errors that the user's command line or files caused, by their beginning. */
const BAD_INPUT = [
  'BENCH_SUMMARY_INVALID',
  'EXPORT_',
  'OPTION_',
  'POLICY_API_KEY_MISSING',
  'POLICY_MODEL_UNKNOWN',
  'POLICY_URL_INVALID',
  'PROBLEM',
  'QUEUE_PASSWORD_MISSING',
  'QUEUE_POLICY_DIFFERS',
  'QUEUE_URL_INVALID',
  'QUEUE_VERSION_DIFFERS',
  'RECORDED_MALFORMED',
  'RECORDED_UNREADABLE',
  'RESPONSES_INVALID',
  'RESULTS_UNREADABLE',
  'RUN_CONFIG_DIFFERS',
  'RUN_DIR_UNUSABLE',
  'RUN_PROBLEM_CHANGED',
  'SERVE_KEY',
  'SERVE_LISTEN_FAILED',
  'SERVE_PUBLIC_WITHOUT_KEY',
  'SET_',
  'SPLITTER_',
  'STRATEGY_',
  'VIEW_',
  'ONNX_CONFIG',
  'ONNX_FOLDER',
  'ONNX_GRAPH',
];

/** Prints an error on stderr (and as JSON on stdout if asked) and says how to exit. */
export function reportError(error: unknown, json: boolean): number {
  if (error instanceof CommanderError) {
    // Commander has printed its own message already.
    return error.exitCode === 0 ? EXIT.done : EXIT.badInput;
  }
  const code = errorCode(error);
  const known = error instanceof SteptreeError;
  const message = known ? error.message : errorText(error);
  process.stderr.write(`steptree: ${message} [${code}]\n`);
  if (json) {
    const facts = known ? error.facts : {};
    process.stdout.write(`${JSON.stringify({ error: { code, message, facts } })}\n`);
  }
  return BAD_INPUT.some((prefix) => code.startsWith(prefix)) ? EXIT.badInput : EXIT.failed;
}

/** An error that is not ours is a bug: its stack helps to report it. */
function errorText(error: unknown): string {
  return error instanceof Error && error.stack ? error.stack : errorMessage(error);
}

/** Ends the process soon after its command has ended, should a handle that a library forgot keep it
 *  alive: whoever stopped a worker waits for its end. */
export function endSoon(): void {
  setTimeout(() => process.exit(), END_MS).unref();
}

const END_MS = 2_000;
