import { Command } from 'commander';
import { type Comparison, compareResults } from '../evaluate/compare.js';
import { readCell } from '../evaluate/results.js';
import { EXIT } from './exit.js';
import type { CommandIo } from './main.js';

/** Compares two results problem by problem. */
export function benchCompareCommand(io: CommandIo): Command {
  return new Command('compare')
    .description('compare two results problem by problem: paired bootstrap and McNemar')
    .argument('<a>', 'folder of a bench run or bench score; DIR#CELL names one of its strategies')
    .argument('<b>', 'the same')
    .option('--json', 'print one JSON object on stdout')
    .addHelpText('after', EXAMPLES)
    .action(async (a: string, b: string, given: { json?: boolean }) => {
      const [first, second] = await Promise.all([readCell(a), readCell(b)]);
      const comparison = compareResults(first, second);
      const names = { a: first.name, b: second.name };
      if (given.json) process.stdout.write(`${JSON.stringify({ ...names, ...comparison })}\n`);
      else process.stdout.write(`${comparisonText(names, comparison)}\n`);
      io.exit(EXIT.done);
    });
}

function comparisonText(names: { a: string; b: string }, comparison: Comparison): string {
  const percent = (value: number) => (100 * value).toFixed(1);
  const signed = (value: number) => `${value >= 0 ? '+' : ''}${percent(value)}`;
  const { problems, onlyA, onlyB, difference, mcNemar } = comparison;
  const apart = onlyA + onlyB > 0 ? ` (${onlyA} are in A alone, ${onlyB} in B alone)` : '';
  return [
    `${problems} problems in both${apart}`,
    `A ${names.a}: ${percent(comparison.accuracyA)} %`,
    `B ${names.b}: ${percent(comparison.accuracyB)} %`,
    `A - B: ${signed(difference.mean)} points (${signed(difference.low)} to ${signed(difference.high)}, 95 % paired bootstrap)`,
    `only A right ${mcNemar.onlyARight}, only B right ${mcNemar.onlyBRight}; McNemar exact p = ${mcNemar.pValue.toPrecision(3)}`,
  ].join('\n');
}

const EXAMPLES = `
Examples:
  $ steptree bench compare scored-a scored-b
  $ steptree bench compare bench-run#majority@16 bench-run#greedy@1

An interval without 0, or a p below 0.05, says that the difference is hardly chance.`;
