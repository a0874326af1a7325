import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { styleText } from 'node:util';
import { Command } from 'commander';
import type { TreeJson } from '../../search/index.js';
import { treeFileName } from '../data/problems.js';
import { writeFigmath } from '../figmath/index.js';
import { exitCode, label, summaryText } from './label.js';
import { parseLabelOptions } from './label-options.js';
import type { CommandIo } from './main.js';
import { pictureText } from './picture-text.js';
import { treeText, valueText } from './tree-text.js';

const SEED = 7;
/** Trees drawn in full at the end. */
const SHOWN = 3;

/** A newcomer's first minute: problems with pictures, the embedded policy, trees, labels. */
export function demoCommand(io: CommandIo): Command {
  return new Command('demo')
    .description('label a few synthetic picture problems with the embedded policy and show trees')
    .option('--out <dir>', 'folder of the problems and the run', 'demo-run')
    .option('--count <n>', 'number of problems', '24')
    .addHelpText('after', '\nExample:\n  $ steptree demo --count 8')
    .action(async (given: { out: string; count: string }) => {
      const count = Math.max(1, Number.parseInt(given.count, 10) || 24);
      await demo(given.out, count, io);
    });
}

async function demo(out: string, count: number, io: CommandIo): Promise<void> {
  const problemsDir = join(out, 'problems');
  const runDir = join(out, 'run');
  print(`Drawing ${count} figures with questions into ${problemsDir}/`);
  const problems = await writeFigmath(
    { split: 'test', count, seed: SEED, out: problemsDir },
    io.signal,
  );
  print('Growing a tree of reasoning steps for each with the embedded policy, a small');
  print('vision-language model. Value: how often it reaches the right answer from the start.\n');
  const options = parseLabelOptions({ method: 'omegaprm', seed: SEED });
  const summary = await label(problems.problemsFile, runDir, options, {
    signal: io.signal,
    quiet: true,
    log: () => {},
    onTree: (tree) => print(treeLine(tree)),
  });
  for (const tree of await instructiveTrees(problems.problemsFile, runDir))
    await showTree(tree, problemsDir);
  print(`\n${summaryText(summary, runDir)}`);
  if (summary.status === 'done') print(nextSteps(out));
  io.exit(exitCode(summary));
}

/** `0.62 ████░░  17 states, 6 searches  How many …?` */
function treeLine(tree: TreeJson): string {
  const states = countStates(tree.children);
  const size = `${states} states, ${tree.search_count} searches`.padEnd(24);
  return `  ${valueText(tree.mc_value, isColored())}  ${size} ${tree.question}`;
}

function countStates(states: TreeJson['children']): number {
  return states.reduce((count, state) => count + 1 + countStates(state.children), 0);
}

/** The first trees that show something: right and wrong rollouts, and searches between them. */
async function instructiveTrees(problemsFile: string, runDir: string): Promise<TreeJson[]> {
  const lines = (await readFile(problemsFile, 'utf8')).split('\n').filter((line) => line !== '');
  const found: TreeJson[] = [];
  for (const line of lines) {
    const { id } = JSON.parse(line) as { id: string };
    const text = await readFile(join(runDir, 'trees', treeFileName(id)), 'utf8').catch(() => null);
    if (text === null) continue;
    const tree = JSON.parse(text) as TreeJson;
    const value = tree.mc_value ?? 0;
    if (value > 0.1 && value < 0.95 && tree.search_count >= 2) found.push(tree);
    if (found.length === SHOWN) break;
  }
  return found;
}

async function showTree(tree: TreeJson, problemsDir: string): Promise<void> {
  const color = isColored();
  print('');
  if (color && tree.image_path) print(await pictureText(join(problemsDir, tree.image_path), 40));
  print(treeText(tree, { color, width: process.stdout.columns ?? 100, maxLines: 14 }));
}

function isColored(): boolean {
  return process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function nextSteps(out: string): string {
  const bold = (text: string) => (isColored() ? styleText('bold', text) : text);
  return `
Every line of a tree is a state: its Monte Carlo value (the share of rollouts from it that reach
the gold answer), the number of rollouts behind it, and its steps. These values are the labels.

${bold('Next')}
  npx steptree label ${out}/problems/problems.jsonl --out my-run --method step-rollouts
  npx steptree export ${out}/run --to trl --out prm-data.jsonl
  npx steptree label --help`;
}
