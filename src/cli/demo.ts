import { join } from 'node:path';
import { Command } from 'commander';
import type { TreeJson } from '../../search/index.js';
import { writeFigmath } from '../figmath/index.js';
import { exitCode, label, summaryText } from './label.js';
import { parseLabelOptions } from './label-options.js';
import type { CommandIo } from './main.js';
import { pictureText } from './picture-text.js';
import { treeText } from './tree-text.js';

/** A newcomer's first minute: problems with pictures, the embedded policy, trees, labels. */
export function demoCommand(io: CommandIo): Command {
  return new Command('demo')
    .description('label a few synthetic picture problems with the embedded policy and show trees')
    .option('--out <dir>', 'folder of the problems and the run', 'demo-run')
    .option('--count <n>', 'number of problems', '24')
    .action(async (given: { out: string; count: string }) => {
      const print = (text: string) => process.stdout.write(`${text}\n`);
      const count = Math.max(1, Number.parseInt(given.count, 10) || 24);
      const problemsDir = join(given.out, 'problems');
      print(`Drawing ${count} figures with questions into ${problemsDir}/ …`);
      const problems = await writeFigmath(
        { split: 'test', count, seed: 7, out: problemsDir },
        io.signal,
      );
      print('Growing trees with the embedded policy (a small vision-language model) …\n');
      const mixed: TreeJson[] = [];
      const summary = await label(
        problems.problemsFile,
        join(given.out, 'run'),
        parseLabelOptions({ method: 'omegaprm', seed: 7 }),
        {
          signal: io.signal,
          quiet: false,
          log: (line) => process.stderr.write(`${line}\n`),
          onTree: (tree) => {
            if (isInstructive(tree) && mixed.length < SHOWN) mixed.push(tree);
          },
        },
      );
      for (const tree of mixed) await showTree(tree, problemsDir, print);
      print(`\n${summaryText(summary, join(given.out, 'run'))}`);
      if (summary.status === 'done') print(nextSteps(given.out));
      io.exit(exitCode(summary));
    });
}

const SHOWN = 3;

/** A tree that shows something: right and wrong rollouts, and a search between them. */
function isInstructive(tree: TreeJson): boolean {
  const value = tree.mc_value ?? 0;
  return value > 0.1 && value < 0.95 && tree.search_count >= 2;
}

async function showTree(
  tree: TreeJson,
  problemsDir: string,
  print: (text: string) => void,
): Promise<void> {
  const color = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
  const width = process.stdout.columns ?? 100;
  print('');
  if (color && tree.image_path) print(await pictureText(join(problemsDir, tree.image_path), 40));
  print(treeText(tree, { color, width, maxLines: 16 }));
}

function nextSteps(out: string): string {
  return `
Every line above is a state: its Monte Carlo value (the share of rollouts from it that reach the
gold answer), the number of rollouts behind it, and its steps. These values are the soft labels.

Next:
  npx steptree label ${out}/problems/problems.jsonl --out my-run --method step-rollouts
  npx steptree export ${out}/run --to trl --out prm-data.jsonl
  npx steptree label --help`;
}
