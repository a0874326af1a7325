import { setMaxListeners } from 'node:events';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { z } from 'zod';
import { SteptreeError } from '../../search/index.js';
import { readConfigFile } from '../config/config-file.js';
import { addFlags, parseOptions } from '../config/flags.js';
import { policyOptions } from '../config/options.js';
import { pickOptions } from '../config/shapes.js';
import { packageVersion } from '../config/version.js';
import { writeFileAtomic } from '../data/files.js';
import { readResponses } from '../evaluate/responses.js';
import { writeQuestions } from '../evaluate/results.js';
import { type SetScore, scoreResponses } from '../evaluate/score-responses.js';
import { createExtractor } from '../sets/extractor.js';
import {
  ANSWER_SET_NAMES,
  type AnswerSet,
  answerSetNamed,
  readSet,
  type SetProblem,
} from '../sets/index.js';
import { createComparer } from '../verify/index.js';
import { createAnswerJudge } from '../verify/judge.js';
import { judgeOptions, verifyOptions } from '../verify/options.js';
import { EXIT } from './exit.js';
import { extractorOptions } from './extractor-options.js';
import type { CommandIo } from './main.js';

const scoreSetOptions = z.strictObject({
  extraction: z
    .enum(['given', 'none'])
    .default('given')
    .describe('take an extraction given beside a response, or always extract anew'),
  ownChecker: z
    .boolean()
    .default(false)
    .describe("hold every extraction against the gold answer by Steptree's own checker too"),
  limit: z.int().min(0).default(0).describe('only the first n problems of the file; 0 is all'),
});

const allOptions = z.strictObject({
  ...scoreSetOptions.shape,
  ...extractorOptions.shape,
  judge: policyOptions.shape.judge,
  ...judgeOptions.shape,
  ...verifyOptions.shape,
});

type BenchScoreOptions = z.infer<typeof allOptions>;

interface BenchScoreFlags {
  readonly problems: string;
  readonly responses: string;
  readonly out?: string;
  readonly config?: string;
  readonly json?: boolean;
}

/** Scores responses made elsewhere by a set's official rules. */
export function benchScoreCommand(io: CommandIo): Command {
  const command = new Command('score')
    .description("score responses made elsewhere by a set's official rules")
    .argument('<set>', ANSWER_SET_NAMES.join(', '))
    .requiredOption('--problems <files>', "the set's files or folder, separated by commas")
    .requiredOption('--responses <file>', 'JSONL of {id | pid, response, extraction?}')
    .option('--out <dir>', 'write results.jsonl, summary.json and report.md here')
    .option('--config <file>', 'JSON file of options in camel case; flags override it')
    .option('--json', 'print one JSON object on stdout')
    .addHelpText('after', EXAMPLES);
  const seen = new Set<string>();
  addFlags(command, scoreSetOptions, 'Scoring', seen);
  addFlags(command, extractorOptions, 'Extraction by a model', seen);
  addFlags(command, z.strictObject({ judge: policyOptions.shape.judge }), 'Judge of answers', seen);
  addFlags(command, judgeOptions, 'Judge of answers', seen);
  addFlags(command, verifyOptions, 'Answer checking', seen);
  return command.action(async (name: string, given: BenchScoreFlags) => {
    const file = given.config === undefined ? {} : readConfigFile(given.config);
    const options = parseOptions(allOptions, { ...given }, file);
    const set = answerSetNamed(name);
    const problems = await readSet(set, given.problems.split(','), {
      limit: options.limit,
      signal: io.signal,
    });
    const score = await scoreWith(set, problems, given.responses, options, io.signal);
    if (score.total === 0) throw nothingScored(given.responses, set.name);
    const table = scoreTable(set, score);
    if (given.out !== undefined) await writeScore(resolve(given.out), set, problems, score, table);
    if (given.json) process.stdout.write(`${JSON.stringify(score)}\n`);
    else process.stdout.write(`${table}\n`);
    for (const line of warnings(score)) process.stderr.write(`${line}\n`);
    io.exit(EXIT.done);
  });
}

function nothingScored(file: string, set: string): SteptreeError {
  return new SteptreeError(
    'RESPONSES_INVALID',
    `no response of ${file} belongs to a problem of the ${set} file; expected the problems' ids in its field id or pid`,
    { file, set },
  );
}

async function scoreWith(
  set: AnswerSet,
  problems: readonly SetProblem[],
  responsesFile: string,
  options: BenchScoreOptions,
  signal: AbortSignal,
): Promise<SetScore> {
  const { judgeMode, judge: judgeUrl } = options;
  if (judgeMode !== 'off' && judgeUrl === '') {
    throw new SteptreeError(
      'OPTION_INVALID',
      `--judge-mode ${judgeMode} needs a judge; give its URL with --judge`,
      { option: 'judgeMode' },
    );
  }
  // Hundreds of calls of an extractor or judge share it: that is no leak.
  setMaxListeners(0, signal);
  const responses = await readResponses(responsesFile, set.extractionField);
  const checks = createComparer(pickOptions(verifyOptions, options));
  const servers = pickOptions(judgeOptions, options);
  const judge = judgeMode === 'off' ? null : createAnswerJudge(judgeUrl, servers);
  const extractor = options.extractor === '' ? null : createExtractor(options.extractor, servers);
  try {
    return await scoreResponses(set, problems, responses, {
      extraction: options.extraction,
      checks,
      ownChecker: options.ownChecker,
      signal,
      ...(extractor ? { extractor, extractorMode: options.extractorMode } : {}),
      ...(judge && judgeMode !== 'off'
        ? {
            judge: (problem: SetProblem, answer: string) => judge.judge(problem, answer, signal),
            judgeMode,
          }
        : {}),
    });
  } finally {
    await Promise.all([checks.close(), judge?.close(), extractor?.close()]);
  }
}

async function writeScore(
  dir: string,
  set: AnswerSet,
  problems: readonly SetProblem[],
  score: SetScore,
  table: string,
): Promise<void> {
  const byId = new Map(problems.map((problem) => [problem.id, problem]));
  const lines = score.problems.map((row) => {
    const problem = byId.get(row.id);
    const groups = problem ? set.groups(problem) : {};
    return `${JSON.stringify({ ...row, correct: row.verdict === 'correct', gold: problem?.answer, groups })}\n`;
  });
  const { problems: _, ...rest } = score;
  const facts = { ...rest, title: set.title, source: set.source, steptree: packageVersion() };
  await writeFileAtomic(join(dir, 'results.jsonl'), lines.join(''));
  await writeFileAtomic(join(dir, 'summary.json'), `${JSON.stringify(facts, null, 2)}\n`);
  await writeFileAtomic(join(dir, 'report.md'), `${table}\n`);
  await writeQuestions(dir, problems);
}

export function warnings({
  missing,
  unknown,
  repeated,
  total,
  ungraded,
  problems,
}: SetScore): string[] {
  const reasons = new Map<string, number>();
  for (const { verdict, reason = 'no reason given' } of problems) {
    if (verdict === 'ungraded') reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  const why = [...reasons].map(([reason, count]) => `${count} ${reason}`).join(', ');
  return [
    ...(missing > 0
      ? [
          `${missing} of ${missing + total} problems have no response; the accuracy is of the other ${total}`,
        ]
      : []),
    ...(unknown > 0
      ? [`${unknown} ${unknown === 1 ? 'id belongs' : 'ids belong'} to no problem of the file`]
      : []),
    ...(repeated > 0
      ? [
          `${repeated} ${repeated === 1 ? 'response was' : 'responses were'} left out: a later one has the same id`,
        ]
      : []),
    ...(ungraded > 0
      ? [`${ungraded} could not be graded (${why}); they count as not correct`]
      : []),
  ];
}

/** Markdown: the accuracy, each axis of groups, further metrics, agreement with our own checker. */
export function scoreTable(set: AnswerSet, score: SetScore): string {
  const percent = (value: number) => (100 * value).toFixed(1);
  const { correct, total, accuracy, ungraded } = score;
  const lines = [
    `${set.title}: ${percent(accuracy)} % (${correct} of ${total}${ungraded > 0 ? `, ${ungraded} ungraded` : ''})`,
  ];
  for (const { name, value, total: of } of score.metrics) {
    lines.push(`${name}: ${percent(value)} % (of ${of})`);
  }
  for (const [axis, cells] of Object.entries(score.groups)) {
    lines.push(
      '',
      `| ${axis} | correct | of | accuracy % | 95 % |`,
      '| --- | --- | --- | --- | --- |',
    );
    for (const [value, cell] of Object.entries(cells)) {
      const [low, high] = cell.interval;
      lines.push(
        `| ${value} | ${cell.correct} | ${cell.total} | ${percent(cell.accuracy)} | ${percent(low)} to ${percent(high)} |`,
      );
    }
  }
  return [...lines, ...ownCheckerLines(score)].join('\n');
}

function ownCheckerLines({ problems }: SetScore): string[] {
  const both = problems.filter(({ ownVerdict }) => ownVerdict !== undefined);
  if (both.length === 0) return [];
  const classes = new Map<string, string[]>();
  for (const { id, verdict, ownVerdict } of both) {
    const isSame =
      (verdict === 'correct') === (ownVerdict === 'equal') && ownVerdict !== 'ungraded';
    if (isSame) continue;
    const name = `official ${verdict}, own ${ownVerdict}`;
    classes.set(name, [...(classes.get(name) ?? []), id]);
  }
  const differing = [...classes.values()].reduce((sum, ids) => sum + ids.length, 0);
  return [
    '',
    `own checker agrees on ${both.length - differing} of ${both.length}`,
    ...[...classes].map(
      ([name, ids]) =>
        `- ${name}: ${ids.length} (${ids.slice(0, 12).join(', ')}${ids.length > 12 ? ', …' : ''})`,
    ),
  ];
}

const EXAMPLES = `
Examples:
  $ steptree bench score mathvista --problems testmini.json --responses my-model.jsonl
  $ steptree bench score math-vision --problems test.jsonl --responses my-model.jsonl --own-checker --out scored
  $ steptree bench score mathvista --problems testmini.json --responses my-model.jsonl --extraction none

A given extraction (field extraction) is taken instead of ours; a response without one is read by the
set's rules. Files are read as the authors publish them: JSON, JSONL, Parquet with pictures.`;
