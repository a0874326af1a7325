import { Command } from 'commander';
import { addFlags, parseOptions } from '../config/flags.js';
import { figmathOptions, writeFigmath } from '../figmath/index.js';
import type { CommandIo } from './main.js';

export function figmathCommand(io: CommandIo): Command {
  const command = new Command('figmath')
    .description('write synthetic picture problems: figures, questions and answers, seeded')
    .option('--json', 'print one JSON object on stdout')
    .addHelpText(
      'after',
      '\nExample:\n  $ steptree figmath --split test --count 500 --out problems',
    );
  addFlags(command, figmathOptions, 'Problems');
  return command.action(async (given: Record<string, unknown>) => {
    const summary = await writeFigmath(parseOptions(figmathOptions, given), io.signal);
    if (given.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
    else process.stdout.write(`${summary.count} problems in ${summary.problemsFile}\n`);
  });
}
