import { Command } from 'commander';
import { z } from 'zod';
import { SteptreeError } from '../../search/index.js';
import { readConfigFile } from '../config/config-file.js';
import { addFlags, parseOptions } from '../config/flags.js';
import { policyOptions } from '../config/options.js';
import { overridingShape, pickOptions, prefixShape, statedOptions } from '../config/shapes.js';
import { onnxOptions } from '../policy/onnx/options.js';
import { openaiOptions } from '../policy/openai/options.js';
import { simulatedOptions } from '../policy/simulated.js';
import type { WorkerOverrides } from '../queue/models.js';
import { type WorkerOptions, workerOptions } from '../queue/options.js';
import type { WorkerSnapshot, WorkerSummary } from '../queue/worker-activity.js';
import { judgeOptions, verifyOptions } from '../verify/options.js';
import { endSoon } from './exit.js';
import { showLine, writeLog } from './live-line.js';
import type { CommandIo } from './main.js';

/** Where the models are; what decides replies or labels is the run's alone. */
const placeShape = overridingShape(policyOptions.pick({ policy: true, judge: true }).shape);
const openaiShape = overridingShape(openaiOptions.omit({ systemPrompt: true }).shape);
const onnxShape = overridingShape(
  onnxOptions.omit({ systemPrompt: true, splitter: true, promptTemplate: true }).shape,
);
const judgeShape = overridingShape(judgeOptions.omit({ judgeMode: true }).shape);
const verifyShape = overridingShape(verifyOptions.shape);
const simulatedShape = overridingShape({ latencyMs: simulatedOptions.shape.latencyMs });

const AREAS = [
  ['Worker', workerOptions],
  ["In place of the run's own", z.strictObject(placeShape)],
  ['HTTP policy', z.strictObject(openaiShape)],
  ['Embedded or ONNX policy', z.strictObject(onnxShape)],
  ['Simulated policy', z.strictObject(prefixShape('simulated', simulatedShape))],
  ['Judge', z.strictObject(judgeShape)],
  ['Answer checking', z.strictObject(verifyShape)],
] as const;

const allOptions = z.strictObject(
  Object.assign({}, ...AREAS.map(([, schema]) => schema.shape)) as z.ZodRawShape,
);

export function workerCommand(io: CommandIo): Command {
  const command = new Command('worker')
    .description('take problems of labelling runs from a queue and grow their trees here')
    .option('--config <file>', 'JSON file of options in camel case; flags override it')
    .option('--json', 'print what was done as one JSON object on stdout')
    .option('--quiet', 'no progress on stderr')
    .addHelpText('after', EXAMPLES);
  const seen = new Set<string>();
  for (const [heading, schema] of AREAS) addFlags(command, schema, heading, seen);
  return command.action(async (given: { config?: string; json?: boolean; quiet?: boolean }) => {
    const request = parseWorkerOptions(given as Record<string, unknown>);
    const log = (line: string) => writeLog(`steptree worker: ${line}`);
    const summary = await work(request, { signal: io.signal, log, quiet: given.quiet === true });
    if (given.json) process.stdout.write(`${JSON.stringify(summary)}\n`);
    else log(summaryText(summary));
  });
}

export interface WorkerRequest {
  readonly options: WorkerOptions;
  readonly overrides: WorkerOverrides;
}

/** Command line over --config file over defaults.
 *  @throws SteptreeError OPTION_INVALID, OPTION_UNKNOWN, OPTION_CONFIG_UNREADABLE */
export function parseWorkerOptions(given: Record<string, unknown>): WorkerRequest {
  const file = typeof given.config === 'string' ? readConfigFile(given.config) : {};
  const all = parseOptions(allOptions, given, file) as Record<string, unknown>;
  const options = pickOptions(workerOptions, all);
  if (options.queue === '') {
    throw new SteptreeError(
      'OPTION_INVALID',
      '--queue: a worker needs the URL of its queue, such as redis://localhost:6379',
      { option: 'queue' },
    );
  }
  const { policy, judge, maxInFlight, simulatedLatencyMs: latencyMs } = all;
  const overrides = {
    ...Object.fromEntries(
      Object.entries({ policy, judge, maxInFlight }).filter(([, value]) => value !== undefined),
    ),
    simulated: latencyMs === undefined ? {} : { latencyMs },
    others: statedOptions({ ...openaiShape, ...onnxShape, ...judgeShape, ...verifyShape }, all),
  };
  return { options, overrides };
}

async function work(
  { options, overrides }: WorkerRequest,
  io: { signal: AbortSignal; log: (line: string) => void; quiet: boolean },
): Promise<WorkerSummary> {
  // Loaded only when wanted: other commands need no Redis.
  const { openWorker } = await import('../queue/open.js');
  const { worker, close } = await openWorker(options, overrides, io);
  const progress = io.quiet ? null : showLine(() => snapshotText(worker.snapshot()));
  try {
    return await worker.run();
  } finally {
    progress?.stop();
    await close();
    endSoon();
  }
}

/** `3/16 problems · 120 done (1 failed) · 210 rollouts/s · slots 240/256` */
export function snapshotText(now: WorkerSnapshot): string {
  const failed = now.failed > 0 ? ` (${now.failed} failed)` : '';
  const pace = [
    `${Math.round(now.rolloutsPerSecond).toLocaleString('en')} rollouts/s`,
    `slots ${now.inFlight}/${now.maxInFlight}`,
  ];
  return [
    `${now.active}/${now.concurrency} problems`,
    `${now.done} done${failed}`,
    ...(now.active > 0 ? pace : ['waiting for problems']),
    ...(now.trouble === null ? [] : [now.trouble]),
  ].join(' · ');
}

function summaryText({ done, failed, handedBack, lost, rollouts }: WorkerSummary): string {
  const parts = [`${done} problems done`, `${failed} failed`, `${handedBack} handed back`];
  if (lost > 0) parts.push(`${lost} taken over by others`);
  return `${parts.join(', ')}; ${rollouts.toLocaleString('en')} rollouts`;
}

const EXAMPLES = `
Examples:
  $ steptree worker --queue redis://redis:6379
  $ steptree worker --queue redis://redis:6379 --policy http://localhost:8000/v1 --concurrency 64
  $ QUEUE_PASSWORD=… steptree worker --queue rediss://redis.example:6380 --queue-password-env QUEUE_PASSWORD

A worker takes the policy, options and seed of each run from its coordinator, \`steptree label … --queue URL\`;
--policy says where the same model is served to this worker. SIGTERM lets its problems end (--drain-ms), then
hands the others back with all their replies; a second one stops at once, which loses nothing but calls in
flight.`;
