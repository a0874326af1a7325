import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import { addFlags, parseOptions } from '../config/flags.js';
import { exportOptions, exportRun } from '../data/export/index.js';
import { RUN_FILES } from '../runtime/run-files.js';
import type { CommandIo } from './main.js';

export function exportCommand(io: CommandIo): Command {
  const command = new Command('export')
    .description("turn a run's trees and labels into the training format of a PRM trainer")
    .argument('<dir>', 'folder of a run')
    .requiredOption('--out <file>', 'file to write; replaced only by a complete one')
    .option('--json', 'print one JSON object on stdout')
    .addHelpText('after', EXAMPLES);
  addFlags(command, exportOptions, 'Export');
  return command.action(async (dir: string, given: Record<string, unknown>) => {
    const parsed = parseOptions(exportOptions, given);
    const problemsDir = parsed.problemsDir || (await problemsDirOf(dir));
    const options = { ...parsed, problemsDir, out: String(given.out) };
    const summary = await exportRun(dir, options, io.signal);
    if (given.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
    else process.stdout.write(`${summary.examples} training examples in ${summary.out}\n`);
  });
}

/** Where the run's own problem file lay; empty if run.json doesn't tell. */
async function problemsDirOf(dir: string): Promise<string> {
  try {
    const run = JSON.parse(await readFile(join(dir, RUN_FILES.run), 'utf8')) as Record<
      string,
      unknown
    >;
    return typeof run.problemsFile === 'string' ? dirname(run.problemsFile) : '';
  } catch {
    return '';
  }
}

const EXAMPLES = `
Examples:
  $ steptree export run --to mm-prm --out mm-prm.json
  $ steptree export run --to trl --out trl.jsonl
  $ steptree export run --to parquet --images embed --out labels.parquet`;
