import { Command } from 'commander';
import { z } from 'zod';
import { addFlags, parseOptions } from '../config/flags.js';
import { pickOptions } from '../config/shapes.js';
import { checkCase } from '../verify/check-case.js';
import { type CheckLine, type RejectedLine, readCheckLines } from '../verify/check-lines.js';
import { createComparer } from '../verify/comparer.js';
import type { Comparison } from '../verify/equivalence.js';
import { ruleOptions, verifyOptions } from '../verify/options.js';
import type { Rules } from '../verify/rules.js';
import { EXIT } from './exit.js';
import type { CommandIo } from './main.js';

const checkOptions = z.strictObject({ ...ruleOptions.shape, ...verifyOptions.shape });
type CheckOptions = z.infer<typeof checkOptions>;

/** Lines whose checks are under way at the same time. */
const lookAhead = 64;

/** Whether predicted answers equal gold answers. */
export function checkCommand(io: CommandIo): Command {
  const command = new Command('check')
    .description('decide whether predicted answers equal gold answers')
    .argument(
      '<file>',
      'JSONL of {id?, gold, pred, precision?, allowSetRelation?, strict?, choices?}',
    )
    .option('--json', 'print one JSON object on stdout')
    .addHelpText('after', EXAMPLES);
  addFlags(command, ruleOptions, 'Comparison');
  addFlags(command, verifyOptions, 'Limits');
  return command.action(async (file: string, given: Record<string, unknown>) => {
    const options = parseOptions(checkOptions, given);
    const { results, rejected } = await checkFile(file, options, io.signal);
    if (given.json) process.stdout.write(`${JSON.stringify(report(results, rejected))}\n`);
    else process.stdout.write(table(results));
    for (const { message, code } of rejected) process.stderr.write(`${message} [${code}]\n`);
    io.exit(rejected.length > 0 ? EXIT.badInput : EXIT.done);
  });
}

interface CheckResult extends CheckLine {
  readonly comparison: Comparison;
}

async function checkFile(file: string, options: CheckOptions, signal: AbortSignal) {
  const comparer = createComparer(pickOptions(verifyOptions, options));
  const defaults = pickOptions(ruleOptions, options);
  const results: CheckResult[] = [];
  const rejected: RejectedLine[] = [];
  const pending: Promise<CheckResult>[] = [];
  try {
    for await (const item of readCheckLines(file)) {
      signal.throwIfAborted();
      if ('rejected' in item) {
        rejected.push(item.rejected);
        continue;
      }
      const checked = checkCase(comparer, { ...stated(defaults), ...item.check });
      pending.push(checked.then((comparison) => ({ ...item, comparison })));
      if (pending.length >= lookAhead) results.push(...(await Promise.all(pending.splice(0))));
    }
    results.push(...(await Promise.all(pending)));
    return { results, rejected };
  } finally {
    await comparer.close();
  }
}

/** Without the options that nobody gave. */
function stated(fields: object): Rules {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function report(results: readonly CheckResult[], rejected: readonly RejectedLine[]) {
  return {
    results: results.map(({ id, comparison }) => ({ id, ...comparison })),
    ...(rejected.length > 0 && { rejected }),
    ...expectationCounts(results),
  };
}

/** Only where the file says what it expects. */
function expectationCounts(results: readonly CheckResult[]) {
  const stated = results.filter(({ expected }) => expected !== undefined);
  if (stated.length === 0) return {};
  const right = stated.filter(({ expected, comparison }) => comparison.verdict === expected);
  return { expected: stated.length, asExpected: right.length };
}

const shownLength = 40;

function table(results: readonly CheckResult[]): string {
  const rows = results.map(({ id, check, comparison, expected }) => {
    const verdict = comparison.reason
      ? `${comparison.verdict} (${comparison.reason})`
      : comparison.verdict;
    const mark = expected !== undefined && comparison.verdict !== expected ? ' *' : '';
    return [
      String(id),
      verdict + mark,
      shortened(check.gold.join(' | ')),
      shortened(check.predicted),
    ];
  });
  const header = ['id', 'verdict', 'gold', 'predicted'];
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const text = [header, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
  return `${text}\n\n${totals(results)}\n`;
}

function shortened(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length <= shownLength ? line : `… ${line.slice(2 - shownLength)}`;
}

function totals(results: readonly CheckResult[]): string {
  const count = (kind: Comparison['verdict']) =>
    results.filter(({ comparison }) => comparison.verdict === kind).length;
  const counts = `${count('equal')} equal, ${count('different')} different, ${count('ungraded')} ungraded`;
  const { expected, asExpected } = { expected: 0, asExpected: 0, ...expectationCounts(results) };
  return expected === 0
    ? counts
    : `${counts}; ${asExpected} of ${expected} as expected (others: *)`;
}

const EXAMPLES = `
Examples:
  $ echo '{"id": "a", "gold": "1/2", "pred": "So the answer is 0.5."}' > answers.jsonl
  $ steptree check answers.jsonl
  $ steptree check answers.jsonl --json --precision 2 --check-timeout-ms 2000

The predicted answer is found in the response by its box, "Answer:", "the answer is" or its last line.
A check that takes too long or too much memory is ungraded, and the others go on. A bad line is named
on stderr (exit code 2), and the others are checked all the same.`;
