import { resolve } from 'node:path';
import { Command } from 'commander';
import Fastify from 'fastify';
import { z } from 'zod';
import { SteptreeError } from '../../search/index.js';
import { addFlags, parseOptions } from '../config/flags.js';
import { writeFileAtomic } from '../data/files.js';
import { registerViewer, type ViewerOptions } from '../server/view.js';
import { httpError } from '../server/view-errors.js';
import { ViewFolder, type ViewFolderOptions } from '../server/view-folder.js';
import { selfContainedPage } from '../server/view-html.js';
import type { CommandIo } from './main.js';

export const viewOptions = z.strictObject({
  port: z
    .int()
    .min(0)
    .max(65_535)
    .default(4180)
    .describe('port on this machine; 0 is any free one'),
  html: z
    .string()
    .default('')
    .describe('write everything into this one page, which needs no server, and end'),
  problem: z
    .array(z.string())
    .default([])
    .describe('ids of the problems that --html takes; without it all of them'),
  problems: z
    .string()
    .default('')
    .describe('problem file with the pictures of runs that name none (solve)'),
});

/** Shows runs in a browser. */
export function viewCommand(io: CommandIo): Command {
  const command = new Command('view')
    .description('show runs in a browser: trees, step values, rollouts, two runs side by side')
    .argument('<dir>', '--out of label or bench, or a folder of such runs and of solve --out files')
    .option('--json', 'print one JSON object on stdout')
    .addHelpText('after', EXAMPLES);
  addFlags(command, viewOptions, 'Viewer');
  return command.action(async (dir: string, given: Record<string, unknown>) => {
    const options = parseOptions(viewOptions, given);
    const json = given.json === true;
    if (options.problem.length > 0 && options.html === '') {
      throw new SteptreeError(
        'OPTION_INVALID',
        '--problem chooses what goes into a page; give --html FILE too',
        { option: 'problem' },
      );
    }
    // One's own files: pictures may lie anywhere.
    const problems = options.problems === '' ? {} : { problems: resolve(options.problems) };
    const folder: ViewFolderOptions = { pictures: 'anywhere', ...problems };
    if (options.html !== '') await writePage(dir, folder, options.html, options.problem, json);
    else await serveUntilStopped(dir, folder, options.port, json, io.signal);
  });
}

async function writePage(
  dir: string,
  options: ViewFolderOptions,
  file: string,
  only: readonly string[],
  json: boolean,
): Promise<void> {
  const { html, runs, problems } = await selfContainedPage(new ViewFolder(dir, options), only);
  await writeFileAtomic(file, html);
  const bytes = Buffer.byteLength(html);
  if (json) process.stdout.write(`${JSON.stringify({ file, runs, problems, bytes })}\n`);
  else process.stdout.write(`${file}: ${runs} runs, ${problems} problems, ${megabytes(bytes)}\n`);
}

async function serveUntilStopped(
  dir: string,
  options: ViewFolderOptions,
  port: number,
  json: boolean,
  signal: AbortSignal,
): Promise<void> {
  const app = await listen(dir, options, port);
  const { port: actual } = app.server.address() as { port: number };
  const url = `http://127.0.0.1:${actual}/ui/`;
  process.stdout.write(json ? `${JSON.stringify({ url })}\n` : `${url}  (Ctrl-C ends it)\n`);
  if (!signal.aborted) {
    await new Promise((done) => signal.addEventListener('abort', done, { once: true }));
  }
  app.server.closeAllConnections();
  await app.close();
}

/** The viewer on this machine's loopback interface.
 *  @throws SteptreeError VIEW_PORT_TAKEN, VIEW_FOLDER_MISSING, VIEW_NOT_BUILT */
export async function listen(dir: string, options: Omit<ViewerOptions, 'dir'>, port: number) {
  const app = Fastify({ logger: false });
  app.addHook('onRequest', async (request, reply) => {
    // A page elsewhere may point a name of its own at this machine (DNS rebinding); then the
    // browser sends that name, and would let that page read the answers.
    if (LOOPBACK_HOST.test(request.headers.host ?? '')) return;
    const { status, body } = httpError(
      new SteptreeError(
        'VIEW_HOST_REFUSED',
        'the viewer answers to localhost and 127.0.0.1 only; use a tunnel to reach it from elsewhere',
      ),
    );
    return reply.code(status).send(body);
  });
  app.get('/', (_, reply) => reply.redirect('/ui/'));
  await registerViewer(app, { dir, ...options });
  try {
    await app.listen({ host: '127.0.0.1', port });
  } catch (error) {
    await app.close();
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new SteptreeError(
      'VIEW_PORT_TAKEN',
      `port ${port} is taken; choose another one with --port, or any free one with --port 0`,
      { port },
      { cause: error },
    );
  }
  return app;
}

const LOOPBACK_HOST = /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/i;

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

const EXAMPLES = `
Examples:
  $ steptree view run                                  a label run, in the browser
  $ steptree view runs --port 8080                     all runs below a folder, to compare
  $ steptree view run --html run.html                  one page to send around
  $ steptree view run --html one.html --problem ID

Reads only, and listens on this machine only. A run under way is followed while it grows.`;
