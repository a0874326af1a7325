import { once } from 'node:events';
import { resolve } from 'node:path';
import { Command } from 'commander';
import pino from 'pino';
import { budgetOptions, samplingOptions } from '../config/options.js';
import { pickOptions } from '../config/shapes.js';
import { packageVersion } from '../config/version.js';
import { policyLine } from '../policy/create.js';
import { createService, listenOn, type RunningService } from '../server/app.js';
import { refusePublicWithoutKey } from '../server/auth.js';
import { JobBoard } from '../server/jobs.js';
import { KeyRing } from '../server/keys.js';
import { loggedError } from '../server/log.js';
import { serverOptions } from '../server/options.js';
import { registerViewer } from '../server/view.js';
import type { CommandIo } from './main.js';
import { jobRunner } from './serve-jobs.js';
import { serveKeysCommand } from './serve-keys.js';
import { addServeFlags, parseServeOptions, type ServeRequest } from './serve-options.js';
import { openSolveModels, type SolveModels } from './solve-models.js';

/** Test-time search behind an OpenAI-compatible API. */
export function serveCommand(io: CommandIo): Command {
  const command = new Command('serve')
    .description('answer over HTTP: every strategy behind an OpenAI-compatible API, with pictures')
    .option('--config <file>', 'JSON file of options in camel case; flags override it')
    .option('--json', 'print {"url", "pid"} as one JSON object on stdout once it listens')
    .addHelpText('after', EXAMPLES);
  addServeFlags(command);
  command.action(async (given: { json?: boolean }) => {
    await serve(parseServeOptions({ ...given }), given.json === true, io);
  });
  command.addCommand(serveKeysCommand());
  return command;
}

/** Serves until the first SIGINT or SIGTERM, then drains. */
async function serve(request: ServeRequest, json: boolean, { signal }: CommandIo): Promise<void> {
  const { all } = request;
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const logger = pino(
    { level: all.logLevel, base: null },
    pino.destination({ fd: 2, sync: false }),
  );
  const onTrouble = (error: unknown) => logger.error(loggedError(error, true), 'keys');
  const keys = new KeyRing(all.keys === '' ? '' : resolve(all.keys), onTrouble);
  refusePublicWithoutKey(all.host, keys);
  const models = await openSolveModels(request, null, { signal, log: say });
  try {
    say(policyLine(models.host));
    const running = await createService({
      models,
      settings: {
        server: pickOptions(serverOptions, all),
        sampling: pickOptions(samplingOptions, all),
        budget: pickOptions(budgetOptions, all),
        seed: all.seed,
      },
      version: packageVersion(),
      keys,
      jobs: jobsOf(request, (job) => logger.info(job, 'job ended')),
      logger,
      addViewer: async (app) => {
        await app.register(registerViewer, { dir: shownRuns(all, keys) });
      },
    });
    try {
      await listen(running, request, models, { say, json });
      if (!signal.aborted) await once(signal, 'abort');
    } finally {
      await running.drain();
    }
  } finally {
    await models.close();
    logger.flush();
  }
}

/** Jobs belong to the key that made them, and the viewer knows no keys: it shows them only where
 *  there are none, or where --runs says so. */
function shownRuns({ runs, jobs }: ServeRequest['all'], keys: KeyRing): string | null {
  if (runs !== '') return resolve(runs);
  return jobs === '' || keys.isRequired ? null : resolve(jobs);
}

function jobsOf(request: ServeRequest, onEnd: (facts: object) => void): JobBoard | null {
  const { jobs: dir, maxJobs, maxQueuedJobs } = request.all;
  if (dir === '') return null;
  const settings = { dir: resolve(dir), maxJobs, maxQueuedJobs };
  return new JobBoard(settings, jobRunner(request), ({ id, kind, status, error }) =>
    onEnd({ id, kind, status, code: error?.code ?? null }),
  );
}

async function listen(
  { app, service }: RunningService,
  { all }: ServeRequest,
  models: SolveModels,
  { say, json }: { say: (line: string) => void; json: boolean },
): Promise<void> {
  const url = await listenOn(app, all);
  const { available, byDefault } = service.catalogue;
  say(
    `listening on ${url} (page: ${url}/ui/) with ${available.length} strategies, ${byDefault} by default`,
  );
  if (!models.scorer) say('no reward model (--prm): strategies without one only');
  if (json) process.stdout.write(`${JSON.stringify({ url, pid: process.pid })}\n`);
}

const EXAMPLES = `
Examples:
  $ steptree serve
  $ steptree serve --policy http://localhost:8000/v1 --prm http://localhost:8001/v1 --max-concurrent 256
  $ steptree serve keys add --keys keys.json --name laptop
  $ steptree serve --host 0.0.0.0 --keys keys.json --rate-limit 120 --jobs jobs
  $ curl http://127.0.0.1:8712/v1/chat/completions -H 'content-type: application/json' \\
      -d '{"model": "steptree/majority", "messages": [{"role": "user", "content": "What is 2+3?"}]}'

The API is described at /docs. A request chooses its strategy by model name (steptree/beam), path
(/v1/beam/chat/completions) or body ("steptree": {"strategy": "beam", "n": 8}). SIGTERM lets running
requests end (--drain-seconds); jobs go on at the next start.`;
