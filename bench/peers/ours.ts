/** Steptree's side: `label` runs the whole of the command, `solve` solves all problems side by side as
 *  the service does. Last line of stdout: the fields that the peers' adapters print too. The clock
 *  starts when modules are loaded and models are open, there and here.
 *
 *  `node dist/bench/peers/ours.js label --problems FILE --url URL --out DIR`
 *  `node dist/bench/peers/ours.js solve --problems FILE --url URL --options JSON` */
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import type { Problem } from '../../search/index.js';
import { label } from '../../src/cli/label.js';
import { parseLabelOptions } from '../../src/cli/label-options.js';
import { openSolveModels } from '../../src/cli/solve-models.js';
import { parseSolveOptions } from '../../src/cli/solve-options.js';
import { samplingOptions } from '../../src/config/options.js';
import { pickOptions } from '../../src/config/shapes.js';
import { solveProblem } from '../../src/runtime/solve.js';

type Facts = Readonly<Record<string, number>>;

const io = {
  signal: new AbortController().signal,
  quiet: true,
  log: (line: string) => void process.stderr.write(`${line}\n`),
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    problems: { type: 'string', default: '' },
    url: { type: 'string', default: '' },
    out: { type: 'string', default: '' },
    options: { type: 'string', default: '{}' },
  },
});
const facts = positionals[0] === 'label' ? await labelAll() : await solveAll();
process.stdout.write(`${JSON.stringify(facts)}\n`);

async function labelAll(): Promise<Facts> {
  const options = parseLabelOptions({ policy: values.url, ...JSON.parse(values.options) });
  const read = startMeter();
  await label(values.problems, values.out, options, io);
  return read();
}

async function solveAll(): Promise<Facts> {
  const lines = (await readFile(values.problems, 'utf8')).trim().split('\n');
  const problems: Problem[] = lines.map((line) => JSON.parse(line));
  const request = parseSolveOptions({
    policy: values.url,
    prm: values.url,
    question: 'see --problems',
    ...JSON.parse(values.options),
  });
  const { all, strategy, strategyOptions: options } = request;
  const models = await openSolveModels(request, null, io);
  const read = startMeter();
  const results = await Promise.all(
    problems.map((problem) =>
      solveProblem(problem, {
        ...models,
        strategy,
        options,
        sampling: pickOptions(samplingOptions, all),
      }),
    ),
  );
  const measured = read();
  await models.close();
  return {
    ...measured,
    right: results.filter(({ answer }, i) => answer === problems[i]?.answer).length,
    completions: results.reduce((sum, { candidates }) => sum + candidates.length, 0),
  };
}

function startMeter(): () => { wallSeconds: number; cpuSeconds: number } {
  const startMs = performance.now();
  const cpu = process.cpuUsage();
  return () => {
    const used = process.cpuUsage(cpu);
    return {
      wallSeconds: (performance.now() - startMs) / 1000,
      cpuSeconds: (used.user + used.system) / 1e6,
    };
  };
}
